"""Holding: what cannot work waits, says why without repeating itself, and goes on by itself."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import NoReturn

import pytest

from handoffs.config.health import HealthFile
from handoffs.coordinator.errors import LoadError, ServerError
from handoffs.coordinator.runtime.readiness import until_ready

DOWN = ServerError("Redis cannot be used", "nothing was started", "start it")
OLD = ServerError("Redis 6.2 is too old")


class Time:
    """A clock that only pausing moves; it notes every pause, and what the health file had meanwhile."""

    def __init__(self, health: HealthFile) -> None:
        self.now = 5_000.0
        self.pauses: list[float] = []
        self.states: list[str] = []
        self._health = health

    def clock(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.states.append(str(self._health.read()))
        self.now += seconds


@pytest.fixture
def health(tmp_path: Path) -> HealthFile:
    return HealthFile(str(tmp_path / "health.json"))


@pytest.fixture
def time(health: HealthFile) -> Time:
    return Time(health)


class Attempt:
    """Fails with one error after the other, and then gives a result."""

    def __init__(self, *errors: BaseException) -> None:
        self._errors = list(errors)

    def __call__(self) -> str:
        if self._errors:
            raise self._errors.pop(0)
        return "at work"


def _held(health: HealthFile, time: Time, *errors: BaseException) -> str:
    return until_ready(Attempt(*errors), health, time.pause, time.clock)


def _lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    assert {record.levelno for record in caplog.records} <= {logging.ERROR}
    return [record.getMessage() for record in caplog.records]


def test_what_works_is_not_held(health: HealthFile, time: Time, caplog: pytest.LogCaptureFixture) -> None:
    """An attempt that succeeds gives its result at once, and nothing is written down."""
    assert _held(health, time) == "at work"
    assert time.pauses == []
    assert _lines(caplog) == []
    assert health.read().text == "it has said nothing yet"


def test_it_goes_on_by_itself(health: HealthFile, time: Time) -> None:
    """When the attempt succeeds, its result is given; until then the health file has the reason in one line."""
    assert _held(health, time, DOWN, DOWN, OLD) == "at work"
    assert time.states == [f"held: {DOWN}", f"held: {DOWN}", f"held: {OLD}"]


def test_it_backs_off(health: HealthFile, time: Time) -> None:
    """The pauses become longer, up to five seconds: what a person has mended is soon noticed."""
    _held(health, time, *[DOWN] * 8)
    assert time.pauses == [0.5, 1, 2, 4, 5, 5, 5, 5]


def test_a_reason_is_logged_when_it_changes(
    health: HealthFile, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    """Each change of the reason is one line of the log, however often it was tried in between."""
    _held(health, time, DOWN, DOWN, DOWN, OLD, OLD, DOWN)
    assert _lines(caplog) == [f"held: {DOWN}", f"held: {OLD}", f"held: {DOWN}"]


def test_a_reason_is_logged_again_once_a_minute(
    health: HealthFile, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    """A reason that stays is logged again after a minute and no sooner."""
    _held(health, time, *[DOWN] * 30)
    assert sum(time.pauses) == pytest.approx(137.5)
    assert _lines(caplog) == [f"held: {DOWN}"] * 3


def test_the_pause_can_end_it(health: HealthFile, time: Time) -> None:
    """What the pause raises ends the waiting: so a held process can be stopped."""

    class Stopped(Exception):
        pass

    def pause(_seconds: float) -> NoReturn:
        raise Stopped

    with pytest.raises(Stopped):
        until_ready(Attempt(DOWN), health, pause, time.clock)


@pytest.mark.parametrize("error", [ValueError("a fault of ours"), LoadError("no such module"), SystemExit(2)])
def test_other_errors_pass_through(error: BaseException, health: HealthFile, time: Time) -> None:
    """Only a server is waited for: any other error is raised at once."""
    with pytest.raises(type(error)):
        _held(health, time, DOWN, error)
    assert len(time.pauses) == 1
