"""Compare: two runs side by side, step by step."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from handoffs.contracts.errors import CoordinationError, InvalidData
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.console.access.permission import Permission
from handoffs.coordinator.console.asked import Asked, By
from handoffs.coordinator.console.errors import status_of
from handoffs.coordinator.console.page import View, add_page, wants_page
from handoffs.coordinator.console.run_status import status_for_people
from handoffs.coordinator.console.twin import twin
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.observe.difference import StepDifference, difference
from handoffs.coordinator.observe.step_state import text_of, time_of

router = APIRouter(tags=["runs"])

MOST = 200
"""As many steps are on a page."""

_NO_SUCH_RUN = frozenset(
    {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.BAD_REQUEST}
)
"""How it is told that a text is the id of no run, or of several."""


class ComparedRun(BaseModel):
    """One of the two."""

    run: str
    flow: str
    key: str
    status: str
    started: datetime | None


class ComparedSide(BaseModel):
    """A step in one of them; input and output are null where the caller may not see what messages say."""

    agent: str = ""
    state: str = ""
    attempts: int = 0
    took_ms: float | None = None
    read: str = ""
    wrote: str = ""
    fallback: str = ""
    error: str = ""
    input: Any = None
    output: Any = None


class ChangeShown(BaseModel):
    """A place in a value that was `added`, `removed` or `changed`."""

    path: str
    kind: str
    left: Any = None
    right: Any = None


class ComparedStep(BaseModel):
    """A step in both; `differs` says in what: `presence` where one does not have it."""

    step: str
    agent: str
    differs: list[str]
    left: ComparedSide | None
    right: ComparedSide | None
    input: list[ChangeShown] = []
    output: list[ChangeShown] = []


class Compared(BaseModel):
    """Two runs: the steps in which they differ, or all; `next` is where to go on, null where there are no more."""

    left: ComparedRun
    right: ComparedRun
    total: int
    differing: int
    steps: list[ComparedStep]
    next: int | None


class Choosing(BaseModel):
    """Which two runs somebody has chosen so far, and what is wrong with each."""

    left: str
    right: str
    left_fault: str = ""
    right_fault: str = ""


def compare(
    coordinator: Asked,
    caller: By,
    request: Request,
    *,
    left: Annotated[str, Query(max_length=300, description="The id of a run, or how it begins.")] = "",
    right: Annotated[str, Query(max_length=300, description="The other one.")] = "",
    all: Annotated[bool, Query(description="The steps that are alike too.")] = False,
    begin: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> View[Compared] | View[Choosing]:
    """In what two runs differ: outcome, attempts, versions, duration, input and output of each step. `left` and `right` are needed.

    Many parameters because each is a part of the address.
    """
    is_page = wants_page(request)
    if is_page and not (left.strip() and right.strip()):
        return _choosing(Choosing(left=left, right=right))
    try:
        one, other = _found(coordinator, left), _found(coordinator, right)
    except CoordinationError as error:
        if not is_page or status_of(error) not in _NO_SUCH_RUN:
            raise
        faults = [_fault(coordinator, run) for run in (left, right)]
        return _choosing(
            Choosing(left=left, right=right, left_fault=faults[0], right_fault=faults[1]), status_of(error)
        )
    found = difference(one[1], other[1])
    wanted = found.steps if all else found.differing
    sees = caller.may(Permission.PAYLOADS)
    data = Compared(
        left=one[0],
        right=other[0],
        total=len(found.steps),
        differing=len(found.differing),
        steps=[_step(step, payloads=sees) for step in wanted[begin : begin + MOST]],
        next=begin + MOST if begin + MOST < len(wanted) else None,
    )
    more = {
        "all": all,
        "sees": sees,
        "begin": begin,
        "chosen": Choosing(left=one[0].run, right=other[0].run),
        "chooses": False,
    }
    return View(data, "Two runs", twin("runs compare", one[0].run, other[0].run, all=all), more)


def _choosing(chosen: Choosing, code: int = HTTPStatus.OK) -> View[Choosing]:
    """The page on which two runs are chosen."""
    return View(chosen, "Two runs", more={"chosen": chosen, "chooses": True}, code=code)


def _fault(coordinator: Coordinator, run: str) -> str:
    """What is wrong with the id of a run."""
    try:
        coordinator.find_run(run.strip())
    except ServerError:
        raise
    except CoordinationError as error:
        return f"{error.cause}: {error.remedy}" if error.remedy else error.cause
    return ""


def _found(coordinator: Coordinator, run: str) -> tuple[ComparedRun, list[dict[str, Any]]]:
    if not run.strip():
        raise InvalidData(
            "it is not said which two runs are compared",
            "nothing was compared",
            "give two ids, or how they begin: ?left=...&right=...",
        )
    found = coordinator.find_run(run.strip())
    history = found.history().to_json()
    first = history[0] if history else {}
    told = ComparedRun(
        run=found.id,
        flow=text_of(first, "flow", 300),
        key=text_of(first, "key", 1_000),
        status=status_for_people(found),
        started=time_of(first),
    )
    return told, history


def _step(found: StepDifference, *, payloads: bool) -> ComparedStep:
    return ComparedStep.model_validate(found.to_json(payloads=payloads))


add_page(router, "/runs/compare", compare, template="runs_compare.html.j2", model=Compared)
