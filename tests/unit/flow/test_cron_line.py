"""A crontab line names what Celery reads of it: its reader was ours once, and lines that people wrote for it still hold."""

from __future__ import annotations

from datetime import date

import pytest
from celery.schedules import ParseException, crontab
from hypothesis import given
from hypothesis import strategies as st

from handoffs.coordinator.errors import ScheduleError
from handoffs.coordinator.flow.cron_line import CronLine

_values = st.one_of(
    st.integers(0, 61).map(str), st.sampled_from(["mon", "FRI", "sun", "jan", "december", "xyz", "07"])
)
_ranges = st.builds("{}-{}".format, _values, _values)
_stepped = st.builds("{}/{}".format, st.one_of(st.just("*"), _ranges), st.integers(0, 61))
_fields = st.lists(st.one_of(_values, _ranges, _stepped), min_size=1, max_size=3).map(",".join)


@given(st.integers(0, 4), _fields, st.sampled_from(["*", "1", "1-5"]))
def test_a_field_is_what_celery_reads(place: int, field: str, others: str) -> None:
    """Each field names the same values, and is refused where Celery refuses it: with values, ranges beyond the end, and steps."""
    fields = [others] * 5
    fields[place] = field
    line = " ".join(fields)
    try:
        read = crontab.from_string(line)
    except (ParseException, ValueError, KeyError):
        with pytest.raises(ScheduleError):
            CronLine.of(line)
        return
    ours = CronLine.of(line)
    assert ours.minutes == read.minute
    assert ours.hours == read.hour
    assert ours.days == read.day_of_month
    assert ours.months == read.month_of_year
    assert ours.weekdays == read.day_of_week


def test_both_days_must_hold() -> None:
    """A day is named where month, day of the month and day of the week are: not one of the two days, as in cron."""
    first_monday = CronLine.of("0 9 1-7 * mon")
    assert first_monday.names(date(2026, 6, 1))
    assert not first_monday.names(date(2026, 6, 2))
    assert not first_monday.names(date(2026, 6, 8))


@pytest.mark.parametrize("part", ["5/10", "5/1", "0/15"])
def test_a_step_of_one_value_is_refused(part: str) -> None:
    """What some programs read as every tenth minute from the fifth on, and others as the fifth, is refused."""
    with pytest.raises(ScheduleError, match="is no crontab line"):
        CronLine.of(f"{part} * * * *")


def test_counting_on() -> None:
    """A line counts on by the hour where its minute or its hour begins with a star."""
    assert CronLine.of("*/30 2 * * *").counts_on()
    assert CronLine.of("0 * * * *").counts_on()
    assert not CronLine.of("0 2 * * *").counts_on()
