"""Words: durations as people read them."""

from __future__ import annotations

from datetime import timedelta

_UNITS = (("h", 3600.0), ("min", 60.0), ("s", 1.0), ("ms", 0.001))


def duration(span: timedelta) -> str:
    """``300 ms``, ``1.5 s``, ``5 min``, ``2 h``."""
    seconds = span.total_seconds()
    unit, size = next((unit for unit in _UNITS if seconds >= unit[1]), _UNITS[-1])
    return f"{seconds / size:.4g} {unit}"


def milliseconds(number: float) -> str:
    """A number of milliseconds as people read it."""
    return duration(timedelta(milliseconds=max(number, 0.001)))
