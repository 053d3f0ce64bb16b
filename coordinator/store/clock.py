"""Clock: times and durations as Redis has them, in milliseconds."""

from __future__ import annotations

import time
from datetime import timedelta

_MILLISECOND = timedelta(milliseconds=1)


def ms(duration: timedelta) -> int:
    """A duration in whole milliseconds."""
    return int(duration / _MILLISECOND)


def now() -> int:
    """What time it is here, in milliseconds since 1970."""
    return int(time.time() * 1000)
