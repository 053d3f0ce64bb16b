"""Reading view: an installation in numbers, on a terminal. What is not known is ``?``."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from rich.console import Group
from rich.text import Text

from handoffs.contracts.text import printable
from handoffs.coordinator.observe.census import STATUSES
from handoffs.coordinator.observe.moments import moment
from handoffs.coordinator.observe.reading import AgentReading, LetterReading, Rates, Reading
from handoffs.coordinator.observe.words import duration
from handoffs.coordinator.render.console import STYLES, table

_UNKNOWN = "?"
_COLUMNS = ("agent", "workers", "queued", "in hand", "parked", "oldest", "build")
_RIGHT = ("workers", "queued", "in hand", "parked", "oldest")


def reading_view(reading: Reading) -> Group:
    """A reading as people look at it."""
    lines = [Text(line, style=style, no_wrap=False) for line, style in _lines(reading)]
    rows = [_row(agent, reading.at) for agent in reading.agents]
    return Group(
        *lines, Text(), *([table("", _COLUMNS, rows, right=_RIGHT)] if rows else []), *_remarks(reading)
    )


def _lines(reading: Reading) -> Iterator[tuple[str, str]]:
    there = [
        f"{one.name} {one.took_ms:.0f} ms"
        for one in reading.servers
        if one.reachable and one.took_ms is not None
    ]
    yield f"{moment(reading.at, reading.at)}  {', '.join(there)}", "bold"
    for one in reading.unreachable:
        yield (
            f"{one.name} unreachable since {moment(one.since, reading.at)}: {printable(one.error, 300)}",
            STYLES["failed"],
        )
    yield f"runs       {_runs(reading)}", ""
    yield f"a second   {_rates(reading.rates)}", ""
    yield f"letters    {_letters(reading.letters, reading.at)}", ""
    yield f"journal    {_journal(reading)}", ""


def _runs(reading: Reading) -> str:
    runs = reading.runs
    if runs is None:
        return _UNKNOWN
    parts = [f"{runs.by_status[status]:,} {status}" for status in STATUSES if runs.by_status.get(status)]
    shown = ", ".join(parts) or "none"
    if not runs.complete:
        return f"{runs.live:,} live; of {runs.looked_at:,} that were looked at: {shown}"
    return shown


def _rates(rates: Rates | None) -> str:
    if rates is None:
        return _UNKNOWN
    total = rates.total
    parts = [f"{total.started:.1f} runs started", f"{total.handoffs:.1f} handoffs"]
    parts += [
        f"{count:.1f} {what}"
        for count, what in (
            (total.failures, "failed and tried again"),
            (total.parked, "parked"),
            (total.fallbacks, "budgets missed"),
        )
        if count
    ]
    return f"{', '.join(parts)} (of the last {rates.seconds:.0f} s)"


def _letters(letters: LetterReading | None, at: datetime) -> str:
    if letters is None:
        return _UNKNOWN
    unheard = f"; {letters.unheard:,} events that nobody heard" if letters.unheard else ""
    if not letters.waiting:
        return f"none wait{unheard}"
    kinds = ", ".join(f"{one.count:,} {printable(one.kind, 40)}" for one in letters.by_kind)
    first = letters.oldest
    oldest = (
        f"; the oldest, {printable(first.id, 80)}, for {_since(datetime.fromisoformat(first.since), at)}"
        if first
        else ""
    )
    return f"{kinds}{oldest}{unheard}"


def _journal(reading: Reading) -> str:
    lag, serving = reading.drain, reading.coordinators
    behind = (
        _UNKNOWN
        if lag is None
        else f"{lag.entries:,} entries behind" + (f", {lag.seconds:.1f} s" if lag.entries else "")
    )
    return f"{behind}; {_UNKNOWN if serving is None else serving} coordinator processes; {_UNKNOWN if reading.scheduled is None else reading.scheduled} runs begin later"


def _row(agent: AgentReading, at: datetime) -> tuple[object, ...]:
    workers = Text(_number(agent.workers), style=STYLES["failed"] if agent.unattended else "")
    oldest = "" if agent.oldest is None else _since(agent.oldest, at)
    queued = _number(agent.depth) if agent.depth is not None else "-"
    return (
        agent.name,
        workers,
        queued,
        _number(agent.in_hand),
        _number(agent.parked),
        oldest,
        ", ".join(agent.builds),
    )


def _remarks(reading: Reading) -> Iterator[Text]:
    if reading.coordinators == 0:
        yield Text("no coordinator process is at work: coordinator serve", style=STYLES["failed"])
    for agent in reading.agents:
        if agent.unattended:
            yield Text(
                f"nobody is at work as {agent.name}: coordinator worker {agent.name}", style=STYLES["failed"]
            )
    if reading.unreachable or reading.coordinators == 0:
        yield Text("what to do: coordinator doctor", style="dim")


def _number(value: int | None) -> str:
    return _UNKNOWN if value is None else f"{value:,}"


def _since(then: datetime, at: datetime) -> str:
    return duration(timedelta(seconds=max(round((at - then).total_seconds()), 0)))
