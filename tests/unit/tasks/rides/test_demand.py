"""Demand and price: surge stays within its bounds, and more demand or fewer drivers never make a ride cheaper."""

import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from handoffs.tasks.rides.demand import WINDOW, Demand, surge
from handoffs.tasks.rides.tariff import LOWEST_FARE, fare

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
ZONE = (3, 4)
DEMANDS = st.floats(0, 1e9)
DRIVERS = st.integers(0, 10_000)


@given(DEMANDS, DRIVERS)
def test_surge_is_bounded(demand: float, drivers: int) -> None:
    """Surge is from 1 to 3, in hundredths."""
    found = surge(demand, drivers)
    assert 1 <= found <= 3
    assert found.as_tuple().exponent == -2


@given(DEMANDS, DEMANDS, DRIVERS, DRIVERS)
def test_surge_is_monotone(one: float, other: float, few: int, many: int) -> None:
    """More demand never lowers surge; more drivers never raise it."""
    (less, more), (few, many) = sorted((one, other)), sorted((few, many))
    assert surge(less, many) <= surge(more, many) <= surge(more, few)


@given(st.floats(0, 200), DRIVERS)
def test_surge_is_smooth(demand: float, drivers: int) -> None:
    """A tenth of a request more changes surge by five hundredths at most."""
    assert surge(demand + 0.1, drivers) - surge(demand, drivers) <= Decimal("0.05")


def test_surge_where_supply_is_enough() -> None:
    """One request for each driver, and one more, add nothing; very many treble the price."""
    assert surge(0, 0) == surge(1, 0) == surge(4, 3) == Decimal("1.00")
    assert surge(6, 0) == Decimal("2.00")
    assert surge(1e9, 0) == Decimal("3.00")


def test_demand_slides_away() -> None:
    """A request counts fully when it comes, half after half of the window, and not at all when it is over."""
    demand = Demand()
    demand.note("r", ZONE, NOON)
    seen = [demand.at(ZONE, NOON + WINDOW * share) for share in (-0.1, 0.0, 0.5, 1.0, 2.0)]
    assert seen == [0, 1, 0.5, 0, 0]


def test_ride_counts_once() -> None:
    """A ride that is priced twice counts once; rides of another zone do not count."""
    demand = Demand()
    demand.note("other", (0, 0), NOON)
    assert [demand.note(key, ZONE, NOON) for key in ("a", "a", "b", "a")] == [1, 1, 2, 2]


def test_order_of_arrival_does_not_matter() -> None:
    """Requests that come in another order give the same demand in the end."""
    times = {f"r{number}": NOON + timedelta(seconds=37 * number) for number in range(20)}
    one, other = Demand(), Demand()
    for key, at in times.items():
        one.note(key, ZONE, at)
    for key, at in reversed(times.items()):
        other.note(key, ZONE, at)
    assert one.at(ZONE, NOON + WINDOW) == other.at(ZONE, NOON + WINDOW) > 1


@given(st.lists(st.integers(0, 1200), min_size=1, max_size=30))
def test_one_more_request_never_lowers_demand(seconds: list[int]) -> None:
    """Whatever was asked for when: the demand at the end grows with each request."""
    demand, end, before = Demand(), NOON + timedelta(seconds=1200), 0.0
    for number, second in enumerate(seconds):
        assert demand.note(f"r{number}", ZONE, NOON + timedelta(seconds=second)) >= 1
        now = demand.at(ZONE, end)
        assert now >= before - 1e-9
        before = now


def test_memory_is_bounded() -> None:
    """A zone keeps its latest requests only, and one that is too old counts for itself."""
    demand = Demand(most=5)
    for number in range(50):
        demand.note(f"r{number}", ZONE, NOON)
    assert demand.at(ZONE, NOON) == 5
    assert demand.note("old", ZONE, NOON - timedelta(minutes=1)) == 1


def test_threads_count_together() -> None:
    """Requests from many threads that take turns all the time, each several times at once, all count, once."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        demand = Demand(most=4_000)
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda number: demand.note(f"r{number // 8}", ZONE, NOON), range(4_000)))
    finally:
        sys.setswitchinterval(before)
    assert demand.at(ZONE, NOON) == 500


@given(st.integers(0, 50_000), st.integers(0, 50_000), st.integers(0, 7_200))
def test_fare_is_fair(metres: int, more: int, seconds: int) -> None:
    """A fare is in whole cents, never below the lowest, grows with the way, and surge multiplies it."""
    near = fare(metres, seconds, Decimal("1.00"))
    assert near >= LOWEST_FARE
    assert near.as_tuple().exponent == -2
    assert fare(metres + more, seconds, Decimal("1.00")) >= near
    assert abs(fare(metres, seconds, Decimal("2.50")) - near * Decimal("2.5")) < Decimal("0.02")


def test_fares() -> None:
    """Fares are what the tariff says, halves of a cent up."""
    assert fare(10_000, 1_200, Decimal("1.00")) == Decimal("21.50")
    assert fare(10_000, 1_200, Decimal("1.25")) == Decimal("26.88")
    assert fare(0, 0, Decimal("1.00")) == LOWEST_FARE
    assert fare(0, 0, Decimal("1.50")) == Decimal("9.00")
