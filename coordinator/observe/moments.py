"""Moments: when something was, for people: in the time of where they are, and no longer than needed; and as people type it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta, tzinfo

from handoffs.config import clock

MOMENT_WORDS = "it is no moment: give 2026-11-30, 2026-11-30T12:00, 12:00, or how long ago: 30min, 2h, 7d"
"""What is said of a text that is no moment."""

_AGO = re.compile(r"([0-9]{1,6}) ?(s|min|h|d)")
_SPANS = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days"}
_CLOCK = re.compile(r"[0-9]{2}:[0-9]{2}(?::[0-9]{2})?")
_LONGEST = 60


def moment(value: datetime | str | None, now: datetime | None = None) -> str:
    """``12:04:31``, and ``2026-11-29 12:04:31`` where that is not today, by the clock and the time zone of this machine. ``value`` is a
    moment, or one in ISO 8601 (UTC where it has no time zone); empty for none, and any other text as it is."""
    if not value:
        return ""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else value
        local = (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone()
    except (ValueError, OverflowError):
        return str(value)
    today = (now or clock.now()).astimezone().date()
    return f"{local:%H:%M:%S}" if local.date() == today else f"{local:%Y-%m-%d %H:%M:%S}"


def typed_moment(text: str, zone: tzinfo | None = None) -> datetime:
    """A moment as people type it, with its time zone: a day, a day and a time, a time of today (in ``zone``, by default that of this
    machine, where the text names none), or how long ago. Raises :class:`ValueError` for what is none."""
    now = clock.now().astimezone(zone)
    try:
        if len(text) > _LONGEST:
            raise ValueError(MOMENT_WORDS)
        if found := _AGO.fullmatch(text):
            return now - timedelta(**{_SPANS[found[2]]: int(found[1])})
        if _CLOCK.fullmatch(text):
            given = datetime.combine(now.date(), time.fromisoformat(text))
        else:
            given = datetime.fromisoformat(text)
        if given.tzinfo is None and zone is not None:
            given = given.replace(tzinfo=zone)
        return given.astimezone(zone)
    except (ValueError, OverflowError):
        raise ValueError(MOMENT_WORDS) from None
