"""Clock: what time it is for this process: the host's time, unless a test has moved it on, or holds it.

A test that moves time moves it for its whole process: for what is shown, for what waits in the embedded broker, and, by way of
those who :func:`follow`, for the embedded Redis. The clocks of servers cannot be moved. When the last who followed has left, time
is the host's again.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Follower(Protocol):
    """Something that keeps time by a clock of its own, which is to go with this one."""

    def time_moved(self, by: timedelta) -> None:
        """Time was moved on, or is held from now on, and then ``by`` is nothing."""


class _Time:
    """How this process' time differs from the host's."""

    def __init__(self) -> None:
        self.moved = 0.0  # seconds
        self.held: tuple[float, float] | None = (
            None  # the host's time and its monotonic time, when it was held
        )


_time = _Time()
_followers: list[Follower] = []
_lock = threading.RLock()


def now() -> datetime:
    """What time it is, in UTC."""
    return datetime.fromtimestamp(timestamp(), UTC)


def timestamp() -> float:
    """What time it is, in seconds since 1970."""
    held = _time.held
    return (time.time() if held is None else held[0]) + _time.moved


def monotonic() -> float:
    """Seconds on a clock that never goes back, for what waits for a time of :func:`now`."""
    held = _time.held
    return (time.monotonic() if held is None else held[1]) + _time.moved


def is_moved() -> bool:
    """Whether time is not the host's."""
    return _time.moved != 0 or _time.held is not None


def is_held() -> bool:
    """Whether time stands still between two moves."""
    return _time.held is not None


def moved() -> tuple[timedelta, datetime | None]:
    """How far time was moved on, and what time it is where it is held; None where it goes on."""
    with _lock:
        return timedelta(seconds=_time.moved), now() if _time.held is not None else None


def hold() -> None:
    """Let time stand still, but for :func:`move`."""
    with _lock:
        if _time.held is None:
            _time.held = (time.time(), time.monotonic())
            _tell(timedelta())


def move(by: timedelta) -> None:
    """Move time on, and have all who follow move theirs, before this returns."""
    with _lock:
        _time.moved += by.total_seconds()
        _tell(by)


def follow(follower: Follower) -> None:
    """Have ``follower`` be told when time is moved, until it leaves."""
    with _lock:
        _followers.append(follower)


def leave(follower: Follower) -> None:
    """Tell ``follower`` nothing more. Where it was the last, time is the host's again."""
    with _lock:
        if follower in _followers:
            _followers.remove(follower)
        if not _followers:
            _time.moved, _time.held = 0.0, None


def _tell(by: timedelta) -> None:
    for follower in tuple(_followers):
        follower.time_moved(by)
