"""Histogram: how many runs were accepted when, as columns that can be chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from handoffs.coordinator.observe.facets import StartedRuns

WIDE, HIGH = 1000.0, 80.0
"""How large the whole is."""

_LEAST = 2.0
_GAP = 0.15


@dataclass(frozen=True, slots=True)
class Column:
    """A part of the time, ``since`` then and before ``until``, with so many ``runs``; where its column stands, and how high it is."""

    since: datetime
    until: datetime
    runs: int
    x: float
    y: float
    width: float
    height: float


def histogram(started: Sequence[StartedRuns], part: timedelta) -> list[Column]:
    """The columns, of which the highest is as high as the whole; what has any run can be seen."""
    most = max((one.runs for one in started), default=0)
    step = WIDE / max(len(started), 1)
    return [_column(one, part, number * step, step, most) for number, one in enumerate(started)]


def _column(one: StartedRuns, part: timedelta, x: float, step: float, most: int) -> Column:
    height = max(HIGH * one.runs / most, _LEAST) if one.runs else 0.0
    return Column(
        one.at,
        one.at + part,
        one.runs,
        round(x + step * _GAP / 2, 2),
        round(HIGH - height, 2),
        round(step * (1 - _GAP), 2),
        round(height, 2),
    )
