"""The fleet: one driver a ride, one ride a driver at a time, whatever comes twice or at once."""

import random
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs.tasks.rides.city import City, OutsideCity, Place
from handoffs.tasks.rides.fleet import (
    LONGEST_APPROACH,
    Driver,
    Fleet,
    FleetConflict,
    Order,
    Reservation,
    stationed,
)
from handoffs.tasks.rides.plan import plan_city
from handoffs.tasks.rides.routing import fastest
from tests.examples import examples

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


@cache
def city() -> City:
    """A city, laid out once for all tests."""
    return plan_city(7)


def place(junction: int) -> Place:
    """Where a junction is."""
    return city().places[junction]


def order(pickup: int = 100, dropoff: int = 400, seats: int = 1, at: datetime = NOON) -> Order:
    """An order from junction to junction."""
    return Order(place(pickup), place(dropoff), seats, at)


@pytest.fixture
def restless_threads() -> Iterator[None]:
    """Threads take turns all the time, so that what is not locked goes wrong."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def fleet(*junctions: int, seats: int = 4, remembered: int = 100) -> Fleet:
    """A fleet with a driver at each of the junctions."""
    drivers = [Driver(f"d{number}", seats, junction) for number, junction in enumerate(junctions)]
    return Fleet(city(), drivers, remembered=remembered)


def check_nobody_is_in_two_places(reservations: Iterable[Reservation]) -> None:
    """No driver's reservations overlap."""
    by_driver = defaultdict(list)
    for reservation in reservations:
        by_driver[reservation.driver_id].append((reservation.order.at, reservation.until))
    for times in by_driver.values():
        for (_, end), (start, _) in pairwise(sorted(times)):
            assert end <= start


def test_same_ride_gets_the_same_driver() -> None:
    """A ride that is matched twice has one driver, and the second driver is still free."""
    drivers = fleet(100, 101)
    first = drivers.reserve("r", order())
    assert first is not None
    assert drivers.reserve("r", order()) == first
    assert drivers.available(NOON) == 1


def test_same_key_for_another_ride() -> None:
    """The same key with another order is a conflict, and takes nobody."""
    drivers = fleet(100, 101)
    drivers.reserve("r", order())
    for other in (order(dropoff=401), order(seats=2), order(at=NOON + timedelta(seconds=1))):
        with pytest.raises(FleetConflict):
            drivers.reserve("r", other)
    assert drivers.available(NOON) == 1


def test_driver_is_busy_until_the_trip_ends() -> None:
    """A driver is taken from the order to the end of the trip, and then free where it ended."""
    drivers = fleet(100)
    first = drivers.reserve("r1", order())
    assert first is not None
    just_before = first.until - timedelta(microseconds=1)
    assert drivers.reserve("r2", order(at=NOON)) is None
    assert drivers.reserve("r3", order(at=just_before)) is None
    assert (drivers.available(just_before), drivers.available(first.until)) == (0, 1)
    second = drivers.reserve("r4", order(400, 100, at=first.until))
    assert second is not None
    assert (second.driver_id, second.seconds) == ("d0", 0.0)


def test_late_order_takes_nobody_who_was_busy_then() -> None:
    """An order of an earlier time than the last one does not get a driver who was taken since."""
    drivers = fleet(100)
    drivers.reserve("r1", order())
    assert drivers.reserve("r2", order(at=NOON - timedelta(hours=1))) is None


@given(st.integers(0, 767), st.lists(st.integers(0, 767), min_size=1, max_size=12))
@examples(40)
def test_soonest_driver_is_taken(pickup: int, junctions: list[int]) -> None:
    """Whoever is at the pickup soonest is taken, by travel time over the roads."""
    found = fleet(*junctions).reserve("r", order(pickup))
    soonest = min(fastest(city(), junction, pickup, NOON).seconds for junction in junctions)
    if soonest > LONGEST_APPROACH.total_seconds():
        assert found is None
    else:
        assert found is not None
        assert found.seconds == pytest.approx(soonest)


def test_way_to_the_pickup_goes_all_the_way() -> None:
    """A pickup off the junction takes the driver longer, and the driver is busy for it."""
    east, north = place(100)
    at_junction = fleet(100).reserve("r", order())
    beside = fleet(100).reserve("r", Order((east + 60.0, north), place(400), 1, NOON))
    assert at_junction is not None
    assert beside is not None
    assert (beside.metres, at_junction.metres) == (60.0, 0.0)
    assert beside.seconds >= 60 / (30 / 3.6)
    assert beside.until > at_junction.until


def test_driver_too_far_away_is_none() -> None:
    """Who would need more than the longest approach is not taken."""
    rush = datetime(2026, 1, 5, 17, 30, tzinfo=UTC)
    took = fastest(city(), 767, 0, rush).seconds
    assert took > LONGEST_APPROACH.total_seconds()
    assert fleet(767).reserve("r", order(0, at=rush)) is None


def test_seats_are_enough() -> None:
    """A car with too few seats is passed over."""
    drivers = Fleet(city(), [Driver("small", 4, 100), Driver("large", 6, 300)])
    found = drivers.reserve("r", order(seats=5))
    assert found is not None
    assert found.driver_id == "large"
    assert drivers.reserve("r2", order(seats=7)) is None


def test_no_driver_is_not_remembered() -> None:
    """A ride that nobody could take may be tried again when somebody is free."""
    drivers = fleet(100)
    first = drivers.reserve("r1", order())
    assert first is not None
    assert drivers.reserve("r2", order()) is None
    assert drivers.release("r1", NOON)
    assert drivers.reserve("r2", order()) is not None


def test_release_frees_the_driver_where_it_says() -> None:
    """A ride that ends early leaves its driver free then and there, and its key keeps its answer."""
    drivers = fleet(100)
    first = drivers.reserve("r1", order())
    early = NOON + timedelta(minutes=1)
    assert drivers.release("r1", early, place(200))
    assert (drivers.available(early), drivers.available(NOON)) == (1, 0)
    second = drivers.reserve("r2", order(200, at=early))
    assert second is not None
    assert second.seconds == 0.0
    assert drivers.reserve("r1", order()) == first


def test_release_touches_no_later_ride() -> None:
    """Releasing what is unknown, released already, or followed by another ride changes nothing."""
    drivers = fleet(100)
    first = drivers.reserve("r1", order())
    assert first is not None
    drivers.reserve("r2", order(at=first.until))
    assert not drivers.release("r1", NOON)
    assert not drivers.release("unknown", NOON)
    assert drivers.available(first.until) == 0
    assert drivers.release("r2", first.until)
    assert not drivers.release("r2", NOON)


def test_release_frees_no_earlier_ride() -> None:
    """A release before the order's own time does not make the driver free before it."""
    drivers = fleet(100)
    drivers.reserve("r1", order())
    assert drivers.release("r1", NOON - timedelta(days=1))
    assert drivers.available(NOON - timedelta(seconds=1)) == 0


def test_outside_the_city() -> None:
    """An order that begins or ends outside takes nobody."""
    drivers = fleet(100)
    for wrong in (replace(order(), pickup=(1e6, 0.0)), replace(order(), dropoff=(0.0, -1e6))):
        with pytest.raises(OutsideCity):
            drivers.reserve("r", wrong)
    assert drivers.available(NOON) == 1


def test_memory_is_bounded() -> None:
    """Old keys are forgotten; their drivers stay taken."""
    drivers = fleet(*range(10), remembered=3)
    for number in range(10):
        drivers.reserve(f"r{number}", order())
    assert drivers.available(NOON) == 0
    assert not drivers.release("r0", NOON)
    assert drivers.release("r9", NOON)


@pytest.mark.usefixtures("restless_threads")
@pytest.mark.parametrize("seed", range(3))
def test_no_driver_is_booked_twice_at_once(seed: int) -> None:
    """Many threads and every order several times: one driver a ride, one ride a driver at a time."""
    chance = random.Random(seed)
    drivers = Fleet(city(), stationed(city(), seed, 30))
    orders = {
        f"r{number}": order(
            chance.randrange(768),
            chance.randrange(768),
            at=NOON + timedelta(seconds=chance.randrange(7200)),
        )
        for number in range(200)
    }
    calls = [*orders.items()] * 3
    chance.shuffle(calls)
    answers = defaultdict(list)
    with ThreadPoolExecutor(8) as threads:
        for (key, _), found in zip(
            calls, threads.map(lambda call: drivers.reserve(*call), calls), strict=True
        ):
            if found is not None:
                answers[key].append(found)
    assert len(answers) > 50
    for found_often in answers.values():
        assert len(set(found_often)) == 1
    check_nobody_is_in_two_places(found_often[0] for found_often in answers.values())


@pytest.mark.usefixtures("restless_threads")
def test_duplicates_at_once_take_one_driver() -> None:
    """The same ride from many threads at the same time takes one driver."""
    drivers = fleet(*range(20))
    with ThreadPoolExecutor(16) as threads:
        found = set(threads.map(lambda _: drivers.reserve("r", order()), range(64)))
    assert len(found) == 1
    assert drivers.available(NOON) == 19


def test_seed_stations_the_drivers() -> None:
    """The same seed stations the same drivers, another seed others; all are somewhere in the city."""
    drivers = stationed(city(), 7, 300)
    assert drivers == stationed(city(), 7, 300)
    assert drivers != stationed(city(), 8, 300)
    assert len({driver.driver_id for driver in drivers}) == 300
    assert {driver.seats for driver in drivers} == {4, 6}
    assert all(0 <= driver.junction < len(city().places) for driver in drivers)
