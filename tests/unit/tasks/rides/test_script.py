"""What becomes of the ETA fleet while a show goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from handoffs.tasks.rides import script
from handoffs.tasks.rides.script import Direction, outage, watched

SLOW = timedelta(milliseconds=600)


class AtOnce(threading.Event):
    """Time passes at once: a phase whose end is waited for is over, however long it is."""

    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set()


class Controls:
    """Writes down what it is told, and ends the show at a word."""

    def __init__(self, ends_at: str = "", over: threading.Event | None = None) -> None:
        self.over = over or threading.Event()
        self.told: list[str] = []
        self._ends_at = ends_at

    def direction(self, seconds: float) -> Direction:
        return Direction(seconds, SLOW, self.note, self.over)

    def note(self, word: str) -> None:
        self.told.append(word)
        if word == self._ends_at:
            self.over.set()

    def stop_eta(self) -> None:
        self.note("stop")

    def start_eta(self, delay: timedelta | None = None) -> None:
        self.note(f"start {delay}" if delay else "start")


def _seen(over: threading.Event, *there: bool) -> Callable[[], bool]:
    """Is asked so often, and then the show is over."""
    left = list(there)

    def is_there() -> bool:
        if len(left) == 1:
            over.set()
        return left.pop(0)

    return is_there


def test_an_outage() -> None:
    """ETA is stopped, comes back slow, and comes back well; each phase is told when it begins."""
    controls = Controls()
    outage(controls, controls.direction(0.001))
    assert controls.told == [
        "before", "stopped", "stop", f"start {SLOW}", "slow", "stop", "start", "after"
    ]  # fmt: skip


@pytest.mark.parametrize(("ends_at", "told"), [("before", 1), ("stop", 3), ("slow", 5)])
def test_a_show_that_ends_before(ends_at: str, told: int) -> None:
    """Where the show is over, nothing more is done to the fleet."""
    controls = Controls(ends_at, AtOnce())
    outage(controls, controls.direction(60))
    assert len(controls.told) == told


def test_what_others_do_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where somebody else takes ETA away and brings it back, as often as it happens, a phase begins; else none does."""
    monkeypatch.setattr(script, "_LOOK", 0)
    show = Controls()
    watched(_seen(show.over, True, False, False, True, True, False), show.direction(60))
    assert show.told == ["before", "stopped", "after", "stopped"]
    quiet = Controls()
    watched(_seen(quiet.over, True, True), quiet.direction(60))
    assert quiet.told == ["before"]


def test_a_show_with_others_has_an_end() -> None:
    """It is over when its time is, whatever the others do."""
    show = Controls()
    watched(lambda: True, show.direction(0.01))
    assert show.told == ["before"]
