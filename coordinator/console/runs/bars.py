"""Bars: the lines of a run's timeline as bars, from 0 to a thousand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from handoffs.coordinator.observe.nested import Item
from handoffs.coordinator.observe.timeline import Line, Lines

WIDE = 1000.0
"""How long the bar of a whole run is."""

_SHORTEST = 1e-6
"""A run that is shorter, in seconds, has no bars: all of it is one moment."""

_LEAST = 4.0
_COLOURS = {
    "settled": "good", "deduplicated": "good", "gathered": "good", "begun": "good", "skipped": "good", "signalled": "good",
    "parked": "bad", "refused": "bad", "cancelled": "dim", "given-up": "dim", "late": "warn", "retried": "warn", "waits": "warn",
    "fallback": "warn", "replayed": "warn", "edited": "warn", "": "dim",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bar:
    """A line with its bar: ``depth`` is how deep it hangs, ``begin`` and ``took`` are seconds (None where that is not told), ``ready`` is
    from where on it waited, ``left`` and ``width`` are where the bar is, ``colour`` its class; ``came`` what came of it."""

    depth: int
    label: str
    kind: str
    begin: float | None
    took: float | None
    ready: float
    left: float
    width: float
    colour: str
    came: str


@dataclass(frozen=True, slots=True)
class Bars:
    """The bars of a run, which took so many ``seconds`` so far; ``hidden`` lines more were left out."""

    bars: tuple[Bar, ...]
    seconds: float
    hidden: int


def bars_of(lines: Lines, most: int) -> Bars:
    """The bars of a timeline, the first ``most`` lines of it."""
    flat = list(_flat(lines, 0))
    seconds = max((line.span.end for _, line in flat if line.span), default=0.0)
    return Bars(
        tuple(_bar(depth, line, seconds) for depth, line in flat[:most]), seconds, max(len(flat) - most, 0)
    )


def _flat(items: Sequence[Item[Line]], depth: int) -> Iterator[tuple[int, Line]]:
    for item in items:
        yield depth, item.content
        yield from _flat(item.below, depth + 1)


def _bar(depth: int, line: Line, seconds: float) -> Bar:
    span, colour = line.span, _COLOURS.get(line.kind, "")
    if span is None:
        return Bar(depth, line.label, line.kind, None, None, 0.0, 0.0, 0.0, colour, line.came)
    scale = WIDE / seconds if seconds > _SHORTEST else 0.0
    width = max(0.0 if line.moment else (span.end - span.begin) * scale, _LEAST)
    left = min(span.begin * scale, WIDE - width)
    ready = min(span.ready * scale, left)
    took = None if line.moment else span.end - span.begin
    return Bar(
        depth,
        line.label,
        line.kind,
        span.begin,
        took,
        round(ready, 1),
        round(left, 1),
        round(width, 1),
        colour,
        line.came,
    )
