"""Conditions: what a flow asks of a payload. Data, not code, so that a run keeps the ones it was started with.

::

    field("risk_score") >= 70
    (field("amount") > Decimal(5000)) & ~field("country").is_in("DE", "FR")
    field("parcel.weight").exists()
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from handoffs.contracts.text import printable
from handoffs.coordinator.errors import FlowError

_COMPARES: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_ORDERED = frozenset({"<", "<=", ">", ">="})
_MISSING = object()
Value = str | int | float | bool | Decimal | datetime | date | None
Json = dict[str, Any]


class Condition:
    """Something that holds for a payload, or does not. Combine with ``&``, ``|`` and ``~``."""

    def __and__(self, other: Condition) -> Condition:
        return Both("all", (self, _condition(other)))

    def __or__(self, other: Condition) -> Condition:
        return Both("any", (self, _condition(other)))

    def __invert__(self) -> Condition:
        return Not(self)

    def __bool__(self) -> bool:
        raise FlowError(
            "a condition is asked for its truth while the flow is built",
            remedy="combine conditions with & | ~, not with and, or, not or a chained comparison",
        )

    def holds(self, data: Mapping[str, Any]) -> bool:
        """Whether it holds for the JSON values of a payload. A field that is missing or null compares as nothing does."""
        raise NotImplementedError

    def to_json(self) -> Json:
        """As JSON values, from which :func:`condition_from` makes the same condition."""
        raise NotImplementedError

    def check(self, contract: type[BaseModel]) -> None:
        """Raise :class:`FlowError` where ``contract`` has no such field, or one of another type."""
        raise NotImplementedError


@dataclass(frozen=True)
class Both(Condition):
    """``all`` or ``any`` of several."""

    word: Literal["all", "any"]
    parts: tuple[Condition, ...]

    def holds(self, data: Mapping[str, Any]) -> bool:
        return (all if self.word == "all" else any)(part.holds(data) for part in self.parts)

    def to_json(self) -> Json:
        return {self.word: [part.to_json() for part in self.parts]}

    def check(self, contract: type[BaseModel]) -> None:
        for part in self.parts:
            part.check(contract)

    def __str__(self) -> str:
        return f"({(' and ' if self.word == 'all' else ' or ').join(map(str, self.parts))})"


@dataclass(frozen=True)
class Not(Condition):
    """The opposite."""

    part: Condition

    def holds(self, data: Mapping[str, Any]) -> bool:
        return not self.part.holds(data)

    def to_json(self) -> Json:
        return {"not": self.part.to_json()}

    def check(self, contract: type[BaseModel]) -> None:
        self.part.check(contract)

    def __str__(self) -> str:
        return f"not {self.part}"


@dataclass(frozen=True)
class Compare(Condition):
    """A field against a constant."""

    path: str
    word: str
    value: Value

    def holds(self, data: Mapping[str, Any]) -> bool:
        found = _found(data, self.path)
        if found is _MISSING or found is None or self.value is None:
            same = self.value is None and found is None
            return same if self.word == "==" else (self.word == "!=" and found is not _MISSING and not same)
        try:
            return _COMPARES[self.word](_like(self.value, found), _against(self.value, found))
        except (TypeError, ValueError, InvalidOperation):
            return self.word == "!="

    def to_json(self) -> Json:
        return {"field": self.path, "is": self.word, "value": _written(self.value)}

    def check(self, contract: type[BaseModel]) -> None:
        types = _types(contract, self.path)
        if self.word in _ORDERED and (self.value is None or isinstance(self.value, bool)):
            raise FlowError(f"{self.path!r} is compared with {self.value!r} by {self.word}")
        if self.value is not None and not any(_fits(self.value, found) for found in types):
            shown = ", ".join(sorted(getattr(found, "__name__", str(found)) for found in types))
            raise FlowError(
                f"{self.path!r} of {contract.__name__} is {shown}, and is compared with a {type(self.value).__name__}",
                remedy="compare it with a value of its own type",
            )

    def __str__(self) -> str:
        return f"{self.path} {self.word} {_shown(self.value)}"


@dataclass(frozen=True)
class IsIn(Condition):
    """A field is one of several constants."""

    path: str
    values: tuple[Value, ...]

    def holds(self, data: Mapping[str, Any]) -> bool:
        return any(Compare(self.path, "==", value).holds(data) for value in self.values)

    def to_json(self) -> Json:
        return {"field": self.path, "in": [_written(value) for value in self.values]}

    def check(self, contract: type[BaseModel]) -> None:
        for value in self.values:
            Compare(self.path, "==", value).check(contract)

    def __str__(self) -> str:
        return f"{self.path} in ({', '.join(map(_shown, self.values))})"


@dataclass(frozen=True)
class Exists(Condition):
    """A field has a value: it is there, and not null."""

    path: str

    def holds(self, data: Mapping[str, Any]) -> bool:
        return _found(data, self.path) not in (_MISSING, None)

    def to_json(self) -> Json:
        return {"field": self.path, "exists": True}

    def check(self, contract: type[BaseModel]) -> None:
        _types(contract, self.path)

    def __str__(self) -> str:
        return f"{self.path} is there"


@dataclass(frozen=True, eq=False)
class Field:
    """A field of a payload, by its path; what :func:`field` gives."""

    path: str

    def __eq__(self, value: object) -> Condition:  # type: ignore[override]
        return Compare(self.path, "==", _constant(value))

    def __ne__(self, value: object) -> Condition:  # type: ignore[override]
        return Compare(self.path, "!=", _constant(value))

    def __lt__(self, value: Value) -> Condition:
        return Compare(self.path, "<", _constant(value))

    def __le__(self, value: Value) -> Condition:
        return Compare(self.path, "<=", _constant(value))

    def __gt__(self, value: Value) -> Condition:
        return Compare(self.path, ">", _constant(value))

    def __ge__(self, value: Value) -> Condition:
        return Compare(self.path, ">=", _constant(value))

    __hash__ = None  # type: ignore[assignment]

    def is_in(self, *values: Value) -> Condition:
        """Whether it is one of ``values``."""
        return IsIn(self.path, tuple(_constant(value) for value in values))

    def exists(self) -> Condition:
        """Whether it is there and not null."""
        return Exists(self.path)


def field(path: str) -> Field:
    """A field of the payload to ask something of; ``a.b`` is field ``b`` of what field ``a`` holds."""
    if not all(part.isidentifier() for part in path.split(".")):
        raise FlowError(
            f"{printable(path, 80)!r} names no field", remedy="write it as amount or parcel.weight"
        )
    return Field(path)


def condition_from(value: Json) -> Condition:
    """Read what :meth:`Condition.to_json` wrote. Raises :class:`ValueError` for anything else."""
    match value:
        case {"all": list(parts)}:
            return Both("all", tuple(condition_from(part) for part in parts))
        case {"any": list(parts)}:
            return Both("any", tuple(condition_from(part) for part in parts))
        case {"not": dict(part)}:
            return Not(condition_from(part))
        case {"field": str(path), "is": str(word), "value": constant} if word in _COMPARES:
            return Compare(path, word, _read(constant))
        case {"field": str(path), "in": list(constants)}:
            return IsIn(path, tuple(map(_read, constants)))
        case {"field": str(path), "exists": True}:
            return Exists(path)
    raise ValueError("it is no condition")


def _condition(value: object) -> Condition:
    if not isinstance(value, Condition):
        raise FlowError(
            f"{value!r} is no condition",
            remedy='write one: field("amount") > 5000, in parentheses beside & and |',
        )
    return value


def _constant(value: Any) -> Value:
    if not isinstance(value, (str, int, float, bool, Decimal, datetime, date, NoneType)):
        raise FlowError(
            f"a field is compared with {type(value).__name__}",
            remedy="compare it with a text, a number, a date, true, false or None",
        )
    if isinstance(value, (float, Decimal)) and not math.isfinite(value):
        raise FlowError(f"a field is compared with {value}", remedy="compare it with a finite number")
    return value


def _found(data: Mapping[str, Any], path: str) -> Any:
    found: Any = data
    for part in path.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return _MISSING
        found = found[part]
    return found


def _like(constant: Value, found: Any) -> Any:
    """A JSON value as the type that it is compared with: decimals and times travel as text."""
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


def _against(constant: Value, found: Any) -> Any:
    """The constant itself; a float as the decimal number that was written, where it is compared with one."""
    return Decimal(str(constant)) if isinstance(constant, float) and isinstance(found, str) else constant


def _written(value: Value) -> Any:
    for word, kind in (("decimal", Decimal), ("time", datetime), ("date", date)):
        if isinstance(value, kind):
            return {word: str(value) if kind is Decimal else value.isoformat()}  # type: ignore[union-attr]
    return value


def _read(value: Any) -> Value:
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


def _shown(value: Value) -> str:
    return f'"{value}"' if isinstance(value, str) else "null" if value is None else str(value)


def _types(contract: type[BaseModel], path: str) -> list[Any]:
    """The types that the field at ``path`` may have."""
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


def _fits(value: Value, found: Any) -> bool:
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
