"""Sort: how the values of a field are written in messages, as far as its declaration says it, and what goes with it."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Any, Literal, TypeAlias

from pydantic import AwareDatetime, FutureDate, FutureDatetime, NaiveDatetime, PastDate, PastDatetime

Sort: TypeAlias = Literal[
    "any", "flag", "number", "decimal", "text", "uuid", "time", "aware", "naive", "date", "null", "other"
]
"""``decimal``, ``uuid`` and the times and dates are written as text; ``time`` may be with a zone or without one."""

_SPECIAL: dict[Any, Sort] = {
    Any: "any",
    object: "any",
    NoneType: "null",
    AwareDatetime: "aware",
    NaiveDatetime: "naive",
    PastDatetime: "time",
    FutureDatetime: "time",
    PastDate: "date",
    FutureDate: "date",
}
_CLASSES: tuple[tuple[type, Sort], ...] = (
    (bool, "flag"), (int, "number"), (float, "number"), (Decimal, "decimal"), (str, "text"), (uuid.UUID, "uuid"),
    (datetime, "time"), (date, "date"),
)  # fmt: skip
_NUMBERS: frozenset[Sort] = frozenset({"number", "decimal"})
_TIMES: frozenset[Sort] = frozenset({"time", "aware", "naive"})
_TEXTS: frozenset[Sort] = frozenset({"text", "uuid"})
_FAMILIES: tuple[frozenset[Sort], ...] = (_NUMBERS, _TIMES, _TEXTS, frozenset({"flag"}), frozenset({"date"}))
_AS_TEXT: frozenset[Sort] = frozenset({"decimal", "text", "uuid", "date", "other", *_TIMES})


def sorts_of(found: Any) -> frozenset[Sort]:
    """The sorts of the values of a type: several of an enumeration's."""
    if isinstance(found, type) and issubclass(found, Enum):
        return frozenset(sort for member in found for sort in sorts_of(type(member.value)))
    try:
        special = _SPECIAL.get(found)
    except TypeError:  # it cannot be hashed
        special = None
    if special is not None:
        return frozenset({special})
    if isinstance(found, type):
        return frozenset({next((sort for kind, sort in _CLASSES if issubclass(found, kind)), "other")})
    return frozenset({"other"})


def goes_with(value: object) -> frozenset[Sort]:
    """The sorts of the fields that a constant may be compared with, other than null: a time without a zone with none that
    may have one, or its author would not have noticed."""
    if isinstance(value, bool):
        return frozenset({"flag"})
    if isinstance(value, (int, float, Decimal)):
        return _NUMBERS
    if isinstance(value, datetime):
        return frozenset({"naive"} if value.utcoffset() is None else {"time", "aware"})
    if isinstance(value, date):
        return frozenset({"date"})
    return _TEXTS if is_uuid(value) else frozenset({"text"})


def alike(sorts: Collection[Sort], value: object) -> frozenset[Sort]:
    """The sorts of a field that are written as those are with which ``value`` goes: nobody could tell a value of the one from
    a value of the other."""
    found = frozenset(sorts)
    wanted = next(family for family in _FAMILIES if goes_with(value) & family)
    if wanted == _NUMBERS:
        return found & (_AS_TEXT - wanted)
    return found & (_AS_TEXT - wanted) if found & wanted & _AS_TEXT else frozenset()


def is_uuid(value: object) -> bool:
    """Whether it is a UUID as it is written in messages."""
    try:
        return isinstance(value, str) and str(uuid.UUID(value)) == value
    except ValueError:
        return False
