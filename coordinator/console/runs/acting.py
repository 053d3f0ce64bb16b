"""Acting: what people do to a run: cancel it, give it up, hold it, let it go on, replay what is parked, allow it more."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, field_validator

from handoffs.contracts.errors import CoordinationError
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.console.access.permission import Permission
from handoffs.coordinator.console.action import Done, Why, add_action
from handoffs.coordinator.console.asked import Asked, By
from handoffs.coordinator.console.page import View, add_page
from handoffs.coordinator.console.run_status import status_for_people
from handoffs.coordinator.console.runs.one import RunId, one_run, refuse_ended
from handoffs.coordinator.console.templating import segment
from handoffs.coordinator.console.twin import twin
from handoffs.coordinator.errors import Conflict

router = APIRouter(tags=["runs"])

MOST_AT_ONCE = 50
"""So many letters of a run are replayed at once."""


class Undone(BaseModel):
    """A step that would be undone: its agent, which agent would undo it, and the contract version that is told what it made."""

    step: str
    agent: str
    undone_by: str
    contract: str


class Preview(BaseModel):
    """What cancelling a run with `compensate`, or giving it up, would do: which steps would be undone, in that order; `at_work` are the steps
    that run now, and are undone too when they finish; of `stays` nothing undoes what they did."""

    run: str
    flow: str
    status: str
    undone: list[Undone]
    at_work: list[str]
    stays: list[str]


class Cancelling(Why):
    """How a run is cancelled: with `compensate` what its steps did is undone, the last one first."""

    compensate: bool = False


class Allowing(Why):
    """What a run may use up in all from now on; what is not given stays as it is."""

    tokens: Annotated[int | None, Field(gt=0, le=10**12)] = None
    cost: Annotated[float | None, Field(gt=0, le=100_000)] = None

    @field_validator("tokens", "cost", mode="before")
    @classmethod
    def _empty(cls, value: Any) -> Any:
        """A field of a form that was left empty says nothing."""
        return None if value == "" else value


def preview(coordinator: Asked, request: Request, run: RunId) -> View[Preview]:
    """What would be undone if a run were cancelled with `compensate`, or given up, now. Nothing is changed."""
    found = one_run(coordinator, request, run)
    told = found.would_undo()
    data = Preview(
        run=found.id,
        flow=found.flow.name if found.flow else "",
        status=status_for_people(found),
        undone=[Undone(**one.to_json()) for one in told.undone],
        at_work=list(told.at_work),
        stays=list(told.stays),
    )
    return View(
        data, f"Cancel run {found.id[:12]}", twin("runs cancel", found.id, compensate=True, dry_run=True)
    )


def cancel_run(coordinator: Asked, caller: By, request: Request, run: RunId, body: Cancelling) -> Done:
    """Cancel a run: steps that run now finish, nothing further begins."""
    found = one_run(coordinator, request, run)
    refuse_ended(found, "cancelled")
    return _done(found, found.cancel(caller.name, compensate=body.compensate, why=body.why))


def give_up_run(coordinator: Asked, caller: By, request: Request, run: RunId, body: Why) -> Done:
    """Abandon a run: cancel it, and undo what was done."""
    found = one_run(coordinator, request, run)
    refuse_ended(found, "given up")
    return _done(found, found.give_up(caller.name, why=body.why))


def pause_run(coordinator: Asked, caller: By, request: Request, run: RunId, body: Why) -> Done:
    """Hold a run: steps that run now finish, nothing further begins until it is resumed."""
    found = one_run(coordinator, request, run)
    refuse_ended(found, "paused")
    return _done(found, found.pause(caller.name, why=body.why))


def resume_run(coordinator: Asked, caller: By, request: Request, run: RunId, body: Why) -> Done:
    """Let a held run go on. It does within seconds."""
    found = one_run(coordinator, request, run)
    refuse_ended(found, "resumed")
    return _done(found, found.resume(caller.name, why=body.why))


def retry_run(coordinator: Asked, caller: By, request: Request, run: RunId, body: Why) -> Done:
    """Replay the dead letters of a run that wait, fifty at most: its parked steps are tried again."""
    found = one_run(coordinator, request, run)
    letters = list(islice(coordinator.each_dead_letter(run=found.id), MOST_AT_ONCE + 1))
    if not letters:
        raise Conflict(
            f"no dead letter of run {found.id} waits", "nothing was replayed", "see what the run does now"
        )
    if len(letters) > MOST_AT_ONCE:
        raise Conflict(
            f"more than {MOST_AT_ONCE} dead letters of run {found.id} wait",
            "nothing was replayed",
            "replay them as one operation, from the page of dead letters",
        )
    refused = []
    for letter in letters:
        try:
            letter.replay(caller.name, body.why)
        except CoordinationError as error:
            refused.append(str(error))
    if len(refused) == len(letters):
        raise Conflict(refused[0], "nothing was replayed", "see its dead letters")
    said = f"{len(letters) - len(refused)} of {len(letters)} dead letters were replayed"
    return _done(found, found.status(), f"{said}; {refused[0]}" if refused else said)


def allow_run(coordinator: Asked, caller: By, request: Request, run: RunId, body: Allowing) -> Done:
    """Say what a run may use up in all, from now on."""
    found = one_run(coordinator, request, run)
    found.allow(body.tokens, body.cost, by=caller.name, why=body.why)
    return _done(found, found.status(), f"it may use up {found.spending()}")


def page_of(run: Run) -> str:
    """The path of a run's page."""
    return f"/runs/{segment(run.id)}"


def _done(run: Run, status: str, said: str = "") -> Done:
    message = f"run {run.id[:12]}: {said}; it is {status}" if said else f"run {run.id[:12]} is {status}"
    return Done(message, page_of(run), {"run": run.id, "status": status})


add_page(router, "/runs/{run}/cancel", preview, template="run_cancel.html.j2", model=Preview)
add_action(router, "/runs/{run}/cancel", cancel_run)
add_action(router, "/runs/{run}/give-up", give_up_run, permission=Permission.ADMINISTER)
add_action(router, "/runs/{run}/pause", pause_run)
add_action(router, "/runs/{run}/resume", resume_run)
add_action(router, "/runs/{run}/retry", retry_run)
add_action(router, "/runs/{run}/allow", allow_run, permission=Permission.ADMINISTER)
