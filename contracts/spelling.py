"""Spelling: one text for values that can be written in several ways, so that equal values can be compared by their texts."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from ipaddress import ip_address
from typing import Any

_LONGEST = 40
_USUAL_DECIMAL = re.compile(rf"(?:[1-9][0-9]{{0,{_LONGEST - 1}}}|(?:0|[1-9][0-9]*)\.[0-9]{{0,4}}[1-9])\Z")
_USUAL_MOMENT = re.compile(
    r"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9](?:\.[0-9]{6})?Z\Z"
)
"""What is spelt as it is to be, as nearly all of it is."""


def decimal(text: str) -> str:
    """The decimal number that ``text`` states, without the zeros that say nothing: ``1.50`` and ``1.5e0`` are ``1.5``."""
    if _USUAL_DECIMAL.match(text):
        return text
    try:
        sign, digits, exponent = Decimal(text).as_tuple()
    except InvalidOperation:
        return text
    if not isinstance(exponent, int):
        return text
    kept = list(digits)
    while len(kept) > 1 and kept[-1] == 0:
        kept.pop()
        exponent += 1
    if 0 < exponent <= _LONGEST:  # 1E+2 is 100
        kept += [0] * exponent
        exponent = 0
    return "0" if set(kept) == {0} else str(Decimal((sign, tuple(kept), exponent)))


def moment(text: str) -> str:
    """The moment that an ISO 8601 text states, in UTC; a text without a zone keeps none."""
    if _USUAL_MOMENT.match(text):
        return text
    try:
        value = datetime.fromisoformat(text)
        if value.tzinfo is not None:
            value = value.astimezone(UTC)
    except (ValueError, OverflowError):
        return text
    return value.isoformat().replace("+00:00", "Z")


def clock(text: str) -> str:
    """The time of day that an ISO 8601 text states, in UTC; it may be of the day before or after."""
    try:
        value = time.fromisoformat(text)
    except ValueError:
        return text
    offset = value.utcoffset()
    if offset is None:
        return value.isoformat()
    since_midnight = timedelta(
        hours=value.hour, minutes=value.minute, seconds=value.second, microseconds=value.microsecond
    )
    days, rest = divmod(since_midnight - offset, timedelta(days=1))
    shown = (_MIDNIGHT + rest).time().isoformat()
    return f"{shown}Z" if days == 0 else f"{shown}Z{days:+d}d"


def number(value: Any) -> Any:
    """The same JSON value; of a float that is a whole number the integer, as JSON takes 1 and 1.0 for the same."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_MIDNIGHT = datetime(1970, 1, 1, tzinfo=UTC)


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        return text


def _identifier(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return text


BY_FORMAT = {"date-time": moment, "time": clock, "uuid": _identifier, "ipv4": _address, "ipv6": _address}
"""The spelling of texts of a format of JSON Schema."""
