"""Show: the page of a run, and its history."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from handoffs.coordinator.console.access.permission import Permission
from handoffs.coordinator.console.asked import Asked, By
from handoffs.coordinator.console.page import View, add_page
from handoffs.coordinator.console.runs.models import RunShown
from handoffs.coordinator.console.runs.one import RunId, one_run
from handoffs.coordinator.console.runs.reading import Looked, run_shown, without_payloads
from handoffs.coordinator.console.trace import trace_shown
from handoffs.coordinator.console.twin import twin
from handoffs.coordinator.observe.run_outline import Window
from handoffs.coordinator.observe.run_summary import shown_status
from handoffs.coordinator.store.run_state import ENDED

router = APIRouter(tags=["runs"])

LARGEST_PAGE = 500


class HistoryShown(BaseModel):
    """A part of a run's history, oldest first: ``entries`` as `coordinator runs show --json` prints them, from number ``begin`` of ``total``
    on; ``next`` is where the next part begins, null where this is the last."""

    run: str
    begin: int
    total: int
    next: int | None
    entries: list[dict[str, Any]]


def run(
    coordinator: Asked,
    caller: By,
    request: Request,
    run: RunId,
    *,
    step: Annotated[
        str,
        Query(
            max_length=2_000,
            description="The path of a step that is told in full; by default the first parked one.",
        ),
    ] = "",
    within: Annotated[
        str, Query(max_length=2_000, description="Of the many steps in this one, show fifty from `begin` on.")
    ] = "",
    begin: Annotated[
        int | None, Query(ge=0, le=1_000_000, description="From which number on, from 0.")
    ] = None,
) -> View[RunShown]:
    """A run: how it is and what it does now, its flow with the state of each step, its timeline, and one step in full.

    Many parameters because each is a part of the address.
    """
    found = one_run(coordinator, request, run)
    window = Window(within, begin) if begin is not None else None
    data = run_shown(coordinator, found, caller, Looked(step, window))
    more: dict[str, Any] = {
        "ended": data.status in ENDED,
        "shown": shown_status(data.status, waits=bool(data.waiting)),
        "changes": data.status not in ENDED or data.untold == "on its way",
        "unknown_step": step if step and (data.step is None or data.step.step != step) else "",
        "asked": {"step": step, "within": within, "begin": begin},
        "story": None,
    }
    if data.is_story:
        more["story"] = trace_shown(coordinator.trace(found.id), payloads=caller.may(Permission.PAYLOADS))
    return View(data, f"Run {found.id[:12]}", twin("runs show", found.id), more)


def history(
    coordinator: Asked,
    caller: By,
    request: Request,
    run: RunId,
    *,
    begin: Annotated[int, Query(ge=0, le=10_000_000, description="From which entry on, from 0.")] = 0,
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 100,
) -> View[HistoryShown]:
    """All that happened to a run, entry by entry, oldest first."""
    found = one_run(coordinator, request, run)
    whole = found.history().to_json()
    part = whole[begin : begin + limit]
    sees = caller.may(Permission.PAYLOADS)
    data = HistoryShown(
        run=found.id,
        begin=begin,
        total=len(whole),
        next=begin + limit if begin + limit < len(whole) else None,
        entries=part if sees else [without_payloads(one) for one in part],
    )
    return View(data, f"History of {found.id[:12]}", twin("runs show", found.id, json=True), {"limit": limit})


add_page(router, "/runs/{run}", run, template="run.html.j2", model=RunShown)
add_page(router, "/runs/{run}/history", history, template="run_history.html.j2", model=HistoryShown)
