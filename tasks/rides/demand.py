"""Demand: how many rides were asked for where, lately, and what that does to the price."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from handoffs.contracts.reference.rides import HIGHEST_SURGE
from handoffs.tasks.rides.city import Zone

WINDOW: Final = timedelta(minutes=10)
"""How long a request counts. It counts less and less: fully when it comes, not at all when the window is over."""

_BALANCED = 1.0  # requests a driver, up to which nothing is added
_HALFWAY = 5.0  # more requests a driver than that, at which half of the range is added
_CENT = Decimal("0.01")


def surge(demand: float, drivers: int) -> Decimal:
    """What the fare is multiplied by, from 1.00 to 3.00: more with more demand, less with more free drivers.

    It rises smoothly from where there is one request for each driver, and reaches 3 only where demand is boundless.
    """
    strain = max(0.0, demand / (max(drivers, 0) + 1) - _BALANCED)
    share = 1 / (1 + (_HALFWAY / strain) ** 2) if strain > 1e-6 else 0.0
    return (1 + (HIGHEST_SURGE - 1) * Decimal(share)).quantize(_CENT, ROUND_HALF_UP)


@dataclass(slots=True)
class _Heard:
    """The requests of one zone by time (Unix time, key), and their keys."""

    requests: list[tuple[float, str]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)


class Demand:
    """Counts the requests of each zone in a sliding window. Safe for threads.

    Time is that of the requests, not of the machine, and they may come in any order. Of each zone the latest ``most``
    are kept.
    """

    def __init__(self, *, window: timedelta = WINDOW, most: int = 2_000) -> None:
        self._window = window.total_seconds()
        self._most = most
        self._zones: dict[Zone, _Heard] = {}
        self._lock = threading.Lock()

    def note(self, key: str, zone: Zone, at: datetime) -> float:
        """Count a request, once however often it is noted, and give the demand of its zone at its time: at least 1.

        A request that is too old to be kept counts for itself.
        """
        now = at.timestamp()
        with self._lock:
            heard = self._zones.setdefault(zone, _Heard())
            if key not in heard.keys:
                heard.keys.add(key)
                insort(heard.requests, (now, key))
                if len(heard.requests) > self._most:
                    heard.keys.discard(heard.requests.pop(0)[1])
            return max(1.0, self._weight(heard, now))

    def at(self, zone: Zone, at: datetime) -> float:
        """The demand of a zone at that time: each request of the window before it, by how new it is."""
        with self._lock:
            return self._weight(self._zones.get(zone, _Heard()), at.timestamp())

    def _weight(self, heard: _Heard, now: float) -> float:
        first = bisect_left(heard.requests, (now - self._window,))
        last = bisect_right(heard.requests, now, key=lambda request: request[0])
        ages = ((now - time) for time, _ in heard.requests[first:last])
        return sum(1 - age / self._window for age in ages)
