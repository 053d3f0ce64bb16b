"""Comparison: the constants with which conditions compare fields: how they travel, and which fields they fit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from handoffs.coordinator.errors import FlowError

MISSING = object()
"""What a payload has where it has no such field."""
Value = str | int | float | bool | Decimal | datetime | date | None


def constant_of(value: Any) -> Value:
    """The value itself, if conditions compare with such. Raises :class:`FlowError` for another, and one that is not finite."""
    if not isinstance(value, (str, int, float, bool, Decimal, datetime, date, NoneType)):
        raise FlowError(
            f"a field is compared with {type(value).__name__}",
            remedy="compare it with a text, a number, a date, true, false or None",
        )
    if isinstance(value, (float, Decimal)) and not math.isfinite(value):
        raise FlowError(f"a field is compared with {value}", remedy="compare it with a finite number")
    return value


def found_at(data: Mapping[str, Any], path: str) -> Any:
    """What a payload has at a path of field names; :data:`MISSING` where it has nothing there."""
    found: Any = data
    for part in path.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return MISSING
        found = found[part]
    return found


def like(constant: Value, found: Any) -> Any:
    """A JSON value as the type that it is compared with: decimals and times travel as text. Raises
    :class:`TypeError`, :class:`ValueError` or :class:`decimal.InvalidOperation` where they cannot be compared."""
    if isinstance(constant, Decimal):
        return Decimal(str(found))
    if isinstance(constant, datetime):
        return datetime.fromisoformat(found)
    if isinstance(constant, date):
        return date.fromisoformat(found)
    if isinstance(constant, bool) or isinstance(found, bool):
        if type(constant) is not type(found):
            raise TypeError
        return found
    if isinstance(constant, (int, float)):
        return Decimal(found) if isinstance(found, str) else found
    if not isinstance(found, str):
        raise TypeError
    return found


def against(constant: Value, found: Any) -> Any:
    """The constant itself; a float as the decimal number that was written, where it is compared with one."""
    return Decimal(str(constant)) if isinstance(constant, float) and isinstance(found, str) else constant


def write_constant(value: Value) -> Any:
    """A constant as a JSON value: decimals and times with the word for their type."""
    for word, kind in (("decimal", Decimal), ("time", datetime), ("date", date)):
        if isinstance(value, kind):
            return {word: str(value) if kind is Decimal else value.isoformat()}  # type: ignore[union-attr]
    return value


def read_constant(value: Any) -> Value:
    """The constant that :func:`write_constant` wrote. Raises :class:`ValueError` for anything else."""
    match value:
        case {"decimal": str(text)}:
            return _decimal(text)
        case {"time": str(text)}:
            return datetime.fromisoformat(text)
        case {"date": str(text)}:
            return date.fromisoformat(text)
        case float() if not math.isfinite(value):
            raise ValueError("it is no finite number")
        case str() | int() | float() | bool() | None:
            return value
    raise ValueError("it is no constant")


def _decimal(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError("it is no decimal number") from None
    if not number.is_finite():
        raise ValueError("it is no finite number")
    return number


def in_words(value: Value) -> str:
    """A constant in words."""
    return f'"{value}"' if isinstance(value, str) else "null" if value is None else str(value)


def types_at(contract: type[BaseModel], path: str) -> list[Any]:
    """The types that the field at ``path`` may have. Raises :class:`FlowError` where ``contract`` has no such field."""
    models: list[Any] = [contract]
    for part in path.split("."):
        hints = [
            info.annotation
            for model in models
            if isinstance(model, type) and issubclass(model, BaseModel)
            for name, info in model.model_fields.items()
            if (info.alias or name) == part
        ]
        if not hints:
            raise FlowError(
                f"{contract.__name__} has no field {path!r}",
                remedy="name a field of the contract that arrives there",
            )
        models = [found for hint in hints for found in _plain(hint)]
    return models


def _plain(hint: Any) -> list[Any]:
    origin = get_origin(hint)
    if origin is Annotated:
        return _plain(get_args(hint)[0])
    if origin in (Union, UnionType):
        return [found for part in get_args(hint) for found in _plain(part)]
    if origin is Literal:
        return [type(value) for value in get_args(hint)]
    return [origin or hint]


def fits(value: Value, found: Any) -> bool:
    """Whether a constant can be compared with a field of the type ``found``."""
    if found is Any:
        return True
    if not isinstance(found, type):
        return False
    if isinstance(value, bool):
        return found is bool
    if isinstance(value, (int, float)):
        return issubclass(found, (int, float, Decimal)) and found is not bool
    if isinstance(value, date) and not isinstance(value, datetime):
        return issubclass(found, date) and not issubclass(found, datetime)  # a time is written in another way
    return issubclass(found, type(value)) or (isinstance(value, Decimal) and issubclass(found, (int, float)))
