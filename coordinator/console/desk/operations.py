"""Operations: what is done with many dead letters, how far it is, and what came of each."""

from __future__ import annotations

import re
from itertools import islice
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel

from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.client.operation import Operation, OperationState
from handoffs.coordinator.console.access.permission import Permission
from handoffs.coordinator.console.action import Done, Why, add_action
from handoffs.coordinator.console.asked import Asked, By, InBackground
from handoffs.coordinator.console.desk.selection import Plain
from handoffs.coordinator.console.operators import Operators
from handoffs.coordinator.console.page import View, add_page
from handoffs.coordinator.console.twin import twin
from handoffs.coordinator.journal.operations import AGAIN, ELSEWISE, OperationLetter

router = APIRouter(tags=["operations"])

OperationId = Annotated[Plain, Path(max_length=60, description="The id of an operation, or how it begins.")]

State = Literal["", "again", "pending", "claimed", "done", "refused", "gone"]
STATES: dict[State, str] = {
    "": "all", "again": "failed again", "refused": "refused", "gone": "gone", "done": "done", "pending": "pending",
}  # fmt: skip

_GROUP = re.compile(r"group[ =]([0-9A-Za-z:_-]{1,60})")
"""How a choice says that it is a group (:mod:`~handoffs.coordinator.client.chosen_letters`)."""

_CAME = {AGAIN: "parked again, for the same cause", ELSEWISE: "parked again, for another cause"}


class How(BaseModel):
    """How it is done: see `POST /api/dead-letters/replay`."""

    canary: int
    canary_wait: float
    rate: float | None
    stop_on_recurrence: bool
    canary_passed: bool


class OperationLine(BaseModel):
    """What is done with many letters. `state`: `running`, `stopped` (`told` says why), `cancelled` or `done`. Of its `total` letters so
    many are `pending`, `done`, `refused`, or `gone`, moved by something else before their turn; of those that are done so many parked
    `again` for the same cause, and for another (`otherwise`). `here`: this console goes on with it; `changed_at` is its last sign."""

    id: str
    kind: str
    state: OperationState
    at: str
    by: str
    why: str
    selection: str
    pace: How
    told: str
    changed_at: str
    total: int
    pending: int
    done: int
    refused: int
    gone: int
    again: int
    otherwise: int
    here: bool


class Operations(BaseModel):
    """Operations, the newest first; `next` is what to give as `after` for more of them, empty where these are the last."""

    operations: list[OperationLine]
    next: str


class LetterOfMany(BaseModel):
    """A letter of an operation: what was done with it, what `came` of it, and how it is now (`now`, and its `run`)."""

    position: int
    letter: str
    state: str
    came: str
    told: str
    now: str
    run: str
    step: str
    agent: str


class OneOperation(BaseModel):
    """An operation, and some of its letters, in their order; `next` is what to give as `after` for more of them, null where these are the
    last."""

    operation: OperationLine
    letters: list[LetterOfMany]
    next: int | None


def operations(
    coordinator: Asked,
    operators: InBackground,
    *,
    after: Annotated[Plain, Query(max_length=60, description="Go on where another page ended.")] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> View[Operations]:
    """What was done with many letters at once, the newest first."""
    found = coordinator.operations(limit=limit + 1, after=after)
    shown = [_line(one, operators) for one in found[:limit]]
    data = Operations(operations=shown, next=shown[-1].id if len(found) > limit else "")
    return View(data, "Operations", twin("operations list", limit=limit))


def operation(
    coordinator: Asked,
    operators: InBackground,
    operation: OperationId,
    caller: By,
    *,
    state: Annotated[
        State, Query(description="Only letters of this state; `again`: those that parked once more.")
    ] = "",
    after: Annotated[int, Query(ge=-1, lt=2**31)] = -1,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> View[OneOperation]:
    """One operation: how it is done, how far it is, and what came of its letters.

    Many parameters because each is a choice of its own.
    """
    found = coordinator.operation(operation)
    again, of_state = state == "again", "" if state == "again" else state
    letters = coordinator.operation_letters(found.id, state=of_state, again=again, after=after)
    rows = list(islice(letters, limit + 1))
    data = OneOperation(
        operation=_line(found, operators),
        letters=_letters(coordinator, rows[:limit]),
        next=rows[limit - 1].position if len(rows) > limit else None,
    )
    is_open = found.state in ("running", "stopped")
    more = {
        "states": STATES, "state": state, "after": after, "is_open": is_open, "may_end": is_open and _may_end(found, caller),
        "may_resume": is_open and not data.operation.here and caller.may(Permission.OPERATE),
    }  # fmt: skip
    title, group = _title(coordinator, found)
    return View(data, title, twin("operations show", found.id), {**more, "group": group})


def _title(coordinator: Coordinator, found: Operation) -> tuple[str, str]:
    """What an operation is, in words, and the id of the group of letters that it was begun with; empty where it was another choice."""
    doing, chosen = found.kind.capitalize(), found.selection
    group = _GROUP.fullmatch(chosen)
    if group is None:
        return f"{doing} of {chosen}", ""
    rows = list(islice(coordinator.operation_letters(found.id), 1))
    known = coordinator.journal.letters.summaries(one.letter for one in rows)
    letter = next(iter(known.values()), None)
    if letter is None:
        return f"{doing} of a group of letters", group[1]
    error = f"{letter.error} at" if letter.error else f"{letter.kind} at"
    return f"{doing} of letters with {error} {letter.agent}, step {letter.step} of {letter.flow}", group[1]


def _line(one: Operation, operators: Operators) -> OperationLine:
    names = [name for name in OperationLine.model_fields if name not in ("pace", "here")]
    values = {name: getattr(one, name) for name in names}
    how = How(**{name: getattr(one.pace, name) for name in How.model_fields})
    return OperationLine(**values, pace=how, here=one.state == "running" and operators.is_at_work(one.id))


def _letters(coordinator: Coordinator, rows: list[OperationLetter]) -> list[LetterOfMany]:
    known = coordinator.journal.letters.summaries(one.letter for one in rows)
    found = []
    for one in rows:
        letter = known.get(one.letter)
        found.append(
            LetterOfMany(
                position=one.position, letter=one.letter, state=one.state, came=_CAME.get(one.came, one.came), told=one.told,
                now=letter.state if letter else "", run=letter.run if letter else "", step=letter.step if letter else "",
                agent=letter.agent if letter else "",
            )
        )  # fmt: skip
    return found


def _may_end(one: Operation, caller: By) -> bool:
    return caller.may(Permission.OPERATE if one.by == caller.name else Permission.ADMINISTER)


def cancel_operation(coordinator: Asked, operation: OperationId, body: Why, caller: By) -> Done:
    """End an operation: whoever does it stops before the next letter. What was done stays so. Those of others are ended by administrators."""
    found = coordinator.operation(operation)
    if found.by != caller.name:
        caller.must(Permission.ADMINISTER)
    coordinator.cancel_operation(found.id, by=caller.name, why=body.why)
    return Done("It is cancelled.", f"/operations/{found.id}", {"operation": found.id})


def resume_operation(
    coordinator: Asked, operators: InBackground, operation: OperationId, body: Why, caller: By
) -> Done:
    """Go on with an operation that was stopped, or whose process has died. No letter is replayed twice. What was stopped for its canary goes
    on past it."""
    found = coordinator.operation(operation)
    operators.resume(found.id, by=caller.name, why=body.why)
    return Done("It goes on.", f"/operations/{found.id}", {"operation": found.id})


add_page(router, "/operations", operations, template="operations.html.j2", model=Operations)
add_action(router, "/operations/{operation}/cancel", cancel_operation)
add_action(router, "/operations/{operation}/resume", resume_operation)
add_page(router, "/operations/{operation}", operation, template="operation.html.j2", model=OneOperation)
