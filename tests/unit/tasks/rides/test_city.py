"""The city of rides: the same from a seed, connected, and with routes that are the fastest that there are."""

import math
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs.contracts.reference.rides import Point
from handoffs.tasks.rides.city import City, OutsideCity, two_way
from handoffs.tasks.rides.plan import plan_city
from handoffs.tasks.rides.roads import SPEEDS, RoadClass, congestion, paces
from handoffs.tasks.rides.routing import approaches, fastest, route
from tests.examples import examples

NIGHT = datetime(2026, 1, 5, 3, tzinfo=UTC)
RUSH = datetime(2026, 1, 5, 17, 30, tzinfo=UTC)
EVER = 1e9
TIMES = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


@cache
def city(seed: int = 7) -> City:
    """A city, laid out once for all tests."""
    return plan_city(seed)


JUNCTIONS = st.integers(0, len(city().places) - 1)
EASTS = st.floats(0, max(east for east, _ in city().places))
NORTHS = st.floats(0, max(north for _, north in city().places))
PLACES = st.tuples(EASTS, NORTHS)


def test_seed_makes_the_city() -> None:
    """The same seed gives the same city, another seed another one."""
    again, other = plan_city(7), plan_city(8)
    assert (again.places, again.roads) == (city().places, city().roads)
    assert other.places != city().places
    assert other.roads != city().roads


def test_city_is_as_it_was() -> None:
    """The city of a seed is the same on every machine: its junctions, and how far it is across."""
    assert len(city().places) == 768
    assert city().places[:3] == ((-24, -48), (321, -59), (605, -18))
    assert round(fastest(city(), 0, 767, NIGHT).seconds) == 704


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(("columns", "rows"), [(32, 24), (8, 8), (9, 30)])
def test_every_junction_leads_to_every_other(seed: int, columns: int, rows: int) -> None:
    """One-way streets, river and all: from each junction one gets to each other."""
    made = plan_city(seed, columns=columns, rows=rows, one_way=1.0)
    from_all = list(approaches(made, 0, NIGHT, longest_seconds=EVER))
    assert len(from_all) == columns * rows
    back = City(
        made.places, made.roads_into
    )  # each road the other way round: who is reached is who can be left to
    assert len(list(approaches(back, 0, NIGHT, longest_seconds=EVER))) == columns * rows


def test_city_has_everything() -> None:
    """There are roads of each class, one-way streets, and few ways over the river."""
    roads = [(here, road) for here, leaving in enumerate(city().roads) for road in leaving]
    assert {road.road_class for _, road in roads} == set(RoadClass)
    one_way = [road for here, road in roads if not two_way(city(), (here, road.to))]
    assert len(one_way) > 100
    assert {road.road_class for road in one_way} == {RoadClass.STREET}
    across = {row: _cut(city(), row) for row in range(24)}
    assert sum(not cut for cut in across.values()) == 5
    assert not across[0]
    assert not across[23]


def _cut(made: City, row: int) -> bool:
    """Whether a line of the grid is cut by the river."""
    line = range(row * 32, row * 32 + 31)
    return any(
        all(road.to != here + 1 for road in made.roads[here])
        and all(road.to != here for road in made.roads[here + 1])
        for here in line
    )


@pytest.mark.parametrize(
    "wrong", [{"columns": 7}, {"rows": 0}, {"one_way": -0.1}, {"one_way": 1.1}, {"one_way": math.nan}]
)
def test_impossible_plan(wrong: dict[str, float]) -> None:
    """A city that is too small, or a share that is none, is refused."""
    with pytest.raises(ValueError, match="cannot be laid out"):
        plan_city(1, **wrong)  # type: ignore[arg-type]


@given(JUNCTIONS, JUNCTIONS, TIMES)
@examples(60)
def test_a_star_is_as_good_as_dijkstra(start: int, goal: int, at: datetime) -> None:
    """A* finds a way exactly as fast as the one that an exhaustive search finds."""
    exhaustive = {
        junction: seconds for junction, seconds, _ in approaches(city(), goal, at, longest_seconds=EVER)
    }
    assert fastest(city(), start, goal, at).seconds == pytest.approx(exhaustive[start], rel=1e-9)


@given(JUNCTIONS, JUNCTIONS, TIMES)
@examples(60)
def test_route_is_a_way_along_roads(start: int, goal: int, at: datetime) -> None:
    """A route goes from junction to junction over roads that are there, and adds up."""
    found, pace = fastest(city(), start, goal, at), paces(at)
    assert (found.junctions[0], found.junctions[-1]) == (start, goal)
    roads = [
        min(
            (road for road in city().roads[here] if road.to == there),
            key=lambda road: road.metres * pace[road.road_class],
        )
        for here, there in pairwise(found.junctions)
    ]
    assert sum(road.metres for road in roads) == pytest.approx(found.metres)
    assert sum(road.metres * pace[road.road_class] for road in roads) == pytest.approx(found.seconds)


@given(PLACES, PLACES, TIMES)
@examples(60)
def test_no_route_beats_the_crow(start: tuple[float, float], end: tuple[float, float], at: datetime) -> None:
    """No route is shorter than the straight line, nor faster than that at top speed."""
    found, straight = route(city(), start, end, at), math.dist(start, end)
    assert found.metres >= straight - 1e-6
    assert found.seconds >= straight * 3.6 / max(SPEEDS) - 1e-6


@given(JUNCTIONS, JUNCTIONS, TIMES)
@examples(60)
def test_two_way_roads_lead_back_as_fast(start: int, goal: int, at: datetime) -> None:
    """Where a route can be driven back, the way back takes no longer; in a city without one-way streets, exactly as long."""
    there, back = fastest(city(), start, goal, at), fastest(city(), goal, start, at)
    if two_way(city(), there.junctions):
        assert back.seconds <= there.seconds + 1e-9
    if two_way(city(), there.junctions) and two_way(city(), back.junctions):
        assert back.seconds == pytest.approx(there.seconds)
    open_city = _without_one_ways()
    assert fastest(open_city, start, goal, at).seconds == pytest.approx(
        fastest(open_city, goal, start, at).seconds
    )


@cache
def _without_one_ways() -> City:
    return plan_city(7, one_way=0.0)


def test_one_way_streets_make_a_difference() -> None:
    """Somewhere the way back takes longer."""
    differences = [
        fastest(city(), here, road.to, NIGHT).seconds - fastest(city(), road.to, here, NIGHT).seconds
        for here, leaving in enumerate(city().roads)
        for road in leaving
        if not two_way(city(), (here, road.to))
    ]
    assert min(differences) < -10


@given(PLACES)
@examples(100)
def test_nearest_junction(place: tuple[float, float]) -> None:
    """The junction found is the nearest of all."""
    junction, metres = city().nearest(place)
    assert metres == math.dist(place, city().places[junction])
    assert metres == min(math.dist(place, other) for other in city().places)


@pytest.mark.parametrize("place", [(-1_100.0, 0.0), (5_000.0, -1_080.0), (1e7, 1e7), (-1e300, 0.0)])
def test_outside_the_city(place: tuple[float, float]) -> None:
    """A place that is more than a kilometre away from all junctions is refused."""
    with pytest.raises(OutsideCity, match="kilometre"):
        city().nearest(place)


def test_places_at_the_edge_belong_to_the_city() -> None:
    """A place less than a kilometre away from a junction is of the city."""
    east, north = city().places[0]
    assert city().nearest((east - 600.0, north - 700.0))[1] == pytest.approx(math.hypot(600, 700))


@given(PLACES)
def test_map_and_plane(place: tuple[float, float]) -> None:
    """A place on the map, and back, is off by less than a metre."""
    assert math.dist(city().place(city().point(place)), place) < 1


def test_far_away_point() -> None:
    """Any point of the earth has a place, and is outside."""
    for latitude in (-90.0, 90.0):
        with pytest.raises(OutsideCity):
            city().nearest(city().place(Point(latitude=latitude, longitude=180.0)))


@given(TIMES)
def test_congestion_is_bounded_and_continuous(at: datetime) -> None:
    """Roads are from empty to full, and no minute changes that by much, midnight included."""
    here, later = congestion(at), congestion(at + timedelta(minutes=1))
    assert 0 <= here <= 1
    assert abs(later - here) < 0.01
    assert all(pace >= 3.6 / speed for pace, speed in zip(paces(at), SPEEDS, strict=True))


def test_rush_hour_takes_longer() -> None:
    """The same trip takes longer in the rush hour than at night, and less on a Sunday."""
    took = [fastest(city(), 0, 767, at).seconds for at in (NIGHT, RUSH - timedelta(days=1), RUSH)]
    assert took == sorted(set(took))
