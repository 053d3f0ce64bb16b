"""Beat: each time of each schedule starts one run, whatever happens to beats."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from handoffs import Coordinator, Flow, agent
from handoffs.config.health import HealthFile
from handoffs.contracts.contract import Contract
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.flow.schedule import Schedule, schedule
from handoffs.coordinator.flow.trigger import agents_of
from handoffs.coordinator.runtime.beat import MOST, Beat
from handoffs.coordinator.store import scripts
from handoffs.coordinator.store.schedules import Progress, ScheduleProgress
from tests.waiting import wait_until

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)


class Night(Contract, name="dawn.night", version=1):
    """A night."""

    due: str


@agent("dawn.count")
def count(night: Night) -> Night:
    return night


nightly = Flow("dawn.nightly", count)


def _night(due: datetime) -> Night:
    return Night(due=due.isoformat())


def _hourly(**given: Any) -> Schedule:
    return schedule("dawn.hourly", nightly, **{"every": HOUR, "payload": _night, **given})


class Clock:
    """What time it is for Redis, as the test says."""

    def __init__(self, coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = NOON
        self.coordinator = coordinator
        monkeypatch.setattr(scripts, "time", self._time)

    def _time(self, *_: object) -> int:
        return round(self.now.timestamp() * 1000)

    def beat(self, *schedules: Schedule) -> Beat:
        """A beat that has just started."""
        return Beat(self.coordinator.engine.services, schedules)

    def look(self, beat: Beat, now: datetime) -> list[str]:
        """Let it look at a time; gives the times whose runs it started, without their date."""
        before, self.now = _started(self.coordinator), now
        beat.look()
        return [due[11:16] for due in _started(self.coordinator)[len(before) :]]


def _started(coordinator: Coordinator) -> list[str]:
    store = coordinator.engine.store
    runs = [key.rsplit(":", 1)[1] for key in store.redis.scan_iter("run:*")]
    runs = [run for run in runs if run]
    return sorted(coordinator.history(run)[0]["input"]["due"] for run in runs)


@pytest.fixture
def clock(coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch) -> Clock:
    coordinator.work(agents_of(nightly).values())
    return Clock(coordinator, monkeypatch)


def test_each_time_once(clock: Clock) -> None:
    """From when a schedule is first seen each of its times starts a run, those before do not; looking again changes nothing."""
    beat = clock.beat(_hourly())
    assert clock.look(beat, NOON) == []
    assert clock.look(beat, NOON + 59 * MINUTE) == []
    assert clock.look(beat, NOON + HOUR) == ["13:00"]
    assert clock.look(beat, NOON + HOUR) == []
    assert clock.look(beat, NOON + 2 * HOUR + SECOND) == ["14:00"]


def test_two_beats_and_restarts(clock: Clock) -> None:
    """Beats that run at once, and one that starts anew, start nothing that another has started."""
    one, two = clock.beat(_hourly()), clock.beat(_hourly())
    clock.look(one, NOON)
    assert clock.look(one, NOON + HOUR) == ["13:00"]
    assert clock.look(two, NOON + HOUR) == []
    assert clock.look(clock.beat(_hourly()), NOON + HOUR + SECOND) == []
    assert clock.look(two, NOON + 2 * HOUR) == ["14:00"]
    assert clock.look(one, NOON + 2 * HOUR) == []


def test_a_beat_that_died_before_it_could_tell(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was started, of which nobody could take note, is the run of its time for the next beat."""
    beat = clock.beat(_hourly())
    clock.look(beat, NOON)

    def dead(*_: Any) -> None:
        raise ServerError("Redis cannot be used")

    with monkeypatch.context() as broken:
        broken.setattr(ScheduleProgress, "done", dead)
        assert clock.look(beat, NOON + HOUR) == ["13:00"]
    assert clock.look(clock.beat(_hourly()), NOON + HOUR + SECOND) == []
    assert _progress(clock).last == NOON + HOUR


def test_a_payload_of_the_moment(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the payload is made otherwise the second time, the run that there is stands."""
    payloads = iter([Night(due="2026-06-01T13:00"), Night(due="other")])
    beat = clock.beat(_hourly(payload=lambda _: next(payloads)))
    clock.look(beat, NOON)
    with monkeypatch.context() as broken:
        broken.setattr(ScheduleProgress, "done", lambda *_: None)
        assert clock.look(beat, NOON + HOUR) == ["13:00"]
    assert clock.look(beat, NOON + HOUR) == []
    assert beat.fault() == ""
    assert _progress(clock).until == NOON + HOUR


@pytest.mark.parametrize(
    ("away", "catch_up", "expected"),
    [
        (3 * HOUR + 4 * MINUTE, False, ["15:00"]),
        (3 * HOUR + 6 * MINUTE, False, []),
        (3 * HOUR + 6 * MINUTE, True, ["13:00", "14:00", "15:00"]),
    ],
)
def test_what_was_missed(
    clock: Clock, caplog: pytest.LogCaptureFixture, away: timedelta, catch_up: bool, expected: list[str]
) -> None:
    """While no beat was there times pass: with catch_up they are made up; else only the newest is, and only if it is not
    older than five minutes. What is passed over is logged, once."""
    clock.look(clock.beat(_hourly(catch_up=catch_up)), NOON)
    beat = clock.beat(_hourly(catch_up=catch_up))
    with caplog.at_level(logging.WARNING, "handoffs.coordinator.runtime.beat"):
        assert clock.look(beat, NOON + away) == expected
        assert clock.look(beat, NOON + away + MINUTE) == []
    assert ["passed over" in text for text in caplog.messages] == ([] if catch_up else [True])
    assert clock.look(beat, NOON + 4 * HOUR) == ["16:00"]


def test_catching_up_has_a_bound(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """Of a year of minutes the newest hundred are made up."""
    every = _hourly(every="* * * * *", catch_up=True)
    clock.look(clock.beat(every), NOON - timedelta(days=300))
    with caplog.at_level(logging.WARNING, "handoffs.coordinator.runtime.beat"):
        found = clock.look(clock.beat(every), NOON)
    assert (len(found), found[0], found[-1]) == (MOST, "10:21", "12:00")
    assert "passed over" in caplog.text


def test_clocks_jump(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """A clock that jumps ahead and back starts no time twice; that it waits until then is said."""
    beat = clock.beat(_hourly())
    clock.look(beat, NOON)
    assert clock.look(beat, NOON + 5 * HOUR) == ["17:00"]
    for now in (NOON + HOUR, NOON + 2 * HOUR, NOON + 5 * HOUR):
        assert clock.look(beat, now) == []
    assert "Redis' clock was ahead" in caplog.text
    assert clock.look(beat, NOON + 6 * HOUR) == ["18:00"]


def test_one_that_fails_hinders_no_other(clock: Clock) -> None:
    """A payload that cannot be made is said and tried again; other schedules go on."""
    broken = [True]

    def sometimes(due: datetime) -> Night:
        if broken:
            raise OSError("no disk")
        return Night(due=due.replace(minute=30).isoformat())

    other = schedule("dawn.other", nightly, every="0 * * * *", payload=sometimes)
    beat = clock.beat(other, _hourly())
    clock.look(beat, NOON)
    assert clock.look(beat, NOON + HOUR) == ["13:00"]
    assert beat.fault().startswith("the payload of schedule dawn.other was not made: OSError")
    broken.clear()
    assert clock.look(beat, NOON + HOUR + SECOND) == ["13:30"]
    assert beat.fault() == ""


def test_a_fault_of_ours_hinders_no_other(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody foresaw at one schedule is said by its kind, and the others go on."""
    quarters = schedule("dawn.quarters", nightly, every=15 * MINUTE, payload=_night)
    beat = clock.beat(quarters, _hourly())
    clock.look(beat, NOON)

    def faulty(due: datetime) -> str:
        raise ZeroDivisionError(due)

    with monkeypatch.context() as broken:
        broken.setattr(
            Schedule, "key", lambda self, due: faulty(due) if self is quarters else f"{self.name}@{due}"
        )
        assert clock.look(beat, NOON + HOUR) == ["13:00"]
    assert beat.fault() == "schedule dawn.quarters: ZeroDivisionError"


def test_redis_is_away(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Redis nothing is started and it is said; when it is back the time is started."""
    beat = clock.beat(_hourly())
    clock.look(beat, NOON)

    def away(*_: Any) -> Any:
        raise ServerError("Redis cannot be used")

    with monkeypatch.context() as gone:
        gone.setattr(ScheduleProgress, "read", away)
        assert clock.look(beat, NOON + HOUR) == []
        assert beat.fault() == "Redis cannot be used"
    assert clock.look(beat, NOON + HOUR + SECOND) == ["13:00"]
    assert beat.fault() == ""


def test_it_looks_in_time(clock: Clock) -> None:
    """It looks again when the next time is due, and at least once a second, so that its health is fresh."""
    beat = clock.beat(_hourly())
    beat.look()
    assert beat.look() == 1.0
    clock.now = NOON + HOUR - timedelta(milliseconds=200)
    assert beat.look() == pytest.approx(0.2)


def test_as_a_process_it_keeps_its_schedules(
    live_coordinator: Coordinator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a process it starts a run each second until it is told to stop, says how it is, and leaves no file."""
    monkeypatch.chdir(tmp_path)
    health, stop = HealthFile(str(tmp_path / "health")), threading.Event()
    live_coordinator.work(agents_of(nightly).values())
    every = schedule("dawn.quick", nightly, every=SECOND, payload=_night, catch_up=True)
    thread = threading.Thread(target=Beat(live_coordinator.engine.services, [every]).run, args=(stop, health))
    thread.start()
    try:
        wait_until(lambda: len(_dues(live_coordinator)) >= 3, description="three runs were started")
        assert str(health.read()) == "ready: keeps 1 schedule"
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()
    assert health.read().state == "stopping"
    seconds = [datetime.fromisoformat(due) for due in _dues(live_coordinator)]
    assert [after - before for before, after in pairwise(seconds)] == [SECOND] * (len(seconds) - 1)
    assert [path.name for path in tmp_path.iterdir()] == ["health"]


def test_without_schedules_it_stays(
    coordinator: Coordinator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Where none is declared it is healthy, and says so."""
    health, stop = HealthFile(str(tmp_path / "health")), threading.Event()
    with caplog.at_level(logging.INFO, "handoffs.coordinator.runtime.beat"):
        thread = threading.Thread(target=Beat(coordinator.engine.services, []).run, args=(stop, health))
        thread.start()
        wait_until(lambda: health.read().ready, description="it is ready")
        assert str(health.read()) == "ready: no schedule is declared"
        stop.set()
        thread.join(10)
    assert "no schedule is declared" in caplog.text


def _progress(clock: Clock) -> Progress:
    [found] = ScheduleProgress(clock.coordinator.engine.store.redis, clock.coordinator.settings).read(
        ["dawn.hourly"]
    )[1]
    return found


def _dues(coordinator: Coordinator) -> list[str]:
    entries = coordinator.journal.history.since(0)
    return sorted(entry["input"]["due"] for _, entry in entries if entry["kind"] == "started")
