"""When: a moment as people type it into a page: ISO 8601, or how long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import BeforeValidator

from handoffs.config import clock

_AGO = re.compile(r"(\d{1,6}) ?(s|min|h|d)")
_SPANS = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days"}


def when(value: object) -> datetime | None:
    """The moment, in UTC where it has no time zone; None for an empty text. Raises :class:`ValueError` for what is none."""
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > 60:
        raise ValueError("give a moment in ISO 8601, or how long ago: 30min, 2h, 7d")
    text = value.strip()
    try:
        if found := _AGO.fullmatch(text):
            return clock.now() - timedelta(**{_SPANS[found[2]]: int(found[1])})
        moment = datetime.fromisoformat(text.replace(" ", "+") if "T" in text and " " in text else text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("give a moment in ISO 8601, or how long ago: 30min, 2h, 7d") from None


Moment = Annotated[datetime | None, BeforeValidator(when)]
"""A moment as it is typed into a page; none where nothing is."""
