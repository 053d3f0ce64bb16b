"""The times of schedules: the same whoever asks, and right where clocks leap."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from celery.schedules import crontab
from hypothesis import given
from hypothesis import strategies as st

from handoffs.coordinator.errors import ScheduleError
from handoffs.coordinator.flow.cron import Crontab, Every, When

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Asia/Tokyo",
    "America/Santiago",
]
LINES = [
    "30 2 * * *",
    "*/20 * * * *",
    "0 0 * * *",
    "15 1,2,3 * * *",
    "5 */3 * * mon-fri",
    "0 9 1-7 * mon",
    "*/7 2 * * *",
]
_moments = st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@given(_moments, st.integers(1, 400_000), st.integers(0, 5))
def test_an_interval_is_a_grid(moment: datetime, seconds: int, most: int) -> None:
    """The times of an interval do not depend on who asks when: they are multiples of it."""
    every = Every(timedelta(seconds=seconds))
    tick = every.after(moment)
    assert moment < tick <= moment + every.interval
    assert int(tick.timestamp()) % seconds == 0
    later = tick + every.interval * 7
    assert every.between(moment, later, 100) == [tick + every.interval * number for number in range(8)]
    assert every.between(moment, later, most) == every.between(moment, later, 100)[8 - min(most, 8) :]
    assert every.between(moment, moment, 100) == []


def test_full_hours_and_midnights() -> None:
    """An hour is the full hour, and a day is midnight in UTC."""
    moment = _utc("2026-03-04T05:06:07Z")
    assert Every(timedelta(hours=1)).after(moment) == _utc("2026-03-04T06:00:00Z")
    assert Every(timedelta(days=1)).after(moment) == _utc("2026-03-05T00:00:00Z")


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("start", ["2026-01-10T00:00:00Z", "2026-07-10T00:00:00Z"])
def test_far_from_any_leap_a_line_is_what_the_clock_shows(line: str, zone: str, start: str) -> None:
    """Minute by minute, a time is due when the clock on the wall shows what the line says, as Celery reads it."""
    fields, tick = crontab.from_string(line), Crontab(line, zone)
    begin = _utc(start)
    minutes = (begin + timedelta(minutes=number) for number in range(1, 3 * 24 * 60))
    expected = [minute for minute in minutes if _shows(fields, minute.astimezone(ZoneInfo(zone)))]
    assert tick.between(begin, begin + timedelta(days=3) - timedelta(minutes=1), 10_000) == expected


def _shows(fields: Any, local: datetime) -> bool:
    return (
        local.minute in fields.minute
        and local.hour in fields.hour
        and local.day in fields.day_of_month
        and local.month in fields.month_of_year
        and local.isoweekday() % 7 in fields.day_of_week
    )


@pytest.mark.parametrize(
    ("line", "zone", "after", "expected"),
    [
        # Berlin leaps from 2:00 to 3:00 on 2026-03-29 at 01:00 UTC: the time that is not there comes an hour later
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00Z", ["2026-03-29T01:30Z", "2026-03-30T00:30Z"]),
        ("0 3 * * *", "Europe/Berlin", "2026-03-28T12:00Z", ["2026-03-29T01:00Z", "2026-03-30T01:00Z"]),
        ("0 * * * *", "Europe/Berlin", "2026-03-28T23:30Z", ["2026-03-29T00:00Z", "2026-03-29T01:00Z", "2026-03-29T02:00Z"]),
        ("*/30 2 * * *", "Europe/Berlin", "2026-03-28T12:00Z", ["2026-03-29T01:00Z", "2026-03-29T01:30Z", "2026-03-30T00:00Z"]),
        # Samoa leapt over a whole day
        ("0 3 30 12 *", "Pacific/Apia", "2011-12-30T11:00Z", ["2011-12-30T13:00Z", "2012-12-29T13:00Z"]),
        # and back from 3:00 to 2:00 on 2026-10-25 at 01:00 UTC: what comes twice is taken once
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00Z", ["2026-10-25T00:30Z", "2026-10-26T01:30Z"]),
        # but an hourly line is hourly (celery/celery#10107 skips one), and so is one of every 30 minutes of an hour
        ("0 * * * *", "Europe/Berlin", "2026-10-24T23:30Z", ["2026-10-25T00:00Z", "2026-10-25T01:00Z", "2026-10-25T02:00Z"]),
        ("*/30 2 * * *", "Europe/Berlin", "2026-10-24T12:00Z", ["2026-10-25T00:00Z", "2026-10-25T00:30Z", "2026-10-25T01:00Z", "2026-10-25T01:30Z"]),
        ("15 1,2,3 * * *", "Europe/Berlin", "2026-10-24T12:00Z", ["2026-10-24T23:15Z", "2026-10-25T00:15Z", "2026-10-25T02:15Z"]),
        # half an hour on Lord Howe
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00Z", ["2026-10-03T15:45Z", "2026-10-04T15:15Z"]),
        # at midnight in Santiago: the day begins at 1:00
        ("0 0 * * *", "America/Santiago", "2026-09-05T12:00Z", ["2026-09-06T04:00Z", "2026-09-07T03:00Z"]),
        # 3:50 on the Chathams, which others' libraries get wrong (celery/celery#10608)
        ("50 3 * * *", "Pacific/Chatham", "2026-09-25T15:05Z", ["2026-09-26T14:05Z", "2026-09-27T14:05Z"]),
        # days that are rare
        ("0 0 29 2 *", "UTC", "2096-03-01T00:00Z", ["2104-02-29T00:00Z"]),
        ("0 0 29 2 mon", "UTC", "2024-03-01T00:00Z", ["2044-02-29T00:00Z"]),
        ("0 0 31 * *", "UTC", "2026-03-31T00:00Z", ["2026-05-31T00:00Z", "2026-07-31T00:00Z"]),
    ],
)  # fmt: skip
def test_where_clocks_leap(line: str, zone: str, after: str, expected: list[str]) -> None:
    """A time that is not there is taken later, one that comes twice once, unless the line counts by the hour."""
    found, moment = [], _utc(after)
    for _ in expected:
        moment = Crontab(line, zone).after(moment)
        found.append(moment)
    assert found == [_utc(text) for text in expected]


@given(_moments, st.sampled_from(LINES), st.sampled_from(ZONES))
def test_each_time_is_the_next_of_the_one_before(moment: datetime, line: str, zone: str) -> None:
    """However one asks, from anywhere between two times the next is the same, so nobody starts a time of his own."""
    when: When = Crontab(line, zone)
    tick = when.after(moment)
    assert tick > moment
    assert when.after(moment + (tick - moment) / 2) == tick
    assert when.after(tick - timedelta(microseconds=1)) == tick
    following = when.after(tick)
    assert following > tick
    assert when.between(moment, following, 5) == [tick, following]
    assert when.between(moment, following, 1) == [following]
    assert (
        when.local(tick).timestamp() == tick.timestamp()
    )  # in an hour that comes twice, no time is equal to one of UTC


@pytest.mark.parametrize(
    "line",
    ["", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 13 *", "* * * * 8", "0 0 30 2 *",
     "*/0 * * * *", "a * * * *", "-1 * * * *", "5-1-2 * * * *", "@daily", "* * * * mon-", "\x1b[31m * * * *", "1,,2 * * * *"],
)  # fmt: skip
def test_what_is_no_line_is_refused(line: str) -> None:
    """A line that Celery cannot read, or that names no day, is refused, with what to write and nothing that a terminal obeys."""
    with pytest.raises(ScheduleError, match="is no crontab line") as refused:
        Crontab(line)
    assert "\x1b" not in str(refused.value)


@given(
    st.lists(st.text(st.sampled_from("0123456789*/,-monfriJAN L#?")), min_size=5, max_size=5).map(" ".join)
)
def test_no_line_breaks_it(line: str) -> None:
    """Whatever the line, it is refused with the one error, or has a next time."""
    try:
        when = Crontab(line)
    except ScheduleError:
        return
    assert when.after(_utc("2026-01-01T00:00Z")) > _utc("2026-01-01T00:00Z")


@pytest.mark.parametrize(
    "zone", ["", "Mars/Olympus", "../etc/passwd", "/etc/passwd", "Europe", "\x1b", "a\0b"]
)
def test_what_is_no_zone_is_refused(zone: str) -> None:
    """So is what is no time zone."""
    with pytest.raises(ScheduleError, match="is no time zone"):
        Crontab("0 3 * * *", zone)


@pytest.mark.parametrize(
    "interval",
    [timedelta(), timedelta(seconds=-5), timedelta(milliseconds=1500), timedelta(days=367), timedelta.max],
)
def test_what_is_no_interval_is_refused(interval: timedelta) -> None:
    """So is an interval of no whole seconds, or of more than a year."""
    with pytest.raises(ScheduleError, match="whole seconds"):
        Every(interval)


def test_as_people_read_them() -> None:
    """An interval says its parts, a line what was written, without spaces too many."""
    assert str(Every(timedelta(days=1, hours=2, seconds=5))) == "every 1d2h5s"
    assert str(Crontab(" 0  3 * * mon ", "Europe/Berlin")) == "0 3 * * mon Europe/Berlin"
