"""Due: when a run is to begin, as people and programs say it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pydantic import TypeAdapter, ValidationError

from handoffs.config import clock
from handoffs.config.duration import Duration
from handoffs.contracts.errors import InvalidData
from handoffs.contracts.text import quoted

LATEST = timedelta(days=366)
"""How far ahead a run may be accepted."""

_duration: TypeAdapter[timedelta] = TypeAdapter(Duration)
_NOTHING = "nothing was started"


def checked(at: datetime | timedelta) -> datetime | timedelta:
    """``at`` itself: a moment with a time zone, or how long from now. What is past means at once; longer ago than
    :data:`LATEST` is as long ago as that.

    Raises :class:`~handoffs.contracts.errors.InvalidData` for a moment without a time zone, for what is neither, and for more than
    :data:`LATEST` ahead.
    """
    if isinstance(at, datetime):
        if at.utcoffset() is None:
            raise InvalidData(
                "the time to start at has no time zone",
                _NOTHING,
                "say which: datetime.now(UTC) + ..., or datetime(..., tzinfo=ZoneInfo(...))",
            )
    elif not isinstance(at, timedelta):
        raise InvalidData(
            f"the time to start at is {type(at).__name__}", _NOTHING, "give a datetime or a timedelta"
        )
    if isinstance(at, timedelta) and at < -LATEST:
        at = -LATEST  # it is past, and a date can say when
    if ahead(at) > LATEST:
        raise InvalidData(
            f"the time to start at is more than {LATEST.days} days ahead",
            _NOTHING,
            f"start it at most {LATEST.days} days before, or declare a schedule",
        )
    return at


def ahead(at: datetime | timedelta) -> timedelta:
    """How long it is until then; negative where it is past."""
    return at - clock.now() if isinstance(at, datetime) else at


def moment(at: datetime | timedelta, now: datetime | None = None) -> datetime:
    """Then, in UTC; ``now`` is what time it is, where another clock says that than this host's."""
    try:
        return at.astimezone(UTC) if isinstance(at, datetime) else (now or clock.now()) + at
    except OverflowError:  # so long ago that UTC has no date for it
        return datetime.min.replace(tzinfo=UTC)


def read(text: str) -> datetime | timedelta:
    """Read ``2026-12-01T09:00:00+01:00``, or ``+90m`` for so long from now.

    Raises :class:`~handoffs.contracts.errors.InvalidData` for anything else, and what :func:`checked` raises.
    """
    try:
        if text.startswith("+"):
            return checked(_duration.validate_python(text[1:]))
        return checked(datetime.fromisoformat(text))
    except (ValidationError, ValueError, OverflowError):
        raise InvalidData(
            f"{quoted(text, 80)} is no time to start at",
            _NOTHING,
            f"write 2026-12-01T09:00:00+01:00, or +90m for so long from now, at most {LATEST.days} days",
        ) from None
