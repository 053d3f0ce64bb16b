"""Routing: the fastest way through a city, in the traffic at the time of departure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from heapq import heappop, heappush
from typing import Final

from handoffs.tasks.rides.city import City, Place
from handoffs.tasks.rides.roads import RoadClass, paces

_ACCESS: Final = RoadClass.STREET


@dataclass(frozen=True, slots=True)
class Route:
    """A way: how long it takes, how long it is, and the junctions that it goes through."""

    seconds: float
    metres: float
    junctions: tuple[int, ...]


def route(city: City, start: Place, end: Place, at: datetime) -> Route:
    """The fastest way between two places: to the nearest junction, through the city, and from the nearest one.

    Raises :class:`~handoffs.tasks.rides.city.OutsideCity`.
    """
    (first, before), (last, after) = city.nearest(start), city.nearest(end)
    way = fastest(city, first, last, at)
    access = before + after
    return Route(way.seconds + access_seconds(access, at), way.metres + access, way.junctions)


def access_seconds(metres: float, at: datetime) -> float:
    """How long it takes to get between a place and the nearest junction, so many metres away: as on a street."""
    return metres * paces(at)[_ACCESS]


def fastest(city: City, start: int, goal: int, at: datetime) -> Route:
    """The fastest way between two junctions (A*)."""
    pace = paces(at)
    best_pace, places, target = min(pace), city.places, city.places[goal]
    took, length, came_from = {start: 0.0}, {start: 0.0}, {start: start}
    done: set[int] = set()
    pending = [(math.dist(places[start], target) * best_pace, start)]
    while pending:
        _, junction = heappop(pending)
        if junction == goal:
            break
        if junction in done:
            continue
        done.add(junction)
        for to, metres, road_class in city.roads[junction]:
            seconds = took[junction] + metres * pace[road_class]
            if seconds < took.get(to, math.inf):
                took[to], length[to], came_from[to] = seconds, length[junction] + metres, junction
                heappush(pending, (seconds + math.dist(places[to], target) * best_pace, to))
    return Route(took[goal], length[goal], _traced(came_from, goal))


def approaches(
    city: City, goal: int, at: datetime, *, longest_seconds: float
) -> Iterator[tuple[int, float, float]]:
    """The junctions from which ``goal`` is reached within that time, soonest first, with seconds and metres (Dijkstra)."""
    pace = paces(at)
    pending = [(0.0, 0.0, goal)]
    done: set[int] = set()
    while pending:
        seconds, length, junction = heappop(pending)
        if seconds > longest_seconds:
            return
        if junction in done:
            continue
        done.add(junction)
        yield junction, seconds, length
        for origin, metres, road_class in city.roads_into[junction]:
            if origin not in done:
                heappush(pending, (seconds + metres * pace[road_class], length + metres, origin))


def _traced(came_from: dict[int, int], goal: int) -> tuple[int, ...]:
    way = [goal]
    while came_from[way[-1]] != way[-1]:
        way.append(came_from[way[-1]])
    return tuple(reversed(way))
