"""Comparison: the constants with which conditions compare fields: how they travel, and which fields they fit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel

from handoffs.contracts.annotations import meant
from handoffs.coordinator.errors import FlowError
from handoffs.coordinator.flow.answer import Unclear
from handoffs.coordinator.flow.sort import Sort, sorts_of

Value = str | int | float | bool | Decimal | datetime | date | None


def constant_of(value: Any) -> Value:
    """The value itself, if conditions compare with such; of an enumeration's member, and of a UUID, as messages have it. Raises
    :class:`FlowError` for another, and one that is not finite."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, UUID):
        value = str(value)
    if not isinstance(value, (str, int, float, bool, Decimal, datetime, date, NoneType)):
        raise FlowError(
            f"a field is compared with {type(value).__name__}",
            remedy="compare it with a text, a number, a date, true, false or None",
        )
    if isinstance(value, (float, Decimal)) and not math.isfinite(value):
        raise FlowError(f"a field is compared with {value}", remedy="compare it with a finite number")
    return value


def found_at(data: Mapping[str, Any], path: str) -> Any:
    """What a payload has at a path of field names; :class:`Unclear` where a part of the path is not there, or is null."""
    found: Any = data
    names = path.split(".")
    for at, name in enumerate(names):
        if not isinstance(found, Mapping):
            what = "null" if found is None else f"no part with a field {name!r}"
            return Unclear(f"{'.'.join(names[:at])!r} is {what}")
        if name not in found:
            return Unclear(f"there is no {'.'.join(names[: at + 1])!r}", absent=at == 0)
        found = found[name]
    return found


def like(constant: Value, found: Any) -> Any:
    """A JSON value as the type that it is compared with: decimals and times travel as text. Raises
    :class:`TypeError`, :class:`ValueError` or :class:`decimal.InvalidOperation` where they cannot be compared."""
    if isinstance(constant, bool) or isinstance(found, bool):
        if type(constant) is not type(found):
            raise TypeError
        return found
    if isinstance(constant, (int, float, Decimal)):
        return _number(constant, found)
    if not isinstance(found, str):
        raise TypeError
    if isinstance(constant, datetime):
        return _time(constant, found)
    return date.fromisoformat(found) if isinstance(constant, date) else found


def _number(constant: float | Decimal, found: Any) -> Any:
    if isinstance(found, str) or (isinstance(constant, Decimal) and isinstance(found, (int, float))):
        found = Decimal(str(found))
    if not isinstance(found, (int, float, Decimal)) or not (isinstance(found, int) or math.isfinite(found)):
        raise TypeError
    return found


def _time(constant: datetime, found: str) -> datetime:
    date.fromisoformat(found[:10])
    time = datetime.fromisoformat(found)
    if len(found) <= len("2026-01-01") or (time.utcoffset() is None) is not (constant.utcoffset() is None):
        raise TypeError
    return time


def in_kind(found: Any) -> str:
    """What a JSON value is, in words that do not show it."""
    if isinstance(found, str):
        return "a text" + _zone(found)
    for kind, word in (
        (bool, "true or false"),
        ((int, float), "a number"),
        (list, "a list"),
        (NoneType, "null"),
    ):
        if isinstance(found, kind):
            return word
    return "an object"


def _zone(found: str) -> str:
    try:
        time = datetime.fromisoformat(found)
    except ValueError:
        return ""
    return ", a date" if len(found) <= len("2026-01-01") else f", a time {with_zone(time)}"


def constant_in_kind(value: Value) -> str:
    """What a constant is, in words, with the constant itself."""
    if isinstance(value, datetime):
        return f"{value}, a time {with_zone(value)}"
    return in_words(value)


def with_zone(time: datetime) -> str:
    """Whether a time has a zone, in words."""
    return f"with{'out' if time.utcoffset() is None else ''} a zone"


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


def fields_at(contract: type[BaseModel], path: str) -> list[tuple[type[BaseModel], str]]:
    """The models that have the field at ``path``, each with the field's name. Raises :class:`FlowError` where ``contract`` has no
    such field."""
    models: list[Any] = [contract]
    fields: list[tuple[type[BaseModel], str]] = []
    for part in path.split("."):
        fields = [
            (model, name)
            for model in models
            if isinstance(model, type) and issubclass(model, BaseModel)
            for name, info in model.model_fields.items()
            if (info.alias or name) == part
        ]
        if not fields:
            raise FlowError(
                f"{contract.__name__} has no field {path!r}",
                remedy="name a field of the contract that arrives there",
            )
        models = _types_of(fields)
    return fields


def types_at(contract: type[BaseModel], path: str) -> list[Any]:
    """The types that the field at ``path`` may have. Raises :class:`FlowError` where ``contract`` has no such field."""
    return _types_of(fields_at(contract, path))


def _types_of(fields: list[tuple[type[BaseModel], str]]) -> list[Any]:
    return [found for model, name in fields for found in plain(model.model_fields[name].annotation)]


def plain(hint: Any) -> list[Any]:
    """The types that a type is made of: those of a union, and what aliases and annotations stand for."""
    origin = get_origin(hint)
    if origin is Annotated:
        return plain(get_args(hint)[0])
    if origin in (Union, UnionType):
        return [found for part in get_args(hint) for found in plain(part)]
    if origin is Literal:
        return [type(value) for value in get_args(hint)]
    if (inner := meant(hint)) is not None:
        return plain(inner)
    if isinstance(hint, TypeVar):
        return plain(hint.__bound__) if hint.__bound__ is not None else [Any]
    return [origin or hint]


def sorts_at(types: list[Any]) -> frozenset[Sort]:
    """The sorts of the values of a field that has one of these types."""
    return frozenset(sort for found in types for sort in sorts_of(found))
