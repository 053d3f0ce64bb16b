"""Scheduling: how a schedule stands: when it is due next, which run it started last, and which of its times nobody has taken."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from handoffs.coordinator.flow.schedule import Schedule
from handoffs.coordinator.store.schedules import Progress

LATE = timedelta(seconds=10)
"""After how long a time counts as one that nobody has taken: a beat looks every second."""
_MOST = 100
_YEAR = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class ScheduleStanding:
    """How a schedule stands. All moments are in UTC.

    when, catches_up
        Its rule in words, and whether times that passed while no beat was there are made up.
    following
        When it is due next.
    last, run
        The time that it was done with last, and the run that was started for it; None and empty where there was none yet.
    met
        Whether a beat has ever seen it: one that nobody has seen starts nothing.
    overdue, since
        How many of its times nobody has taken for longer than 10 s, at most 100, and the first of them.
    """

    name: str
    flow: str
    when: str
    catches_up: bool
    following: datetime
    last: datetime | None
    run: str
    met: bool
    overdue: int
    since: datetime | None

    def to_json(self) -> dict[str, Any]:
        """As the command line tells it, as JSON values."""
        return {
            "schedule": self.name,
            "flow": self.flow,
            "when": self.when,
            "next": self.following.isoformat(),
            "last": self.last.isoformat() if self.last else "",
            "last_run": self.run,
        }


def standing(schedule: Schedule, done: Progress, now: datetime) -> ScheduleStanding:
    """How ``schedule`` stands at ``now``, where it has come as far as ``done``."""
    following = schedule.when.after(max(now, done.until or now))
    missed = schedule.when.between(done.until, now - LATE, _MOST) if done.until else []
    return ScheduleStanding(
        schedule.name,
        schedule.flow.name,
        str(schedule.when),
        schedule.catch_up,
        following.astimezone(UTC),
        done.last.astimezone(UTC) if done.last else None,
        done.run,
        done.until is not None,
        len(missed),
        missed[0].astimezone(UTC) if missed else None,
    )


def times_before(schedule: Schedule, now: datetime, most: int) -> list[datetime]:
    """The newest ``most`` times of the last year up to ``now``, newest first."""
    span, found = timedelta(hours=1), list[datetime]()
    while len(found) < most and span < 24 * _YEAR:
        found = schedule.when.between(now - min(span, _YEAR), now, most)
        span *= 24
    return found[::-1]


def times_after(schedule: Schedule, now: datetime, most: int) -> list[datetime]:
    """The next ``most`` times after ``now``."""
    found: list[datetime] = []
    for _ in range(most):
        now = schedule.when.after(now)
        found.append(now)
    return found
