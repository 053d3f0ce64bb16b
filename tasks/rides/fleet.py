"""Fleet: the drivers of a city, in the memory of the one process that matches. No driver ever has two rides at once."""

from __future__ import annotations

import math
import threading
from bisect import insort
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Final

from handoffs.coordinator import Permanent
from handoffs.tasks.rides.city import City, Place
from handoffs.tasks.rides.routing import access_seconds, approaches, route

LONGEST_APPROACH: Final = timedelta(minutes=20)
"""A driver who is farther away is none."""

_HANDLING: Final = timedelta(minutes=1)  # getting in and out
_SEATS = (4, 4, 4, 6)


class FleetConflict(Permanent):
    """The same idempotency key came with another ride. The first one keeps its driver."""


@dataclass(frozen=True, slots=True)
class Driver:
    """A driver, the seats for riders, and the junction where the shift begins."""

    driver_id: str
    seats: int
    junction: int


@dataclass(frozen=True, slots=True)
class Order:
    """What a ride asks of the fleet."""

    pickup: Place
    dropoff: Place
    seats: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Reservation:
    """A driver is taken by an order, from its time until ``until``, and ``seconds`` and ``metres`` away from the pickup."""

    driver_id: str
    order: Order
    seconds: float
    metres: float
    until: datetime


class Fleet:
    """Reserves drivers. Safe for threads.

    A driver stands at the junction nearest to where the last ride ends, and is free from the time when it ends. Time is
    that of the orders, not of the machine: orders of an earlier day can be run again. An order that comes late, after
    one of a later time, is not given a driver whose reservation ends after it.

    ``remembered`` is how many reservations are known by their keys; the oldest are forgotten first.
    """

    def __init__(self, city: City, drivers: Iterable[Driver], *, remembered: int = 20_000) -> None:
        self._city = city
        self._drivers = {driver.driver_id: driver for driver in drivers}
        self._free_from = dict.fromkeys(self._drivers, -math.inf)  # Unix time
        self._junction = {driver.driver_id: driver.junction for driver in self._drivers.values()}
        self._standing: dict[int, list[str]] = {}  # the spatial index: drivers by junction
        for name in sorted(self._drivers):
            self._standing.setdefault(self._junction[name], []).append(name)
        self._remembered = remembered
        self._reservations: OrderedDict[str, Reservation] = OrderedDict()
        self._current: dict[str, str] = {}  # the key of each driver's latest reservation
        self._lock = threading.Lock()

    def reserve(self, key: str, order: Order) -> Reservation | None:
        """Take the driver who is at the pickup soonest; None where no driver is near enough, which is not remembered.

        The same key gives the same reservation, released or not. Raises :class:`FleetConflict` where it came with
        another order, and :class:`~handoffs.tasks.rides.city.OutsideCity`.
        """
        pickup, access = self._city.nearest(order.pickup)
        dropoff, _ = self._city.nearest(order.dropoff)
        trip = route(self._city, order.pickup, order.dropoff, order.at)
        with self._lock:
            known = self._reservations.get(key)
            if known is not None:
                return _same(known, order)
            found = self._soonest(pickup, order)
            if found is None:
                return None
            name, seconds, metres = found
            seconds += access_seconds(access, order.at)
            until = order.at + timedelta(seconds=seconds + trip.seconds) + _HANDLING
            reservation = Reservation(name, order, seconds, metres + access, until)
            self._move(name, dropoff)
            self._free_from[name] = until.timestamp()
            self._current[name] = key
            self._reservations[key] = reservation
            if len(self._reservations) > self._remembered:
                self._reservations.popitem(last=False)
            return reservation

    def release(self, key: str, at: datetime, where: Place | None = None) -> bool:
        """End a reservation at another time than was expected: the driver is free from ``at``, and stands at ``where``
        (by default at the dropoff). False where the driver has none of that key, or a later one.
        """
        junction = self._city.nearest(where)[0] if where is not None else None
        with self._lock:
            reservation = self._reservations.get(key)
            if reservation is None or self._current.get(reservation.driver_id) != key:
                return False
            name = reservation.driver_id
            del self._current[name]
            self._free_from[name] = max(at, reservation.order.at).timestamp()
            if junction is not None:
                self._move(name, junction)
            return True

    def available(self, at: datetime) -> int:
        """How many drivers are free at that time."""
        now = at.timestamp()
        with self._lock:
            return sum(free <= now for free in self._free_from.values())

    def _soonest(self, pickup: int, order: Order) -> tuple[str, float, float] | None:
        """The free driver who reaches the junction first, with seconds and metres."""
        now = order.at.timestamp()
        longest = LONGEST_APPROACH.total_seconds()
        for junction, seconds, metres in approaches(self._city, pickup, order.at, longest_seconds=longest):
            for name in self._standing.get(junction, ()):
                if self._free_from[name] <= now and self._drivers[name].seats >= order.seats:
                    return name, seconds, metres
        return None

    def _move(self, name: str, junction: int) -> None:
        self._standing[self._junction[name]].remove(name)
        self._junction[name] = junction
        insort(self._standing.setdefault(junction, []), name)


def stationed(city: City, seed: int, count: int) -> list[Driver]:
    """So many drivers at junctions that the seed chooses. One in four has six seats, the others four."""
    chance = Random(seed)  # noqa: S311 - a fleet, no secret
    return [
        Driver(
            f"driver-{number:04d}",
            _SEATS[int(chance.random() * len(_SEATS))],
            int(chance.random() * len(city.places)),
        )
        for number in range(1, count + 1)
    ]


def _same(known: Reservation, order: Order) -> Reservation:
    if known.order != order:
        raise FleetConflict(
            "the idempotency key has a driver for another ride",
            "no second driver was reserved",
            "find out which of the two rides is right, and give the other a key of its own",
        )
    return known
