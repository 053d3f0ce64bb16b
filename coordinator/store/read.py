"""Read: what Redis holds, where others may have put it there. What is not of the form that we write is as if it were not there."""

from __future__ import annotations

import json
from typing import Any

_LATEST = 253_402_300_799_000.0
"""The last moment that a date can say, in milliseconds since 1970."""


def milliseconds(text: str | None) -> float:
    """A moment or a duration in milliseconds; 0 where it is none, or one that no date can say."""
    try:
        number = float(text or 0)
    except ValueError:
        return 0.0
    return number if 0 <= number <= _LATEST else 0.0


def count(text: str | None, otherwise: int = 0) -> int:
    """A whole number of a few digits; ``otherwise`` where it is none."""
    digits = (text or "").removeprefix("-")
    return int(text or 0) if digits.isascii() and digits.isdigit() and len(digits) <= 15 else otherwise


def members(text: str | None) -> dict[str, Any] | None:
    """A JSON object; None where it is none."""
    try:
        value = json.loads(text or "")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
