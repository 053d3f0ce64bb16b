"""The contracts of the reference system *rides*."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Literal, Self

from pydantic import AwareDatetime, Field, ValidationInfo, field_validator, model_validator

from handoffs.contracts.contract import Contract, Key
from handoffs.contracts.numbers import ExactDecimal

Currency = Literal["EUR", "USD", "GBP"]
"""Currencies of two decimals."""
LONGEST_RIDE_SECONDS = 86_400
LONGEST_RIDE_METRES = 1_000_000
HIGHEST_SURGE = 3

_ZONE_LATITUDE = 0.03
_ZONE_LONGITUDE = 0.04
_ZONE = r"^[A-Za-z0-9._-]*$"
_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


class Point(Contract):
    """A place on the map, in degrees (WGS 84)."""

    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)


def zone_of(place: Point) -> str:
    """The zone in which a place lies: a field of about 3 km by 3 km (at 48 degrees) in a grid over the whole map."""
    return f"{math.floor(place.latitude / _ZONE_LATITUDE)}.{math.floor(place.longitude / _ZONE_LONGITUDE)}"


class RideTerms(Contract):
    """What the contracts of one ride carry on, so that no agent needs to ask another."""

    ride_id: str = Key(min_length=1, max_length=64, pattern=_ID)
    rider: str = Field(min_length=1, max_length=64, pattern=_ID)
    pickup: Point
    dropoff: Point
    seats: int = Field(ge=1, le=8)
    requested_at: AwareDatetime

    @field_validator("requested_at")
    @classmethod
    def _is_of_our_time(cls, moment: datetime) -> datetime:
        """From 2000 to 2199: no clock is that wrong, and times can be reckoned with."""
        if not 2000 <= moment.year < 2200:
            raise ValueError("the year is not from 2000 to 2199")
        return moment


class RideRequested(RideTerms, name="rides.ride-requested", version=1):
    """Somebody wants a ride. ``drivers_nearby`` is how many free drivers the rider's app showed around the pickup.

    ``pickup_zone`` and ``dropoff_zone`` say roughly where that is; left out, they are :func:`zone_of` the places.
    """

    drivers_nearby: int = Field(ge=0, le=10_000)
    pickup_zone: str = Field(default="", max_length=32, pattern=_ZONE, validate_default=True)
    dropoff_zone: str = Field(default="", max_length=32, pattern=_ZONE, validate_default=True)

    @field_validator("pickup_zone", "dropoff_zone")
    @classmethod
    def _is_where_the_place_is(cls, zone: str, known: ValidationInfo) -> str:
        place = known.data.get(str(known.field_name).removesuffix("_zone"))
        return zone or (zone_of(place) if isinstance(place, Point) else "")


class DriverMatched(RideTerms, name="rides.driver-matched", version=1):
    """Who drives, and how far away the driver is. That nobody is near enough is an outcome, not a failure."""

    outcome: Literal["matched", "no-driver"]
    driver_id: str | None = Field(default=None, min_length=1, max_length=64, pattern=_ID)
    pickup_seconds: int | None = Field(default=None, ge=0, le=LONGEST_RIDE_SECONDS)
    pickup_metres: int | None = Field(default=None, ge=0, le=LONGEST_RIDE_METRES)

    @model_validator(mode="after")
    def _who_matches_is_named(self) -> Self:
        """A match has a driver and the way to the pickup; no match has neither."""
        _check_all_or_none(self.outcome == "matched", self.driver_id, self.pickup_seconds, self.pickup_metres)
        return self


class RidePriced(RideTerms, name="rides.ride-priced", version=1):
    """What the ride costs: ``amount`` in main units, the multiplier ``surge`` included."""

    amount: ExactDecimal = Field(gt=0, max_digits=9, decimal_places=2)
    currency: Currency
    surge: ExactDecimal = Field(ge=1, le=HIGHEST_SURGE, max_digits=3, decimal_places=2)


class EtaEstimated(Contract, name="rides.eta-estimated", version=1):
    """How long the trip takes from pickup to dropoff.

    ``basis``: ``routed`` over the road graph for this very trip, ``cached`` from an earlier trip like it, ``estimated``
    without a route. An estimate that stands in for another is as it was made; who takes it says so in its own ``basis``. It names no ride, so that an estimate of the same trip made earlier may stand in for it.
    """

    pickup: Point
    dropoff: Point
    seconds: int = Field(ge=0, le=LONGEST_RIDE_SECONDS)
    metres: int = Field(ge=0, le=LONGEST_RIDE_METRES)
    basis: Literal["routed", "cached", "estimated"]


class RideQuoted(Contract, name="rides.ride-quoted", version=1):
    """What a dispatch joins: the outputs of matching, pricing and ETA, a field for each branch."""

    match: DriverMatched
    price: RidePriced
    eta: EtaEstimated

    @model_validator(mode="after")
    def _parts_are_of_one_ride(self) -> Self:
        """A driver is never sent to one ride at the price of another."""
        if self.match.ride_id != self.price.ride_id:
            raise ValueError("match and price are of different rides")
        return self


class RideDispatched(RideTerms, name="rides.ride-dispatched", version=1):
    """A driver is on the way, or there was none.

    ``pickup_at`` and ``arrives_at`` are when the driver is expected at the pickup, and the rider at the dropoff;
    ``basis`` is what the latter rests on.
    """

    outcome: Literal["dispatched", "no-driver"]
    driver_id: str | None = Field(default=None, min_length=1, max_length=64, pattern=_ID)
    pickup_at: AwareDatetime | None = None
    arrives_at: AwareDatetime | None = None
    amount: ExactDecimal = Field(gt=0, max_digits=9, decimal_places=2)
    currency: Currency
    surge: ExactDecimal = Field(ge=1, le=HIGHEST_SURGE, max_digits=3, decimal_places=2)
    basis: Literal["routed", "cached", "estimated"]

    @model_validator(mode="after")
    def _who_drives_is_named(self) -> Self:
        """A dispatch has a driver and its times; none has none."""
        _check_all_or_none(self.outcome == "dispatched", self.driver_id, self.pickup_at, self.arrives_at)
        return self


def _check_all_or_none(wanted: bool, *values: object) -> None:
    if any((value is not None) is not wanted for value in values):
        raise ValueError("a driver and its times are given where there is a driver, and only there")
