"""Delays: the lengths of time for which a message can wait in the broker."""

from __future__ import annotations

from bisect import bisect_left
from datetime import timedelta
from typing import Final

LONGEST_DELAY: Final = timedelta(hours=19)
"""The longest that a message waits at once: no queue of the topology holds one much longer. What is further off waits in stages."""

AFTER_ANY_DELAY: Final = timedelta(hours=20)
"""So long after it was sent, no message that was not sent on meanwhile is in a delay queue any more."""

LONGEST_WAIT: Final = timedelta(days=36_525)
"""The longest wait that can be asked for: a hundred years."""

_DELAYS_MS: Final = tuple(
    int(step * 10**power) for power in range(1, 8) for step in (1, 1.5, 2, 3, 4, 5, 7)
)  # 10 ms to 7e7 ms (19.4 hours), each at most half more than the one before

_MINUTE: Final = 60_000
_STEPS: Final = (10, 11, 12, 13, 15, 16, 18, 20, 22, 25, 27, 30, 33, 36, 40, 45, 50, 55, 60, 65, 70, 75, 80, 90)  # fmt: skip
_CLOSE_MS: Final = tuple(
    sorted(
        {
            *_DELAYS_MS,
            *(step * 10**power for power in range(7) for step in _STEPS if step * 10**power < _DELAYS_MS[-1]),
            *(minutes * _MINUTE for minutes in (4, 7, 8, 12, 20, 35, 40, 90, 120, 180, 240, 360, 480, 720)),
        }
    )
)
"""Those of steps and budgets: each at most a sixth more than the one before, with what people say in minutes and hours."""


def delay_ms(wait: timedelta) -> int:
    """Round a wait up to one of a few dozen lengths, in milliseconds: every length needs a queue of its own.

    The longest is 19.4 hours; a longer wait is cut to it.
    """
    return _up(wait, _DELAYS_MS)


def close_ms(wait: timedelta) -> int:
    """The same, up to one of less than 200 lengths: at most a sixth longer. What is said in round numbers stays as it is."""
    return _up(wait, _CLOSE_MS)


def is_usual(wait: timedelta) -> bool:
    """Whether there is a length for exactly this wait."""
    return wait / timedelta(milliseconds=1) in _CLOSE_MS


def stage(wait: timedelta) -> timedelta:
    """The next stage of a wait: the longest of a few dozen lengths that is no longer than it; the shortest for what is shorter.
    So a wait of whatever length comes to its end in a few stages, which need no queues of their own."""
    wanted = wait / timedelta(milliseconds=1)
    fitting = (length for length in reversed(_DELAYS_MS) if length <= wanted)
    return timedelta(milliseconds=next(fitting, _DELAYS_MS[0]))


def _up(wait: timedelta, lengths: tuple[int, ...]) -> int:
    place = bisect_left(lengths, wait / timedelta(milliseconds=1))
    return lengths[min(place, len(lengths) - 1)]
