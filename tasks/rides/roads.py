"""Roads: their classes, and how fast each is at what time of day."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import IntEnum
from itertools import pairwise
from typing import Final, NamedTuple


class RoadClass(IntEnum):
    """From the slowest to the fastest."""

    STREET = 0
    MAIN = 1
    AVENUE = 2
    MOTORWAY = 3


SPEEDS: Final = (30.0, 50.0, 60.0, 90.0)
"""Kilometres an hour on an empty road, by road class."""

_SENSITIVITIES = (0.4, 1.0, 0.9, 1.2)  # how much of the congestion each class suffers
_WEEKEND = 0.4
_WEEKDAY_CONGESTION = (
    (0.0, 0.0), (5.5, 0.0), (8.0, 0.9), (10.0, 0.35), (15.0, 0.4), (17.5, 1.0), (19.5, 0.4), (22.0, 0.0), (24.0, 0.0),
)  # fmt: skip


class Road(NamedTuple):
    """One direction of a road: the junction that it leads to, its length, its class."""

    to: int
    metres: float
    road_class: RoadClass


def congestion(at: datetime) -> float:
    """How full the roads are, from 0 (empty) to 1 (the worst hour of the week). The city's clock is UTC."""
    clock = at.astimezone(UTC)
    hour = clock.hour + clock.minute / 60 + clock.second / 3600
    share = _WEEKEND if clock.weekday() >= 5 else 1.0
    for (start, low), (end, high) in pairwise(_WEEKDAY_CONGESTION):
        if hour < end:
            return share * (low + (high - low) * (hour - start) / (end - start))
    return 0.0


def paces(at: datetime) -> tuple[float, ...]:
    """Seconds a metre, by road class, in the traffic of that time; never less than on an empty road."""
    full = congestion(at)
    return tuple(
        3.6 / speed * (1 + full * sensitivity)
        for speed, sensitivity in zip(SPEEDS, _SENSITIVITIES, strict=True)
    )
