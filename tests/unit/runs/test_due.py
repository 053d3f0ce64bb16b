"""When a run is to begin, as people and programs say it."""

from __future__ import annotations

import contextlib
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs.contracts.errors import InvalidData
from handoffs.coordinator.runs import due

BERLIN = datetime(2026, 12, 1, 9, tzinfo=timezone(timedelta(hours=1)))


_NAIVE = datetime.fromisoformat("2026-01-01T00:00:00")


class Nowhere(tzinfo):
    """A time zone that does not say where it is."""

    def utcoffset(self, when: datetime | None) -> None:
        return None

    dst = utcoffset

    def tzname(self, when: datetime | None) -> None:
        return None


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-12-01T09:00:00+01:00", BERLIN),
        ("2026-12-01T08:00:00Z", BERLIN),
        ("2026-12-01 08:00+00:00", BERLIN),
        ("+90m", timedelta(minutes=90)),
        ("+1.5h", timedelta(minutes=90)),
        ("+5", timedelta(seconds=5)),
        ("0001-01-01T00:00:00+14:00", datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))),
    ],
)
def test_what_people_write(text: str, meant: datetime | timedelta) -> None:
    """A moment with a time zone, or how long from now; what is long past is a moment too."""
    assert due.read(text) == meant


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-12-01T09:00:00", "no time zone"),
        ("2026-12-01", "no time zone"),
        ("tomorrow", "is no time to start at"),
        ("", "is no time to start at"),
        ("90m", "is no time to start at"),
        ("+90 minutes", "is no time to start at"),
        ("+0s", "is no time to start at"),
        ("+-5m", "is no time to start at"),
        ("+9999999999999999999999d", "is no time to start at"),
        ("+367d", "more than 366 days ahead"),
        ("9999-12-31T23:59:59-14:00", "more than 366 days ahead"),
        ("\x1b[31m", "is no time to start at"),
    ],
)
def test_what_people_get_wrong(text: str, said: str) -> None:
    """Anything else is told with what to write instead, and nothing that a terminal would obey."""
    with pytest.raises(InvalidData, match=said) as refused:
        due.read(text)
    assert refused.value.remedy
    assert "\x1b" not in str(refused.value)


@given(st.text(max_size=30))
def test_no_text_breaks_it(text: str) -> None:
    """Whatever is written, it is a time or the one error."""
    with contextlib.suppress(InvalidData):
        due.moment(due.read(text))


@pytest.mark.parametrize(
    "at", [_NAIVE, datetime(2026, 1, 1, tzinfo=Nowhere()), 5, "soon", date(2026, 1, 1), True]
)
def test_what_programs_get_wrong(at: Any) -> None:
    """A moment without a time zone, or what is no time, is refused."""
    with pytest.raises(InvalidData, match="nothing was started"):
        due.checked(at)


@pytest.mark.parametrize(
    "at", [timedelta.min, timedelta(), timedelta(days=366), datetime(1, 1, 1, tzinfo=ZoneInfo("Asia/Tokyo"))]
)
def test_bounds(at: datetime | timedelta) -> None:
    """As long ago as there are times, and a year ahead, are taken."""
    assert due.checked(at) == (at if at != timedelta.min else -due.LATEST)  # a date can say when that was
    assert due.moment(at).utcoffset() == timedelta()


@pytest.mark.parametrize(
    "at", [timedelta(days=366, seconds=1), timedelta.max, datetime.max.replace(tzinfo=UTC)]
)
def test_absurd(at: datetime | timedelta) -> None:
    """More than a year ahead is refused: it is a mistake more often than a plan."""
    with pytest.raises(InvalidData, match="366 days"):
        due.checked(at)
