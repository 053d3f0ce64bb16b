"""Plan: lays out a city from a seed. The same seed gives the same city on every machine and Python version.

A grid of streets, each junction a little off its place; every fourth is a main road; a motorway around it, two avenues
across, a river with few bridges, and one-way streets where one can still get everywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Final

from handoffs.tasks.rides.city import City
from handoffs.tasks.rides.roads import Road, RoadClass

_BLOCK_METRES: Final = 300
_OFF_METRES: Final = 70
_MAIN_EVERY: Final = 4
_BRIDGES: Final = 3
_LONGEST_BEND: Final = 0.12
_SMALLEST: Final = 8

_Edge = tuple[int, int]


def plan_city(seed: int, *, columns: int = 32, rows: int = 24, one_way: float = 0.3) -> City:
    """Lay out a city of ``columns`` times ``rows`` junctions; ``one_way`` is the share of streets that are tried as such.

    Raises ValueError for fewer than 8 columns or rows, or a share that is not from 0 to 1.
    """
    if columns < _SMALLEST or rows < _SMALLEST or not 0 <= one_way <= 1:
        raise ValueError(
            f"A city of {columns} x {rows} junctions with {one_way} one-way streets cannot be laid out. "
            f"Give at least {_SMALLEST} columns and rows, and a share from 0 to 1."
        )
    return _Plan(Random(seed), columns, rows, one_way).city()  # noqa: S311 - a map, no secret


@dataclass
class _Plan:
    chance: Random
    columns: int
    rows: int
    one_way: float

    def city(self) -> City:
        places = [
            (column * _BLOCK_METRES + self._off(), row * _BLOCK_METRES + self._off())
            for row in range(self.rows)
            for column in range(self.columns)
        ]
        edges = self._bridged({**self._grid(), **self._avenues()}, places)
        roads: list[list[Road]] = [[] for _ in places]
        for (here, there), road_class in edges.items():
            metres = math.dist(places[here], places[there]) * (1 + self.chance.random() * _LONGEST_BEND)
            roads[here].append(Road(there, metres, road_class))
            roads[there].append(Road(here, metres, road_class))
        for (here, there), road_class in edges.items():
            if road_class is RoadClass.STREET and self.chance.random() < self.one_way:
                _make_one_way(roads, *((here, there) if self.chance.random() < 0.5 else (there, here)))
        return City(places, roads)

    def _off(self) -> int:
        return int((2 * self.chance.random() - 1) * _OFF_METRES)

    def _at(self, column: int, row: int) -> int:
        return row * self.columns + column

    def _grid(self) -> dict[_Edge, RoadClass]:
        edges = {}
        for row in range(self.rows):
            for column in range(self.columns):
                here = self._at(column, row)
                if column + 1 < self.columns:
                    edges[here, here + 1] = _line_class(row, self.rows)
                if row + 1 < self.rows:
                    edges[here, here + self.columns] = _line_class(column, self.columns)
        return edges

    def _avenues(self) -> dict[_Edge, RoadClass]:
        """Two diagonals, from corner towards corner, as far as the shorter side reaches."""
        length = min(self.columns, self.rows)
        start = int(self.chance.random() * (self.columns - length + 1))
        rising = [self._at(start + step, step) for step in range(length)]
        falling = [self._at(start + step, length - 1 - step) for step in range(length)]
        return {edge: RoadClass.AVENUE for line in (rising, falling) for edge in pairwise(line)}

    def _bridged(
        self, edges: dict[_Edge, RoadClass], places: list[tuple[int, int]]
    ) -> dict[_Edge, RoadClass]:
        """Without the roads that would cross the river, other than the motorway and a few main roads."""
        phase, swing = self.chance.random() * math.tau, _BLOCK_METRES * self.columns / 12
        middle = _BLOCK_METRES * (self.columns - 1) * (0.4 + 0.2 * self.chance.random())
        length = _BLOCK_METRES * self.rows

        def east(junction: int) -> bool:
            x, y = places[junction]
            return x > middle + swing * math.sin(phase + math.tau * y / length)

        inner = [row for row in range(1, self.rows - 1) if row % _MAIN_EVERY == 0]
        bridges = {0, self.rows - 1}
        while inner and len(bridges) < _BRIDGES + 2:
            bridges.add(inner.pop(int(self.chance.random() * len(inner))))
        return {
            (here, there): road_class
            for (here, there), road_class in edges.items()
            if east(here) == east(there)
            or (here // self.columns == there // self.columns and here // self.columns in bridges)
        }


def _line_class(line: int, lines: int) -> RoadClass:
    if line in (0, lines - 1):
        return RoadClass.MOTORWAY
    return RoadClass.MAIN if line % _MAIN_EVERY == 0 else RoadClass.STREET


def _make_one_way(roads: list[list[Road]], here: int, there: int) -> None:
    """Close the way back from ``there`` to ``here``, unless there would be no other."""
    back = next(road for road in roads[there] if road.to == here)
    roads[there].remove(back)
    if not _leads(roads, there, here):
        roads[there].append(back)


def _leads(roads: list[list[Road]], start: int, goal: int) -> bool:
    seen, pending = {start}, [start]
    for junction in pending:  # grows while it is gone through: nearest first
        for road in roads[junction]:
            if road.to == goal:
                return True
            if road.to not in seen:
                seen.add(road.to)
                pending.append(road.to)
    return False
