"""The agents of the reference system *rides*. Each does one phase; each could be another team's."""

from __future__ import annotations

import math
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from handoffs.contracts.reference.rides import (
    LONGEST_RIDE_METRES,
    LONGEST_RIDE_SECONDS,
    DriverMatched,
    EtaEstimated,
    RideDispatched,
    RidePriced,
    RideQuoted,
    RideRequested,
    RideTerms,
)
from handoffs.coordinator import Context, Retry, agent
from handoffs.tasks.rides import systems
from handoffs.tasks.rides.demand import surge
from handoffs.tasks.rides.fleet import Order
from handoffs.tasks.rides.roads import RoadClass, paces
from handoffs.tasks.rides.routing import Route, route
from handoffs.tasks.rides.tariff import CURRENCY, FLAT_FARE, fare

_QUICK: Final = Retry(attempts=2, backoff=timedelta(milliseconds=20))
_DETOUR: Final = 1.33


def _ride(quoted: RideQuoted) -> str:
    return quoted.match.ride_id


@agent("rides.matching", retry=_QUICK)
def match(ride: RideRequested, context: Context) -> DriverMatched:
    """Reserve the driver who is at the pickup soonest, once for each ride however often this runs.

    Where the budget was spent meanwhile, the driver is released. What is left is the moment between that question and the
    recording of the outcome: a driver who is given away in it is busy until the ride would have been over.
    """
    city = systems.city()
    order = Order(city.place(ride.pickup), city.place(ride.dropoff), ride.seats, ride.requested_at)
    reservation = systems.fleet().reserve(context.idempotency_key, order)
    if reservation is None:
        return DriverMatched(**_terms(ride), outcome="no-driver")
    if context.given_up():  # the ride goes on without a driver by now: no ride would ever take this one
        systems.fleet().release(context.idempotency_key, ride.requested_at, order.pickup)
        return DriverMatched(**_terms(ride), outcome="no-driver")
    return DriverMatched(
        **_terms(ride),
        outcome="matched",
        driver_id=reservation.driver_id,
        pickup_seconds=math.ceil(reservation.seconds),
        pickup_metres=math.ceil(reservation.metres),
    )


@agent("rides.pricing", retry=_QUICK)
def price(ride: RideRequested) -> RidePriced:
    """Price the trip by length and time, and by how many others want a ride around the pickup."""
    trip = _trip(ride)
    city = systems.city()
    wanted = systems.demand().note(ride.ride_id, city.zone(city.place(ride.pickup)), ride.requested_at)
    multiplier = surge(wanted, ride.drivers_nearby)
    return RidePriced(
        **_terms(ride),
        amount=fare(math.ceil(trip.metres), math.ceil(trip.seconds), multiplier),
        currency=CURRENCY,
        surge=multiplier,
    )


@agent("rides.eta", retry=_QUICK)
def eta(ride: RideRequested, context: Context) -> EtaEstimated:
    """Say how long the trip takes in the traffic at the time of the request."""
    systems.brake().passed(context.settings.rides.eta_delay)
    trip = _trip(ride)
    return EtaEstimated(
        pickup=ride.pickup,
        dropoff=ride.dropoff,
        seconds=math.ceil(trip.seconds),
        metres=math.ceil(trip.metres),
        basis="routed",
    )


@agent("rides.dispatcher", key=_ride, retry=_QUICK)
def dispatch(quoted: RideQuoted, context: Context) -> RideDispatched:
    """Send the driver, or say that there is none. The log line stands for the sending.

    An ETA that was routed for another trip stands in for this one's.
    """
    ride, priced, estimate = quoted.match, quoted.price, quoted.eta
    common = {
        **_terms(ride),
        "amount": priced.amount,
        "currency": priced.currency,
        "surge": priced.surge,
        "basis": "cached" if estimate.basis == "routed" and _stands_in(context) else estimate.basis,
    }
    if ride.pickup_seconds is None:
        return RideDispatched(**common, outcome="no-driver")
    pickup_at = ride.requested_at + timedelta(seconds=ride.pickup_seconds)
    context.logger.info("sent %s to ride %s", ride.driver_id, ride.ride_id)
    return RideDispatched(
        **common,
        outcome="dispatched",
        driver_id=ride.driver_id,
        pickup_at=pickup_at,
        arrives_at=pickup_at + timedelta(seconds=estimate.seconds),
    )


@agent("rides.no-driver", retry=_QUICK)
def no_driver(ride: RideRequested) -> DriverMatched:
    """What stands in for matching: no driver is sent."""
    return DriverMatched(**_terms(ride), outcome="no-driver")


@agent("rides.flat-fare", retry=_QUICK)
def flat_fare(ride: RideRequested) -> RidePriced:
    """What stands in for pricing: a fare that is the same for every trip."""
    return RidePriced(**_terms(ride), amount=FLAT_FARE, currency=CURRENCY, surge=Decimal("1.00"))


@agent("rides.straight-line", retry=_QUICK)
def straight_line(ride: RideRequested) -> EtaEstimated:
    """What stands in for an ETA: the way as the crow flies and a third more, on main roads in the traffic of that time."""
    city = systems.city()
    metres = min(math.dist(city.place(ride.pickup), city.place(ride.dropoff)) * _DETOUR, LONGEST_RIDE_METRES)
    seconds = min(metres * paces(ride.requested_at)[RoadClass.MAIN], LONGEST_RIDE_SECONDS)
    return EtaEstimated(
        pickup=ride.pickup,
        dropoff=ride.dropoff,
        seconds=math.ceil(seconds),
        metres=math.ceil(metres),
        basis="estimated",
    )


def _stands_in(context: Context) -> bool:
    """Whether the ETA that a dispatch is given was kept from an earlier trip."""
    return any(part.startswith("eta: cache") for part in context.fallback.split("; "))


def _trip(ride: RideRequested) -> Route:
    city = systems.city()
    return route(city, city.place(ride.pickup), city.place(ride.dropoff), ride.requested_at)


def _terms(ride: RideTerms) -> dict[str, Any]:
    return {name: getattr(ride, name) for name in RideTerms.model_fields}
