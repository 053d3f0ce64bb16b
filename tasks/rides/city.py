"""City: junctions, the roads between them, and what lies where. Immutable, so that threads and agents may share one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from handoffs.contracts.reference.rides import Point
from handoffs.coordinator import Permanent
from handoffs.tasks.rides.roads import Road

ZONE_METRES: Final = 1_000
"""The side of the squares in which demand is counted."""

_CELL_METRES = 300
_FARTHEST_METRES = 1_000
_SOUTH_WEST = Point(latitude=48.1, longitude=11.5)
_METRES_A_DEGREE = 111_195.0  # of latitude; of longitude it is this times the cosine
_METRES_A_DEGREE_EAST = _METRES_A_DEGREE * math.cos(math.radians(_SOUTH_WEST.latitude))

Place = tuple[float, float]
"""Metres east and north of the city's south-west corner."""
Zone = tuple[int, int]


class OutsideCity(Permanent):
    """A place is more than a kilometre away from the nearest junction. Trying again will not help."""


class City:
    """A road graph in the plane.

    ``places`` has the place of each junction, ``roads`` the roads that leave it, ``roads_into`` those that lead to it
    (their ``to`` is where they come from). Every junction can be reached from every other.
    """

    def __init__(self, places: Sequence[tuple[int, int]], roads: Sequence[Sequence[Road]]) -> None:
        self.places = tuple(places)
        self.roads = tuple(tuple(leaving) for leaving in roads)
        entering: list[list[Road]] = [[] for _ in self.places]
        for junction, leaving in enumerate(self.roads):
            for road in leaving:
                entering[road.to].append(road._replace(to=junction))
        self.roads_into = tuple(tuple(into) for into in entering)
        self._cells: dict[tuple[int, int], list[int]] = {}
        for junction, place in enumerate(self.places):
            self._cells.setdefault(_square(place, _CELL_METRES), []).append(junction)

    def place(self, point: Point) -> Place:
        """Where a point of the map lies, in metres."""
        return (
            (point.longitude - _SOUTH_WEST.longitude) * _METRES_A_DEGREE_EAST,
            (point.latitude - _SOUTH_WEST.latitude) * _METRES_A_DEGREE,
        )

    def point(self, place: Place) -> Point:
        """The point of the map at a place, to six decimals of a degree (about 0.1 m)."""
        east, north = place
        return Point(
            latitude=round(_SOUTH_WEST.latitude + north / _METRES_A_DEGREE, 6),
            longitude=round(_SOUTH_WEST.longitude + east / _METRES_A_DEGREE_EAST, 6),
        )

    def zone(self, place: Place) -> Zone:
        """The square kilometre in which a place lies."""
        return _square(place, ZONE_METRES)

    def nearest(self, place: Place) -> tuple[int, float]:
        """The junction nearest to a place as the crow flies, and the metres to it.

        Raises :class:`OutsideCity` where none is within a kilometre.
        """
        column, row = _square(place, _CELL_METRES)
        best, closest = -1, math.inf
        for ring in range(_FARTHEST_METRES // _CELL_METRES + 2):
            if closest <= (ring - 1) * _CELL_METRES:  # whatever is in this ring is farther away
                break
            for junction in self._ring(column, row, ring):
                metres = math.dist(place, self.places[junction])
                if metres < closest:
                    best, closest = junction, metres
        if closest > _FARTHEST_METRES:
            raise OutsideCity(
                "a place is more than a kilometre away from every road of the city",
                "no ride can begin or end there",
                "check the coordinates of pickup and dropoff",
            )
        return best, closest

    def _ring(self, column: int, row: int, ring: int) -> list[int]:
        """The junctions of the cells that are exactly ``ring`` cells away."""
        span = range(-ring, ring + 1)
        return [
            junction
            for east in span
            for north in (span if abs(east) == ring else {-ring, ring})
            for junction in self._cells.get((column + east, row + north), ())
        ]


def two_way(city: City, junctions: Sequence[int]) -> bool:
    """Whether a way along ``junctions`` can be driven back as well."""
    return all(any(road.to == here for road in city.roads[there]) for here, there in pairwise(junctions))


def _square(place: Place, side: int) -> tuple[int, int]:
    return math.floor(place[0] / side), math.floor(place[1] / side)
