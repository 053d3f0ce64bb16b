"""The times of a schedule: intervals and crontab lines. Pure: the same schedule has the same times in every process."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo

from handoffs.contracts.text import quoted
from handoffs.coordinator.errors import ScheduleError
from handoffs.coordinator.flow.cron_line import CronLine

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND, _DAY, _YEAR = timedelta(seconds=1), timedelta(days=1), timedelta(days=366)
_YEARS = 41  # from one 29th of February that is a Monday to the next, where a century lies between them


class When(Protocol):
    """When something is due. All times are aware; those that are given are in UTC."""

    def after(self, moment: datetime) -> datetime:
        """The first time after ``moment``."""

    def between(self, after: datetime, until: datetime, most: int) -> list[datetime]:
        """The times after ``after`` up to and with ``until``, oldest first: the newest ``most`` of them."""

    def local(self, moment: datetime) -> datetime:
        """The same moment as people know it where the schedule is."""


@dataclass(frozen=True, slots=True)
class Every:
    """Every so often, counted from the beginning of 1970 in UTC: an hour is the full hour, a day is midnight.

    Raises :class:`~handoffs.coordinator.errors.ScheduleError` for less than a second, parts of a second, and more than a year.
    """

    interval: timedelta

    def __post_init__(self) -> None:
        if not _SECOND <= self.interval <= _YEAR or self.interval % _SECOND:
            raise ScheduleError(
                f"every {self.interval} is no interval of a schedule",
                remedy="give whole seconds, from one second to 366 days",
            )

    def __str__(self) -> str:
        left, words = self.interval // _SECOND, []
        for unit, seconds in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
            number, left = divmod(left, seconds)
            words += [f"{number}{unit}"] if number else []
        return f"every {''.join(words)}"

    def after(self, moment: datetime) -> datetime:
        return _EPOCH + self.interval * ((moment - _EPOCH) // self.interval + 1)

    def between(self, after: datetime, until: datetime, most: int) -> list[datetime]:
        newest = (until - _EPOCH) // self.interval
        oldest = max((after - _EPOCH) // self.interval, newest - most)
        return [_EPOCH + self.interval * number for number in range(oldest + 1, newest + 1)]

    def local(self, moment: datetime) -> datetime:
        return moment.astimezone(UTC)


@dataclass(frozen=True)
class Crontab:
    """The minutes that a crontab line names by the clocks of a time zone.

    A time that the clocks leap over in spring is taken as much later as they leap. One that comes twice in autumn is taken
    once, the first time; where the line's minute or hour begins with ``*``, it counts on by the hour, so both are.

    Raises :class:`~handoffs.coordinator.errors.ScheduleError` where the line or the zone is none.
    """

    line: str
    zone: str = "UTC"
    _line: CronLine = field(init=False, repr=False, compare=False)
    _zone: ZoneInfo = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "_zone", ZoneInfo(self.zone))
        except (
            ValueError,
            OSError,
            KeyError,
            TypeError,
        ):  # not found is a KeyError; a folder of zones is an OSError
            raise ScheduleError(
                f"{quoted(self.zone, 80)} is no time zone",
                remedy="name one such as Europe/Berlin or UTC",
            ) from None
        object.__setattr__(self, "_line", CronLine.of(self.line))
        object.__setattr__(self, "line", self._line.text)

    def __str__(self) -> str:
        return f"{self.line} {self.zone}"

    def after(self, moment: datetime) -> datetime:
        return next(self._after(moment))

    def between(self, after: datetime, until: datetime, most: int) -> list[datetime]:
        found: deque[datetime] = deque(maxlen=most)
        for due in self._after(max(after, until - _YEAR)):
            if due > until:
                break
            found.append(due)
        return list(found)

    def local(self, moment: datetime) -> datetime:
        return moment.astimezone(self._zone)

    def times_of(self, day: date) -> tuple[datetime, ...]:
        """The times of a day by the zone's clocks, in UTC, in order."""
        folds = (0, 1) if self._line.counts_on() else (0,)
        clocks = (
            datetime.combine(day, clock.replace(fold=fold), self._zone)
            for clock in self._line.clocks()
            for fold in folds
        )
        return tuple(sorted({_moment(clock) for clock in clocks}))

    def _after(self, moment: datetime) -> Iterator[datetime]:
        # What the clocks leapt over may belong to the day before.
        day = moment.astimezone(self._zone).date() - _DAY
        last = moment
        for _ in range(_YEARS * 366):
            if self._line.names(day):
                for due in _times_of(self, day):
                    if due > last:
                        last = due
                        yield due
            day += _DAY
        raise ScheduleError(f"{self} is never due", remedy="name a day that there is")


@lru_cache(maxsize=64)
def _times_of(crontab: Crontab, day: date) -> tuple[datetime, ...]:
    return crontab.times_of(day)


def _moment(clock: datetime) -> datetime:
    """What a clock shows, in UTC; of a time that the clocks leap over, what they would show if they had not."""
    moment = clock.astimezone(UTC)
    there = moment.astimezone(clock.tzinfo).replace(tzinfo=None) == clock.replace(tzinfo=None)
    return moment if there else clock.replace(fold=0).astimezone(UTC)
