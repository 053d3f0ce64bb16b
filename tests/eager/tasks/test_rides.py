"""The reference system rides: a request becomes a dispatch, once, in eager mode and with worker threads."""

import itertools
import logging
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from handoffs import Context, Coordinator
from handoffs.config.settings import Settings
from handoffs.contracts.errors import InvalidData
from handoffs.contracts.reference.rides import (
    DriverMatched,
    EtaEstimated,
    Point,
    RideDispatched,
    RidePriced,
    RideQuoted,
    RideRequested,
)
from handoffs.coordinator.flow.loading import load_modules
from handoffs.tasks.rides import dispatch, eta, match, price, systems
from handoffs.tasks.rides.flow import dispatching
from handoffs.tasks.rides.requests import make_requests
from handoffs.tasks.rides.tariff import FLAT_FARE
from tests.waiting import wait_until

TIMEOUT = 20.0
NEVER = timedelta(minutes=1)
ride = dispatching(matching=NEVER, pricing=NEVER, routing=NEVER)
"""The flow with budgets that even a busy machine never spends."""


@pytest.fixture(autouse=True)
def fresh_systems() -> Iterator[None]:
    """Each test has a fleet and a demand of its own."""
    systems.start_over()
    yield
    systems.start_over()


def requests(count: int) -> list[RideRequested]:
    """Some ride requests, always the same."""
    return make_requests(systems.city(), count, 7)


def context(key: str, settings: Settings) -> Context:
    """What an agent is told besides its input."""
    logger = logging.LoggerAdapter(logging.getLogger("rides"), {})
    return Context("run", ride.name, "1", "rides", key, 1, None, settings, logger)


def check_no_double_booking(dispatched: list[RideDispatched]) -> None:
    """No driver is under way for two rides at once."""
    by_driver: dict[str | None, list[tuple[Any, Any]]] = defaultdict(list)
    for found in dispatched:
        by_driver[found.driver_id].append((found.requested_at, found.arrives_at))
    for times in by_driver.values():
        for (_, end), (start, _) in itertools.pairwise(sorted(times)):
            assert end <= start


def test_ride_is_dispatched(anywhere: Coordinator) -> None:
    """A request gets a driver, a price and an arrival, all of this ride."""
    [request] = requests(1)
    run = anywhere.start(ride, request)
    found: RideDispatched = run.result(TIMEOUT)
    assert (found.ride_id, found.outcome, found.basis) == (request.ride_id, "dispatched", "routed")
    assert found.driver_id is not None
    assert found.pickup_at is not None
    assert found.arrives_at is not None
    assert request.requested_at <= found.pickup_at < found.arrives_at
    assert found.amount >= 6
    settled = {entry["agent"] for entry in run.history() if entry["kind"] == "settled"}
    assert settled == {"rides.matching", "rides.pricing", "rides.eta", "rides.dispatcher"}


def test_many_rides_share_the_fleet(anywhere: Coordinator) -> None:
    """Many rides at once, each asked for twice: all end, and no driver has two rides at a time."""
    wanted = requests(60)
    runs = [anywhere.start(ride, request) for request in (*wanted, *wanted)]
    assert len({run.id for run in runs}) == len(wanted)
    found = [run.result(TIMEOUT) for run in runs[: len(wanted)]]
    dispatched = [result for result in found if result.outcome == "dispatched"]
    assert len(dispatched) > len(wanted) / 2
    check_no_double_booking(dispatched)


def test_no_driver_is_an_outcome(anywhere: Coordinator) -> None:
    """A ride that nobody can take completes and says so: no driver has eight seats."""
    [request] = requests(1)
    run = anywhere.start(ride, request.model_copy(update={"seats": 8}))
    found: RideDispatched = run.result(TIMEOUT)
    assert (found.outcome, found.driver_id, found.arrives_at) == ("no-driver", None, None)


def test_ride_outside_the_city_is_parked(anywhere: Coordinator) -> None:
    """A ride that begins elsewhere is parked at each agent that cannot serve it, at the first attempt."""
    [request] = requests(1)
    far = request.model_copy(update={"pickup": Point(latitude=0.0, longitude=0.0)})
    run = anywhere.start(ride, far)
    wait_until(lambda: len(run.letters()) == 3, description="three letters are there")
    letters = run.letters()
    assert {letter.agent for letter in letters} == {"rides.matching", "rides.pricing", "rides.eta"}
    assert {(letter.kind, letter.error) for letter in letters} == {("error", "OutsideCity")}


def test_what_stands_in(coordinator: Coordinator) -> None:
    """Where nobody can say who drives, what it costs and how long it takes, the ride ends without a driver, at a flat fare
    and as the crow flies; and the dispatch knows."""
    [request] = requests(1)
    far = request.model_copy(update={"dropoff": Point(latitude=48.3, longitude=11.5)})
    run = coordinator.start(ride, far)
    found: RideDispatched = run.result(TIMEOUT)
    assert (found.outcome, found.basis) == ("no-driver", "estimated")
    assert (found.amount, found.surge) == (FLAT_FARE, Decimal(1))
    [last] = [entry for entry in run.history() if entry["kind"] == "settled" and entry["step"] == "2"]
    assert last["fallback"] == "match: agent; price: agent; eta: agent"


def test_eta_of_an_earlier_trip(coordinator: Coordinator) -> None:
    """Where ETA fails, that of the last trip between the same zones stands in, and the dispatch says so."""
    [request] = requests(1)
    earlier = coordinator.start(ride, request).result(TIMEOUT)
    far = request.model_copy(
        update={"ride_id": "ride-2", "dropoff": Point(latitude=48.3, longitude=11.5), "seats": 4}
    )
    found = coordinator.start(ride, far).result(TIMEOUT)
    assert (earlier.basis, found.basis) == ("routed", "cached")


def test_driver_of_a_ride_that_went_on_is_free(coordinator_settings: Settings) -> None:
    """A match that comes too late gives its driver back."""
    [request] = requests(1)
    late = replace(context(request.ride_id, coordinator_settings), given_up=lambda: True)
    assert match(request, late).outcome == "no-driver"
    assert systems.fleet().available(request.requested_at) == systems.DRIVERS


def test_malformed_request_starts_nothing(anywhere: Coordinator) -> None:
    """A request that is none is refused without a run."""
    [request] = requests(1)
    with pytest.raises(InvalidData, match="seats"):
        anywhere.start(ride, {**request.to_data(), "seats": 0})


def test_agents_alone(coordinator_settings: Settings) -> None:
    """The agents are functions: each can be called alone, and matching again gives the same driver."""
    [request] = requests(1)
    told = context(request.ride_id, coordinator_settings)
    matched: DriverMatched = match(request, told)
    priced: RidePriced = price(request)
    estimated: EtaEstimated = eta(request, told)
    assert match(request, told) == matched
    assert price(request) == priced
    assert priced.surge == 1
    found = dispatch(RideQuoted(match=matched, price=priced, eta=estimated), told)
    assert matched.pickup_seconds is not None
    assert found.arrives_at == request.requested_at + timedelta(
        seconds=matched.pickup_seconds + estimated.seconds
    )


def test_agents_agree_on_the_city(coordinator_settings: Settings) -> None:
    """The driver whom matching reserves is busy for as long as the way to the pickup and the ETA say."""
    [request] = requests(1)
    matched = match(request, context(request.ride_id, coordinator_settings))
    busy = matched.pickup_seconds + eta(request, context("", coordinator_settings)).seconds
    at = request.requested_at + timedelta(seconds=busy)
    assert systems.fleet().available(at) == systems.DRIVERS - 1
    assert systems.fleet().available(at + timedelta(minutes=1)) == systems.DRIVERS


def test_rush_makes_rides_dearer() -> None:
    """The same trip costs more when many ask for it at once, and never more than three times as much."""
    [request] = requests(1)
    found = [
        price(request.model_copy(update={"ride_id": f"r-{number}", "drivers_nearby": 0}))
        for number in range(40)
    ]
    surges = [priced.surge for priced in found]
    assert surges == sorted(surges)
    assert surges[0] == 1
    assert 2 < surges[-1] <= 3
    assert found[-1].amount <= 3 * found[0].amount


def test_other_zone_or_later_is_not_dearer() -> None:
    """A rush elsewhere, or one that is over, raises no price."""
    [request] = requests(1)
    for number in range(40):
        price(request.model_copy(update={"ride_id": f"r-{number}", "drivers_nearby": 0}))
    elsewhere = systems.city().point(systems.city().places[0])
    later = request.requested_at + timedelta(minutes=11)
    quiet = {"ride_id": "r-quiet", "drivers_nearby": 0}
    assert price(request.model_copy(update={**quiet, "pickup": elsewhere})).surge == 1
    assert price(request.model_copy(update={**quiet, "requested_at": later})).surge == 1


def test_system_is_loaded_by_name() -> None:
    """A worker finds the agents and the flow by the name of the module."""
    found = load_modules(["handoffs.tasks.rides"])
    own = {"rides.matching", "rides.pricing", "rides.eta", "rides.dispatcher"}
    assert set(found.agents) == own | {"rides.no-driver", "rides.flat-fare", "rides.straight-line"}
    assert set(found.flows) == {"rides.dispatch"}
