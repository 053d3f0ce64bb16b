"""Moments: when something was, for people: in the time of where they are, and no longer than needed."""

from __future__ import annotations

from datetime import UTC, datetime

from handoffs.config import clock


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
