"""Mending: a parked or held step gets another input, or its outcome, and a run the signal that it waits for: as forms of the contracts."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from handoffs.contracts import strictjson
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.client.interventions import LetterInput
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.console.access.permission import Permission
from handoffs.coordinator.console.action import Done
from handoffs.coordinator.console.asked import Asked, By
from handoffs.coordinator.console.desk.amend import amended, links_of, outcome_begins
from handoffs.coordinator.console.forms.answers import AT_ONCE, LOOKED_AT
from handoffs.coordinator.console.forms.filling import Filling, Link, add_filling
from handoffs.coordinator.console.runs.acting import page_of
from handoffs.coordinator.console.runs.one import RunId, StepPath, one_run, refuse_ended
from handoffs.coordinator.console.twin import twin
from handoffs.coordinator.errors import EditRefused, LoadError
from handoffs.coordinator.letters.letter import Letter
from handoffs.coordinator.observe.current import Current

router = APIRouter(tags=["runs"])

_LOOKED = 1_000


def edit_step(coordinator: Asked, caller: By, request: Request, run: RunId, step: StepPath) -> Filling:
    """Give a step that is parked, or held with its paused run, another input. Sensitive values that are left masked stay as they are."""
    found, doing = _stopped(coordinator, request, run, step, {"parked", "held"})
    letter = _letter(coordinator, found, step) if doing.state == "parked" else None
    begins = LetterInput(coordinator.agent(doing.agent).accepts, None, frozenset())
    if letter is not None and caller.may(Permission.PAYLOADS):
        begins = amended(coordinator, letter)

    def edited(payload: Mapping[str, Any], by: str, why: str, _: Mapping[str, str]) -> Done:
        found.edit(step, payload, by=by, why=why)
        return Done(f"step {step} was edited", page_of(found), {"run": found.id, "step": step})

    follows = (
        "It is replayed with it." if letter is not None else "It begins with it when the run is resumed."
    )
    return Filling(
        begins.contract, f"Edit the input of step {step} ({doing.agent})", f"Another input for {doing.agent}. {follows}", "Edit it", edited,
        value=begins.value, locked=begins.keys, shows="change", links=links_of(letter) if letter is not None else _links(found),
        twin=twin("runs edit", found.id, step, payload="@input.json"),
    )  # fmt: skip


def skip_step(coordinator: Asked, caller: By, request: Request, run: RunId, step: StepPath) -> Filling:
    """Give a parked step its outcome by hand: its agent does not run, and the run goes on after it."""
    found, doing = _stopped(coordinator, request, run, step, {"parked"})
    letter = _letter(coordinator, found, step)

    def skipped(output: Mapping[str, Any], by: str, why: str, _: Mapping[str, str]) -> Done:
        coordinator.skip(letter, output, by=by, why=why)
        return Done(f"step {step} was skipped", page_of(found), {"run": found.id, "step": step})

    return Filling(
        coordinator.outcome_of(letter), f"Give the outcome of step {step} ({doing.agent})",
        f"What {doing.agent} is to have made. It does not run, and the run goes on after this step.",
        "Give it this outcome", skipped, value=outcome_begins(coordinator, letter) if caller.may(Permission.PAYLOADS) else None,
        links=links_of(letter), twin=twin("dead-letters skip", letter.id, output="@output.json"),
    )  # fmt: skip


def send_signal(
    coordinator: Asked,
    caller: By,
    request: Request,
    run: RunId,
    signal: Annotated[str, Path(max_length=200, description="The name of a signal that the flow waits for.")],
) -> Filling:
    """Send a run a signal that it waits for, or will wait for. Sending the same again changes nothing."""
    found = one_run(coordinator, request, run)
    refuse_ended(found, "sent a signal")
    signals = found.flow.signals if found.flow else {}
    if signal not in signals:
        raise LoadError(
            f"the flow of run {found.id}, as it is loaded here, waits for no signal of that name",
            "nothing was sent",
            f"the signals that it waits for: {', '.join(sorted(signals)) or 'none'}",
        )
    contract = signals[signal]

    def sent(payload: Mapping[str, Any], by: str, why: str, _: Mapping[str, str]) -> Done:
        found.signal(signal, contract.from_data(dict(payload)), by, why=why)
        return Done(f"the signal {signal} was taken", page_of(found), {"run": found.id, "signal": signal})

    return Filling(
        contract, f"Signal {signal}", _awaited(coordinator, found, signal, sees=caller.may(Permission.PAYLOADS)), "Send", sent,
        links=_links(found),
        twin=twin("runs signal", found.id, signal, payload="@signal.json"),
    )  # fmt: skip


def _awaited(coordinator: Coordinator, run: Run, signal: str, *, sees: bool) -> str:
    """What a run waits for under that name, since when, until when, and what happens otherwise, in words."""
    found = [one for one in coordinator.approvals_of(run.id) if one.signal == signal]
    if not found:
        return f"Run {run.id} does not wait for it now. Sent before it does, it is kept; what was sent once stays as it was."
    words = [f"Run {run.id} waits for it at step {found[0].step}"]
    if found[0].since:
        words.append(f"since {found[0].since:%Y-%m-%d %H:%M:%S} UTC")
    if found[0].due and found[0].otherwise:
        says = f": {strictjson.dumps(found[0].otherwise['data'])}" if sees else ""
        stands = f"{found[0].otherwise['contract']} stands in{says}"
        words.append(f"until {found[0].due:%Y-%m-%d %H:%M:%S} UTC; then {stands}")
    else:
        words.append("until it comes")
    return f"{', '.join(words)}."


def _stopped(
    coordinator: Coordinator, request: Request, run: str, step: str, states: set[str]
) -> tuple[Run, Current]:
    """A run, and how its step stands. Raises :class:`~handoffs.coordinator.errors.EditRefused` where it is in none of these states."""
    found = one_run(coordinator, request, run)
    doing = next((one for one in found.current() if one.step == step and one.state in states), None)
    if doing is None:
        raise EditRefused(
            f"step {step} of run {found.id} is not {' or '.join(sorted(states))}",
            "nothing was changed",
            "see what the run does now",
        )
    return found, doing


def _letter(coordinator: Coordinator, run: Run, step: str) -> Letter:
    """The letter of a parked step. Raises :class:`~handoffs.coordinator.errors.EditRefused` where the journal does not have it yet."""
    letters = islice(coordinator.each_dead_letter(run=run.id), _LOOKED)
    letter = next((one for one in letters if one.step == step), None)
    if letter is None:
        raise EditRefused(
            f"the dead letter of step {step} is not in the journal yet",
            "nothing was changed",
            "see that the coordinator process runs (coordinator serve), and ask again",
        )
    return letter


def _links(run: Run) -> tuple[Link, ...]:
    return (Link("run", run.id, page_of(run)),)


add_filling(router, "/runs/{run}/steps/{step}/edit", edit_step, answers=LOOKED_AT)
add_filling(router, "/runs/{run}/steps/{step}/skip", skip_step, answers=LOOKED_AT)
add_filling(router, "/runs/{run}/signals/{signal}", send_signal, answers=AT_ONCE)
