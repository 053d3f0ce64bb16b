"""Clock: times and durations as Redis has them, in milliseconds.

What time it is, Redis says, and nobody else: hosts' clocks differ, and a time that one of them wrote is not to be compared with
another's. Scripts ask it themselves; whoever compares outside of one asks :func:`asked`, beside what it reads.
"""

from __future__ import annotations

from datetime import timedelta

from handoffs.config import clock
from handoffs.coordinator.store.asking import Call

MOVED = "moved-time"
"""The hash of how far a test has moved time (ms), and of what time it is where it stands still. There is none but in embedded mode."""

_MILLISECOND = timedelta(milliseconds=1)


def ms(duration: timedelta) -> int:
    """A duration in whole milliseconds."""
    return int(duration / _MILLISECOND)


def asked(near: str) -> Call:
    """The question what time it is where the key ``near`` is, in milliseconds since 1970, as a text of digits."""
    return Call("time", {"near": near}, {})


def now() -> int:
    """What this host takes the time to be, in milliseconds since 1970: to be shown to people, never to be compared."""
    return int(clock.timestamp() * 1000)
