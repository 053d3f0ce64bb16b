"""Delays: the lengths of time for which a message can wait in the broker."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

LONGEST_DELAY: Final = timedelta(hours=19)
"""The longest wait that can be asked for: no queue of the topology holds a message much longer."""

_DELAYS_MS: Final = tuple(
    int(step * 10**power) for power in range(1, 8) for step in (1, 1.5, 2, 3, 4, 5, 7)
)  # 10 ms to 7e7 ms (19.4 hours), each at most half more than the one before


def delay_ms(wait: timedelta) -> int:
    """Round a wait up to one of a few dozen lengths, in milliseconds: every length needs a queue of its own.

    The longest is 19.4 hours; a longer wait is cut to it.
    """
    wanted = wait / timedelta(milliseconds=1)
    return next((length for length in _DELAYS_MS if length >= wanted), _DELAYS_MS[-1])
