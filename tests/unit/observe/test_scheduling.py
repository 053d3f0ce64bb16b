"""How a schedule stands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from handoffs import Contract, Flow, Key, agent, schedule
from handoffs.coordinator.observe.scheduling import standing, times_after, times_before
from handoffs.coordinator.store.schedules import Progress


class Day(Contract, name="standing.day", version=1):
    day: str = Key()


@agent("standing.close")
def close(day: Day) -> Day:
    return day


FLOW = Flow("standing.days", close)
HOURLY = schedule(
    "standing.hourly", FLOW, every=timedelta(hours=1), payload=lambda due: Day(day=due.isoformat())
)
NIGHTLY = schedule("standing.nightly", FLOW, every="0 3 * * *", payload=lambda due: Day(day=due.isoformat()))
YEARLY = schedule("standing.yearly", FLOW, every="0 0 29 2 *", payload=lambda due: Day(day=due.isoformat()))
NOON = datetime(2026, 3, 4, 12, 0, 30, tzinfo=UTC)


def hour(number: int) -> datetime:
    return datetime(2026, 3, 4, number, tzinfo=UTC)


def test_one_that_no_beat_has_seen_has_missed_nothing() -> None:
    """Nothing is due before a beat has seen it, and that is said."""
    found = standing(HOURLY, Progress(), NOON)
    assert (found.met, found.overdue, found.since, found.following) == (False, 0, None, hour(13))


def test_times_that_nobody_took_are_counted() -> None:
    """From how far it has come, up to ten seconds ago: a time that has just come is not missed."""
    found = standing(HOURLY, Progress(until=hour(8), last=hour(8), run="r"), NOON)
    assert (found.met, found.overdue, found.since, found.run) == (True, 4, hour(9), "r")
    found = standing(HOURLY, Progress(until=hour(11)), hour(12) + timedelta(seconds=5))
    assert (found.overdue, found.since) == (0, None)


def test_a_clock_that_was_ahead_counts_for_the_next_time() -> None:
    """What it is done with in the future is not due again."""
    assert standing(HOURLY, Progress(until=hour(15)), NOON).following == hour(16)


def test_its_times_before_and_after() -> None:
    """The newest before now, the newest first, as many as there are in a year; and the next ones."""
    assert times_before(HOURLY, NOON, 3) == [hour(12), hour(11), hour(10)]
    nights = times_before(NIGHTLY, NOON, 40)
    assert (len(nights), nights[0], nights[-1]) == (40, hour(3), hour(3) - timedelta(days=39))
    assert len(times_before(NIGHTLY, NOON, 1000)) == 366
    assert times_before(YEARLY, NOON, 3) == []
    assert times_after(NIGHTLY, NOON, 2) == [hour(3) + timedelta(days=1), hour(3) + timedelta(days=2)]
