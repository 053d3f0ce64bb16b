"""Trace: a story as a tree: from the event or the run that it began with to everything that it led to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel

from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.console.access.permission import Permission
from handoffs.coordinator.console.asked import Asked, By
from handoffs.coordinator.console.page import View, add_page
from handoffs.coordinator.console.twin import twin
from handoffs.coordinator.errors import UnknownRun
from handoffs.coordinator.observe.folding import Row, folded, states
from handoffs.coordinator.observe.trace import Trace, TraceNode

router = APIRouter(tags=["runs"])

MOST_ROWS = 500
"""As many lines of a trace are shown."""

_DEEPEST = 40
_NAMELESS = "an event that nobody tells of"


class TraceRow(BaseModel):
    """A line of a trace: what stands before it as it hangs, what it is, how many it tells of, and their states; the run and the step of the
    first of them. Times are in milliseconds since the story began."""

    rails: str
    kind: str
    name: str
    many: int
    states: dict[str, int]
    which: str
    at_ms: float | None
    took_ms: float | None
    attempts: int
    said: list[str]
    run: str
    step: str


class TraceShown(BaseModel):
    """A story in lines, where many of one kind are one; ``counts`` of what is in which state; ``hidden`` lines more are left out."""

    id: str
    began: str
    counts: dict[str, int]
    rows: list[TraceRow]
    hidden: int


def trace(
    coordinator: Asked,
    caller: By,
    correlation_id: Annotated[
        str, Path(max_length=300, description="That of a story, or the id of a run; or how it begins.")
    ],
    *,
    all: Annotated[bool, Query(description="A line for each, however many there are of one kind.")] = False,
) -> View[TraceShown]:
    """A story as a tree: who emitted what, who heard it, what came of it."""
    found = _trace(coordinator, correlation_id)
    data = trace_shown(found, payloads=caller.may(Permission.PAYLOADS), everything=all)
    return View(data, f"Trace {found.asked[:12]}", twin("trace", found.asked, all=all), {"all": all})


def trace_shown(found: Trace, *, payloads: bool, everything: bool = False) -> TraceShown:
    """A trace as it is shown; ``payloads``: with what messages say, to tell one from others."""
    rows = [_row(one, payloads=payloads) for one in folded(found, _DEEPEST, everything=everything)]
    return TraceShown(
        id=found.asked,
        began=found.began,
        counts=found.counts,
        rows=rows[:MOST_ROWS],
        hidden=max(len(rows) - MOST_ROWS, 0),
    )


def _trace(coordinator: Coordinator, correlation_id: str) -> Trace:
    try:
        return coordinator.trace(correlation_id)
    except UnknownRun:
        return coordinator.trace(coordinator.find_run(correlation_id).id)


def _row(row: Row, *, payloads: bool) -> TraceRow:
    nodes, one = row.nodes, row.nodes[0]
    first = min((node.at_ms for node in nodes if node.at_ms is not None), default=None)
    took = max((node.took_ms for node in nodes if node.took_ms is not None), default=None)
    told = [node for node in nodes if node.state != "emitted"]
    return TraceRow(
        rails=row.first, kind="" if row.below or row.more else one.kind, name=_name(row), many=1 if row.below or row.more else len(nodes),
        states=states(told), which=one.which if payloads and len(nodes) == 1 else "", at_ms=first, took_ms=took,
        attempts=max(node.attempts for node in nodes), said=_said(nodes), run=one.run, step=one.step,
    )  # fmt: skip


def _name(row: Row) -> str:
    if row.below:
        return f"… {row.below} further down"
    return f"… and {row.more} more" if row.more else row.nodes[0].name or _NAMELESS


def _said(nodes: Sequence[TraceNode]) -> list[str]:
    """What else there is to say of one; of several, of what kind the notes are."""
    if len(nodes) > 1:
        return sorted({note.partition(" ")[0] for node in nodes for note in node.notes} - {"read"})
    [one] = nodes
    came = []
    if one.kind == "set":
        came = [f"{one.size}{'' if one.expected is None else f' of {one.expected}'} events have come"]
    return [*came, *([one.reason] if one.reason else []), *one.notes]


add_page(router, "/trace/{correlation_id}", trace, template="trace.html.j2", model=TraceShown)
