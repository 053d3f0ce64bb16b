"""Duration: a length of time as settings have it, with its unit."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from handoffs.config.delays import LONGEST_WAIT

_SHORTEST = timedelta(milliseconds=1)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def _duration(value: Any) -> Any:
    """Read ``250ms``, ``15s``, ``10m``, ``2h``, ``7d`` or a number of seconds."""
    if isinstance(value, timedelta):
        return value
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d)?\s*", str(value))
    if not found:
        raise ValueError("a duration is a number with a unit: 250ms, 15s, 10m, 2h, 7d")
    try:
        return timedelta(seconds=float(found[1]) * _UNITS[found[2] or "s"])
    except OverflowError:
        raise ValueError("a duration is at most 999999999 days") from None


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta():
        raise ValueError("a duration is longer than nothing")
    return value


def _kept(value: timedelta) -> timedelta:
    return _between(value, LONGEST_WAIT, f"{LONGEST_WAIT.days}d")


def _waited(value: timedelta) -> timedelta:
    return _between(value, timedelta(days=1), "24h")


def _between(value: timedelta, longest: timedelta, said: str) -> timedelta:
    if not _SHORTEST <= value <= longest:
        raise ValueError(f"it is from 1ms to {said}")
    return value


Duration = Annotated[timedelta, BeforeValidator(_duration), AfterValidator(_positive)]
"""Longer than nothing; written ``250ms``, ``15s``, ``10m``, ``2h``, ``7d``, or as a number of seconds."""
Lifetime = Annotated[Duration, AfterValidator(_kept)]
"""How long something is kept: Redis counts whole milliseconds, up to a hundred years."""
Wait = Annotated[Duration, AfterValidator(_waited)]
"""How long something is waited for at once: whole milliseconds, up to a day."""
