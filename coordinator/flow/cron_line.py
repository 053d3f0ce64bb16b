"""CronLine: a crontab line, read. Which minutes, hours and days it names, of no time zone yet."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, time

from handoffs.contracts.text import quoted
from handoffs.coordinator.errors import ScheduleError

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_NAMES = {name: number for number, name in enumerate(_MONTHS, 1)} | {
    name: number for number, name in enumerate(_DAYS)
}
_LONGEST_MONTH = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

_VALUE = r"[0-9]+|[a-z]+"
_PART = re.compile(
    rf"(?:\*|(?P<first>{_VALUE})(?:-(?P<last>{_VALUE}))?)(?:/(?P<step>[0-9]+))?", re.IGNORECASE | re.ASCII
)


@dataclass(frozen=True, slots=True)
class CronLine:
    """A crontab line, and what each of its fields names. Days of the week are from 0, Sunday, to 6."""

    text: str
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]

    @classmethod
    def of(cls, line: str) -> CronLine:
        """Read minute, hour, day of the month, month, day of the week: each a list of ``*``, values and ranges, with steps.

        A range may go beyond its end (``fri-mon``, ``22-4``). Raises :class:`~handoffs.coordinator.errors.ScheduleError` where
        the line is none, or names no day that there is.
        """
        text = " ".join(line.split())
        try:
            minute, hour, day, month, weekday = text.split(" ")
            read = cls(
                text,
                minutes=_field(minute, range(60)),
                hours=_field(hour, range(24)),
                days=_field(day, range(1, 32)),
                months=_field(month, range(1, 13)),
                weekdays=_field(weekday, range(7)),
            )
            if min(read.days) > max(_LONGEST_MONTH[month] for month in read.months):
                raise ValueError(text)
        except ValueError:
            raise ScheduleError(
                f"{quoted(text, 80)} is no crontab line, or names no day that there is",
                remedy="minute, hour, day of the month, month, day of the week: 0 3 * * mon-fri",
            ) from None
        return read

    def names(self, day: date) -> bool:
        """Whether it names this day: the month, the day of the month and the day of the week, all of them."""
        return day.month in self.months and day.day in self.days and day.isoweekday() % 7 in self.weekdays

    def clocks(self) -> Iterable[time]:
        """What clocks show, on each of its days, when it is due; in no order."""
        return (time(hour, minute) for hour in self.hours for minute in self.minutes)

    def counts_on(self) -> bool:
        """Whether it counts on by the hour where the clocks are set back: its minute or hour begins with ``*``."""
        minute, hour, *_ = self.text.split(" ")
        return "*" in (minute[0], hour[0])


def _field(text: str, values: range) -> frozenset[int]:
    """The values that a field names. Raises :class:`ValueError` where it is none."""
    return frozenset(value for part in text.split(",") for value in _part(part, values))


def _part(text: str, values: range) -> Iterable[int]:
    found = _PART.fullmatch(text)
    if found is None:
        raise ValueError(text)
    first, last, step = found["first"], found["last"], int(found["step"] or 1)
    if first is None:
        return values[::step]
    if found["step"] and last is None and first.isdigit():
        raise ValueError(text)  # 5/10: to some programs the fifth, to others every tenth from there
    begin, end = _value(first, values), _value(last or first, values)
    if begin <= end:
        return range(begin, end + 1)[::step]
    return (*range(begin, values.stop), *range(values.start, end + 1))[::step]


def _value(text: str, values: range) -> int:
    value = int(text) if text.isdigit() else _NAMES.get(text[:3].lower(), -1)
    if value not in values:
        raise ValueError(text)
    return value
