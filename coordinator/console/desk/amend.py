"""Amend: a letter's step gets another input, or its outcome, by a form of its contract, which is looked at before it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fastapi import APIRouter

from handoffs.contracts.errors import CoordinationError
from handoffs.contracts.text import MASK
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.client.interventions import LetterInput
from handoffs.coordinator.console.access.permission import Permission
from handoffs.coordinator.console.action import Done
from handoffs.coordinator.console.asked import Asked, By
from handoffs.coordinator.console.desk.letter import LetterId
from handoffs.coordinator.console.forms.answers import LOOKED_AT
from handoffs.coordinator.console.forms.filling import Filling, Link, add_filling
from handoffs.coordinator.console.forms.form import form_of, judged
from handoffs.coordinator.console.templating import segment
from handoffs.coordinator.console.twin import twin
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.handoff.failure import FailureKind
from handoffs.coordinator.letters.edit import refuse_fact
from handoffs.coordinator.letters.letter import Letter

router = APIRouter(tags=["dead letters"])


def amended(coordinator: Coordinator, letter: Letter) -> LetterInput:
    """With what the form of a letter's input begins; ``keys`` are the fields that stay as they are. What is wrong with a key can be mended."""
    begins = coordinator.input_of(letter)
    if begins.value is None or letter.kind == FailureKind.CONFLICT:
        return replace(begins, keys=frozenset())
    found = judged(begins.contract, form_of(begins.contract, begins.value), begins.value).form
    wrong = {one.path.partition(".")[0] for one in found.fields if one.fault or not one.was_given}
    return replace(begins, keys=begins.keys - wrong)


def outcome_begins(coordinator: Coordinator, letter: Letter) -> dict[str, Any] | None:
    """With what the form of a letter's outcome begins: what its key is made of, of the input, where the outcome has fields of that name."""
    emits = coordinator.outcome_of(letter)
    try:
        given = coordinator.input_of(letter).value
    except ServerError:
        raise
    except CoordinationError:
        return None
    keys = (
        {}
        if not isinstance(given, Mapping)
        else {name: given[name] for name in emits.__keys__ if given.get(name) not in (None, MASK)}
    )
    return keys or None


def links_of(letter: Letter) -> tuple[Link, ...]:
    """The letter, and its run."""
    found = (
        Link("letter", letter.id, f"/dead-letters/{segment(letter.id)}"),
        Link("run", letter.run, f"/runs/{segment(letter.run)}"),
    )
    return tuple(one for one in found if one.id)


def edit_letter(coordinator: Asked, letter: LetterId, caller: By) -> Filling:
    """Give the step of a letter another input, and replay it with that: its key stays, and what is masked stays what it is. The old input
    does not run any more, and is kept. A reason is needed."""
    caller.must(Permission.PAYLOADS)
    found = coordinator.find_letter(letter)
    refuse_fact(found.run, found.step)
    begins = amended(coordinator, found)

    def edited(payload: Mapping[str, Any], by: str, why: str, _: Mapping[str, str]) -> Done:
        coordinator.edit(found, payload, by=by, why=why)
        return _done("It is edited, and on its way again.", found)

    return Filling(
        begins.contract, f"Edit the input of step {found.step} ({found.agent})", f"It failed: {found.text}", "Edit it, and replay it", edited,
        value=begins.value, locked=begins.keys, reason="must", shows="change", links=links_of(found),
        twin=f"{twin('dead-letters edit', found.id)} --payload @file.json --why ...",
    )  # fmt: skip


def skip_letter(coordinator: Asked, letter: LetterId, caller: By) -> Filling:
    """Give the step of a letter its outcome: its agent does not run, and the run goes on after it. A reason is needed."""
    caller.must(Permission.PAYLOADS)
    found = coordinator.find_letter(letter)

    def skipped(payload: Mapping[str, Any], by: str, why: str, _: Mapping[str, str]) -> Done:
        coordinator.skip(found, payload, by=by, why=why)
        return _done("Its step has that outcome, and the run goes on.", found)

    return Filling(
        coordinator.outcome_of(found), f"Give the outcome of step {found.step} ({found.agent})",
        f"It failed: {found.text}. Its agent does not run; the run goes on after this step.", "Give it this outcome", skipped,
        value=outcome_begins(coordinator, found), reason="must", links=links_of(found),
        twin=f"{twin('dead-letters skip', found.id)} --output @file.json --why ...",
    )  # fmt: skip


def _done(message: str, found: Letter) -> Done:
    return Done(message, f"/dead-letters/{segment(found.id)}", {"letter": found.id, "run": found.run})


for _what, _filling in (("edit", edit_letter), ("skip", skip_letter)):
    add_filling(router, f"/dead-letters/{{letter:path}}/{_what}", _filling, answers=LOOKED_AT)
