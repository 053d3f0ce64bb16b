"""Requests: where rides come from. A JSON Lines file, or a day of them made from a seed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Final

from handoffs.contracts import strictjson
from handoffs.contracts.errors import InvalidInput
from handoffs.contracts.reference.rides import RideRequested
from handoffs.coordinator.client.batch import read_lines
from handoffs.tasks.rides.city import City, Place

A_WEEKDAY: Final = datetime(2026, 1, 5, tzinfo=UTC)
"""The day of the requests that are made, a Monday."""

_SHORTEST_TRIP_METRES = 500.0


class InvalidRequest(InvalidInput):
    """A line is no ride request. ``line`` is its number, from 1."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(
            f"line {line}: {reason}",
            "no ride was asked for",
            "write one ride request as a JSON object a line",
        )
        self.line = line
        self.reason = reason

    def __reduce__(self) -> tuple[type[InvalidRequest], tuple[int, str]]:
        return type(self), (self.line, self.reason)


@dataclass(slots=True)
class Requests:
    """What a file holds: the requests in order, and an error for each line that is none."""

    rides: list[RideRequested] = field(default_factory=list)
    refused: list[InvalidRequest] = field(default_factory=list)


def read_request(line: bytes, number: int = 1) -> RideRequested:
    """Read one line. Raises :class:`InvalidRequest`, which shows no value of it."""
    try:
        return RideRequested.from_data(strictjson.loads(line))
    except InvalidInput as error:
        raise InvalidRequest(number, error.cause) from None


def read_requests(path: Path) -> Requests:
    """Read a JSON Lines file. A line that is no request is kept as an error and stops nothing.

    Raises :class:`~handoffs.contracts.CoordinationError` where the file cannot be read or is empty.
    """
    found = Requests()
    for number, line in enumerate(read_lines(path), 1):
        if not line:
            continue
        try:
            found.rides.append(read_request(line, number))
        except InvalidRequest as error:
            found.refused.append(error)
    return found


def write_requests(path: Path, rides: Iterable[RideRequested]) -> None:
    """Write a JSON Lines file. Raises OSError where the path cannot be written."""
    path.write_bytes(b"".join(strictjson.dumps(ride.to_data()).encode() + b"\n" for ride in rides))


@dataclass(frozen=True, slots=True)
class _Wave:
    """Many want the same at about the same time: ``share`` of all requests, within ``spread_hours`` around ``hour``.

    ``start`` and ``end`` are shares of the city's width and height; None is anywhere. ``drivers`` are nearby at most.
    """

    share: float
    hour: float
    spread_hours: float
    start: Place | None
    end: Place | None
    drivers: int


_CENTRE = (0.45, 0.5)
_WAVES = (
    _Wave(0.22, 8.0, 1.2, (0.82, 0.78), _CENTRE, 4),  # to work from the north-east
    _Wave(0.13, 7.5, 1.2, (0.15, 0.2), _CENTRE, 4),  # and from the south-west
    _Wave(0.30, 17.5, 1.5, _CENTRE, None, 6),  # home
    _Wave(0.10, 22.5, 1.2, (0.35, 0.7), None, 2),  # after the concert
    _Wave(0.25, 12.0, 12.0, None, None, 8),  # all day
)
_CLUSTER_METRES = 900.0


def make_requests(city: City, count: int, seed: int, *, day: datetime = A_WEEKDAY) -> list[RideRequested]:
    """So many requests of one day, by time, with the waves of a weekday: to work, home, and after the concert.

    The same city, count, seed and day give the same requests. Raises ValueError where the count is not positive.
    """
    if count < 1:
        raise ValueError(f"{count} requests cannot be made. Give a count of 1 or more.")
    maker = _Maker(city, Random(seed), day)  # noqa: S311 - sample data, no secret
    drafts = sorted((maker.draft() for _ in range(count)), key=lambda draft: draft.at)
    return [
        RideRequested(
            ride_id=f"ride-{seed}-{number:06d}",
            rider=f"rider-{draft.rider:04d}",
            pickup=city.point(draft.pickup),
            dropoff=city.point(draft.dropoff),
            seats=draft.seats,
            requested_at=draft.at,
            drivers_nearby=draft.drivers,
        )
        for number, draft in enumerate(drafts, 1)
    ]


@dataclass(frozen=True, slots=True)
class _Draft:
    at: datetime
    rider: int
    pickup: Place
    dropoff: Place
    seats: int
    drivers: int


class _Maker:
    """The source of chance, and the city that it is about."""

    def __init__(self, city: City, chance: Random, day: datetime) -> None:
        self._chance = chance
        self._day = day
        self._east = float(max(east for east, _ in city.places))
        self._north = float(max(north for _, north in city.places))

    def draft(self) -> _Draft:
        wave = self._wave()
        hour = wave.hour + self._bell() * wave.spread_hours
        pickup, dropoff = self._place(wave.start), self._place(wave.end)
        while math.dist(pickup, dropoff) < _SHORTEST_TRIP_METRES:
            dropoff = self._place(None)
        return _Draft(
            at=self._day + timedelta(seconds=int(hour % 24 * 3600)),
            rider=1 + self._below(600),
            pickup=pickup,
            dropoff=dropoff,
            seats=(1, 1, 1, 2, 2, 3, 4, 5)[self._below(8)],
            drivers=self._below(wave.drivers + 1),
        )

    def _wave(self) -> _Wave:
        left = self._chance.random()
        for wave in _WAVES:
            left -= wave.share
            if left < 0:
                return wave
        return _WAVES[-1]

    def _place(self, centre: Place | None) -> Place:
        if centre is None:
            return self._chance.random() * self._east, self._chance.random() * self._north
        east = centre[0] * self._east + self._bell() * _CLUSTER_METRES
        north = centre[1] * self._north + self._bell() * _CLUSTER_METRES
        return min(max(east, 0.0), self._east), min(max(north, 0.0), self._north)

    def _bell(self) -> float:
        """From -1 to 1, mostly near 0."""
        return sum(self._chance.random() for _ in range(4)) / 2 - 1

    def _below(self, limit: int) -> int:
        return int(self._chance.random() * limit)
