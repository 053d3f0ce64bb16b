"""Timeline of a run: its history in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from handoffs.config import clock
from handoffs.coordinator.observe.current import Current
from handoffs.coordinator.observe.outline import Outline
from handoffs.coordinator.observe.timeline import timeline
from handoffs.coordinator.observe.words import duration
from handoffs.coordinator.render.console import STYLES, out, table
from handoffs.coordinator.render.gantt import gantt
from handoffs.coordinator.render.lines import as_ascii, cut


def run_timeline(
    run: str, history: Sequence[Mapping[str, Any]], flow: Outline | None = None, doing: Sequence[Current] = ()
) -> Group:
    """The history of ``run``, and for what it waits (of ``doing``): what happened to which step, as its flow is nested, when, for how long, and what came of it.

    ``flow``, where it is loaded, adds its conditions, budgets and names; without it the steps' paths are told.
    """
    whole = [*history, *awaited(history, doing)]
    lines = [Text(cut(f"run {run}", out.width), "bold"), *gantt(timeline(whole, flow), out.width, STYLES)]
    if out.options.ascii_only:
        lines = [Text(as_ascii(line.plain)) for line in lines]
    return Group(*lines)


def awaited(history: Sequence[Mapping[str, Any]], doing: Sequence[Current]) -> Iterator[Mapping[str, Any]]:
    """What a run waits for, as entries of its history."""
    for one in doing:
        if one.state == "waiting" and history:
            at = one.since.isoformat(timespec="milliseconds") if one.since else history[-1]["at"]
            yield {"kind": "waiting", "step": one.step, "at": at, "signal": one.signal, "wrote": one.contract}


def now_table(doing: Sequence[Current]) -> RenderableType:
    """What a run does now, as a table."""
    now = clock.now()
    rows = [(one.step, one.agent, one.words(now), _ago(one.since, now)) for one in doing]
    return table("now", ("step", "agent", "state", "for"), rows)


def _ago(since: datetime | None, now: datetime) -> str:
    return duration(max(now - since, timedelta(milliseconds=1))) if since else ""
