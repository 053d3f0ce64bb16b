"""Duration: a length of time as people give it, or what is wrong with it."""

from __future__ import annotations

from datetime import timedelta

from handoffs.config.delays import LONGEST_WAIT


def is_duration(
    value: object, longest: timedelta = LONGEST_WAIT, shortest: timedelta = timedelta.resolution
) -> bool:
    """Whether ``value`` is a timedelta from ``shortest``, by default anything above nothing, to ``longest``."""
    return isinstance(value, timedelta) and shortest <= value <= longest
