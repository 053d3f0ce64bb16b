"""Ride requests: the same day from the same seed, and a bad line stops nothing and says why."""

import pickle
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

from handoffs.contracts import strictjson
from handoffs.contracts.errors import CoordinationError
from handoffs.contracts.reference.rides import RideRequested
from handoffs.tasks.rides.city import City
from handoffs.tasks.rides.plan import plan_city
from handoffs.tasks.rides.requests import (
    A_WEEKDAY,
    InvalidRequest,
    make_requests,
    read_request,
    read_requests,
    write_requests,
)

SECRET = "somewhere"


@cache
def city() -> City:
    """A city, laid out once for all tests."""
    return plan_city(7)


@cache
def rides() -> list[RideRequested]:
    """A day of a thousand rides."""
    return make_requests(city(), 1_000, 7)


def line(**changes: object) -> bytes:
    """A good line, with fields replaced; None takes a field out."""
    data = {**rides()[0].to_data(), **changes}
    return strictjson.dumps({name: value for name, value in data.items() if value is not None}).encode()


def test_seed_makes_the_day() -> None:
    """The same seed gives the same requests, another seed others with other ids."""
    assert make_requests(city(), 200, 7) == make_requests(city(), 200, 7)
    other = make_requests(city(), 200, 8)
    assert not {ride.ride_id for ride in other} & {ride.ride_id for ride in rides()}
    assert [ride.pickup for ride in other] != [ride.pickup for ride in make_requests(city(), 200, 7)]


def test_requests_are_a_day_in_the_city() -> None:
    """All are of one day, by time, with an id each, between places of the city that are apart."""
    times = [ride.requested_at for ride in rides()]
    assert times == sorted(times)
    assert all(timedelta() <= at - A_WEEKDAY < timedelta(days=1) for at in times)
    assert len({ride.ride_id for ride in rides()}) == 1_000
    for ride in rides():
        assert city().nearest(city().place(ride.pickup))[1] < 500
        assert city().nearest(city().place(ride.dropoff))[1] < 500
        assert ride.pickup != ride.dropoff


def test_rush_hours() -> None:
    """More rides are asked for in the rush hours than at noon, and more at noon than at night, from few places."""
    hours = Counter(ride.requested_at.hour for ride in rides())
    assert min(hours[8], hours[17]) > 2 * hours[12]
    assert hours[12] > hours[3]
    zones = Counter(
        city().zone(city().place(ride.pickup)) for ride in rides() if ride.requested_at.hour == 17
    )
    assert sum(count for _, count in zones.most_common(6)) > 0.5 * zones.total()


def test_another_day() -> None:
    """Requests can be of any day."""
    day = datetime(2026, 6, 7, tzinfo=UTC)
    assert {ride.requested_at.date() for ride in make_requests(city(), 50, 1, day=day)} == {day.date()}


@pytest.mark.parametrize("count", [0, -1])
def test_no_requests(count: int) -> None:
    """Less than one request is refused."""
    with pytest.raises(ValueError, match="1 or more"):
        make_requests(city(), count, 7)


def test_file_round_trip(tmp_path: Path) -> None:
    """What is written to a file is read from it."""
    path = tmp_path / "rides.jsonl"
    write_requests(path, rides())
    found = read_requests(path)
    assert (found.rides, found.refused) == (rides(), [])


MALFORMED = {
    "not JSON": (b"r-1;somewhere", "not JSON"),
    "truncated": (line()[:60], "not JSON"),
    "blank": (b"", "not JSON"),
    "not UTF-8": (line().replace(b"rider-", b"\xff\xfe", 1), "not UTF-8"),
    "array": (b'["somewhere"]', "not a valid"),
    "NaN": (b'{"seats": NaN}', "not JSON"),
    "key twice": (line()[:-1] + b',"seats":2}', "twice"),
    "missing": (line(pickup=None), "pickup: Field required"),
    "outside the earth": (line(pickup={"latitude": 91.0, "longitude": 0.0}), "pickup.latitude"),
    "text as number": (line(seats="2"), "seats"),
    "bad id": (line(ride_id=SECRET + "!"), "ride_id"),
    "no time zone": (line(requested_at="2026-01-05T08:00:00"), "requested_at"),
    "nested": (b"[" * 100_000, "nested"),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_malformed_line(kind: str) -> None:
    """A line that is no request is refused with its number and the reason, and without a value of it."""
    raw, reason = MALFORMED[kind]
    with pytest.raises(InvalidRequest, match=reason) as caught:
        read_request(raw, 17)
    assert caught.value.line == 17
    assert str(caught.value).startswith("line 17: ")
    assert SECRET not in str(caught.value)


def test_bad_lines_stop_nothing(tmp_path: Path) -> None:
    """The good lines of a file are read, the bad ones kept with their numbers; empty lines count and say nothing."""
    path = tmp_path / "rides.jsonl"
    lines = [line(), *(raw for raw, _ in MALFORMED.values()), line(ride_id="r-2")]
    path.write_bytes(b"\n".join(lines))
    found = read_requests(path)
    assert [ride.ride_id for ride in found.rides] == [rides()[0].ride_id, "r-2"]
    bad = [number for number, raw in enumerate(lines, 1) if raw and number not in (1, len(lines))]
    assert [error.line for error in found.refused] == bad


def test_unreadable_file(tmp_path: Path) -> None:
    """A file that is not there, is a folder or is empty is a clear error."""
    (tmp_path / "empty").touch()
    for path in (tmp_path / "nothing", tmp_path, tmp_path / "empty"):
        with pytest.raises(CoordinationError):
            read_requests(path)


def test_errors_survive_pickling() -> None:
    """An error goes through a pickle as it is."""
    error = InvalidRequest(3, "not JSON")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.line, again.reason) == (str(error), 3, "not JSON")
