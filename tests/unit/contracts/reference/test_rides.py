"""The contracts of rides: what a ride may be, and that parts of different rides are never joined."""

from typing import Any

import pytest

from handoffs.contracts.compatibility import compare
from handoffs.contracts.contract import Contract
from handoffs.contracts.errors import InvalidData
from handoffs.contracts.reference.rides import (
    DriverMatched,
    EtaEstimated,
    Point,
    RideDispatched,
    RidePriced,
    RideQuoted,
    RideRequested,
    zone_of,
)
from handoffs.contracts.schema import reads, writes

TERMS = {
    "ride_id": "r-1",
    "rider": "ann",
    "pickup": {"latitude": 48.11, "longitude": 11.51},
    "dropoff": {"latitude": 48.12, "longitude": 11.55},
    "seats": 2,
    "requested_at": "2026-01-05T08:00:00Z",
}
REQUESTED = {**TERMS, "drivers_nearby": 3, "pickup_zone": "centre", "dropoff_zone": "airport"}
MATCHED = {**TERMS, "outcome": "matched", "driver_id": "d-1", "pickup_seconds": 60, "pickup_metres": 500}
PRICED = {**TERMS, "amount": "12.50", "currency": "EUR", "surge": "1.25"}
ESTIMATED = {
    "pickup": TERMS["pickup"],
    "dropoff": TERMS["dropoff"],
    "seconds": 600,
    "metres": 4_000,
    "basis": "routed",
}
DISPATCHED = {
    **PRICED,
    "outcome": "dispatched",
    "driver_id": "d-1",
    "pickup_at": "2026-01-05T08:01:00Z",
    "arrives_at": "2026-01-05T08:11:00Z",
    "basis": "routed",
}
QUOTED = {"match": MATCHED, "price": PRICED, "eta": ESTIMATED}
ALL: list[tuple[type[Contract], dict[str, Any]]] = [
    (RideRequested, REQUESTED),
    (DriverMatched, MATCHED),
    (RidePriced, PRICED),
    (EtaEstimated, ESTIMATED),
    (RideQuoted, QUOTED),
    (RideDispatched, DISPATCHED),
]


@pytest.mark.parametrize(("contract", "data"), ALL)
def test_round_trip(contract: type[Contract], data: dict[str, Any]) -> None:
    """Each contract is read, and written as it was."""
    assert contract.from_data(data).to_data() == data


def test_zones() -> None:
    """Zones that are not given are those of the places, which are the same for places nearby."""
    found = RideRequested.from_data({**TERMS, "drivers_nearby": 3, "dropoff_zone": "airport"})
    assert (found.pickup_zone, found.dropoff_zone) == (zone_of(found.pickup), "airport")
    assert zone_of(Point(latitude=48.101, longitude=11.521)) == zone_of(
        Point(latitude=48.109, longitude=11.559)
    )
    assert zone_of(Point(latitude=48.101, longitude=11.521)) != zone_of(
        Point(latitude=-48.101, longitude=11.521)
    )


@pytest.mark.parametrize("contract", [contract for contract, _ in ALL])
def test_reader_takes_what_the_writer_emits(contract: type[Contract]) -> None:
    """No contract's own reader refuses, by its schema, what its writer may emit."""
    assert compare(writes(contract), reads(contract)).verdict == "compatible"


def test_ride_is_the_key() -> None:
    """A ride's id is the idempotency key; an estimate has none, since it may stand in for another ride's."""
    assert RideRequested.from_data(REQUESTED).key() == "r-1"
    assert EtaEstimated.from_data(ESTIMATED).key() is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ride_id", ""), ("ride_id", "r 1"), ("ride_id", "-r"), ("ride_id", "x" * 65), ("rider", ""), ("rider", "a\n"),
        ("pickup", None), ("pickup", [48.1, 11.5]), ("pickup", {"latitude": 90.1, "longitude": 0.0}),
        ("dropoff", {"latitude": "48.1", "longitude": 11.5}), ("dropoff", {"latitude": 48.1}),
        ("dropoff", {"latitude": 48.1, "longitude": -180.5}), ("seats", 0), ("seats", 9), ("seats", "2"), ("seats", True),
        ("seats", 1.5), ("requested_at", "yesterday"), ("requested_at", "2026-01-05T08:00:00"), ("requested_at", 0),
        ("requested_at", "1999-12-31T23:59:59Z"), ("requested_at", "2200-01-01T00:00:00Z"),
        ("requested_at", "0001-01-01T00:00:00+14:00"), ("requested_at", "9999-12-31T23:59:59-12:00"),
        ("drivers_nearby", -1), ("drivers_nearby", 10_001), ("drivers_nearby", None),
    ],
)  # fmt: skip
def test_malformed_request(field: str, value: Any) -> None:
    """A request with a malformed field is refused."""
    with pytest.raises(InvalidData, match=field):
        RideRequested.from_data({**REQUESTED, field: value})


@pytest.mark.parametrize(
    "wrong",
    [
        {"outcome": "no-driver"}, {"driver_id": None}, {"pickup_seconds": None}, {"pickup_metres": None},
        {"pickup_seconds": -1}, {"pickup_seconds": 86_401}, {"pickup_metres": 1_000_001}, {"outcome": "maybe"},
    ],
)  # fmt: skip
def test_malformed_match(wrong: dict[str, Any]) -> None:
    """A match has a driver and the way to the pickup; what is no match has neither."""
    with pytest.raises(InvalidData):
        DriverMatched.from_data({**MATCHED, **wrong})


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": 12.5}, {"amount": "0"}, {"amount": "-1"}, {"amount": "12.505"}, {"amount": "NaN"},
        {"amount": "1" * 10}, {"surge": "0.99"}, {"surge": "3.01"}, {"surge": "1.005"}, {"surge": 1},
        {"currency": "JPY"}, {"currency": "eur"},
    ],
)  # fmt: skip
def test_malformed_price(wrong: dict[str, Any]) -> None:
    """Money is an exact decimal above nothing, and surge is from 1 to 3."""
    with pytest.raises(InvalidData):
        RidePriced.from_data({**PRICED, **wrong})


@pytest.mark.parametrize(
    "wrong", [{"seconds": -1}, {"seconds": 86_401}, {"seconds": 1.5}, {"metres": -1}, {"basis": "guessed"}]
)
def test_malformed_estimate(wrong: dict[str, Any]) -> None:
    """An estimate is whole seconds and metres within a day, and says what it rests on."""
    with pytest.raises(InvalidData):
        EtaEstimated.from_data({**ESTIMATED, **wrong})


@pytest.mark.parametrize("wrong", [{"driver_id": None}, {"outcome": "no-driver"}, {"arrives_at": None}])
def test_malformed_dispatch(wrong: dict[str, Any]) -> None:
    """Who drives, and when, is told where a driver was sent, and only there."""
    with pytest.raises(InvalidData):
        RideDispatched.from_data({**DISPATCHED, **wrong})


def test_parts_of_different_rides_are_not_joined() -> None:
    """A driver is never sent to one ride at the price of another."""
    with pytest.raises(InvalidData, match="different rides"):
        RideQuoted.from_data({**QUOTED, "price": {**PRICED, "ride_id": "r-2"}})
