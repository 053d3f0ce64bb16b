"""Conditions: what a flow asks of a payload. Data, not code, so that a run keeps the ones it was started with.

::

    field("risk_score") >= 70
    (field("amount") > Decimal(5000)) & ~field("country").is_in("DE", "FR")
    field("parcel.weight").exists()
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import InvalidOperation
from typing import Any, Literal

from pydantic import BaseModel

from handoffs.contracts.text import printable
from handoffs.coordinator.errors import FlowError
from handoffs.coordinator.flow.comparison import (
    MISSING,
    Value,
    against,
    constant_of,
    fits,
    found_at,
    in_words,
    like,
    read_constant,
    types_at,
    write_constant,
)

_COMPARES: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_ORDERED = frozenset({"<", "<=", ">", ">="})
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
        found = found_at(data, self.path)
        if found is MISSING or found is None or self.value is None:
            same = self.value is None and found is None
            return same if self.word == "==" else (self.word == "!=" and found is not MISSING and not same)
        try:
            return _COMPARES[self.word](like(self.value, found), against(self.value, found))
        except (TypeError, ValueError, InvalidOperation):
            return self.word == "!="

    def to_json(self) -> Json:
        return {"field": self.path, "is": self.word, "value": write_constant(self.value)}

    def check(self, contract: type[BaseModel]) -> None:
        types = types_at(contract, self.path)
        if self.word in _ORDERED and (self.value is None or isinstance(self.value, bool)):
            raise FlowError(f"{self.path!r} is compared with {self.value!r} by {self.word}")
        if self.value is not None and not any(fits(self.value, found) for found in types):
            shown = ", ".join(sorted(getattr(found, "__name__", str(found)) for found in types))
            raise FlowError(
                f"{self.path!r} of {contract.__name__} is {shown}, and is compared with a {type(self.value).__name__}",
                remedy="compare it with a value of its own type",
            )

    def __str__(self) -> str:
        return f"{self.path} {self.word} {in_words(self.value)}"


@dataclass(frozen=True)
class IsIn(Condition):
    """A field is one of several constants."""

    path: str
    values: tuple[Value, ...]

    def holds(self, data: Mapping[str, Any]) -> bool:
        return any(Compare(self.path, "==", value).holds(data) for value in self.values)

    def to_json(self) -> Json:
        return {"field": self.path, "in": [write_constant(value) for value in self.values]}

    def check(self, contract: type[BaseModel]) -> None:
        for value in self.values:
            Compare(self.path, "==", value).check(contract)

    def __str__(self) -> str:
        return f"{self.path} in ({', '.join(map(in_words, self.values))})"


@dataclass(frozen=True)
class Exists(Condition):
    """A field has a value: it is there, and not null."""

    path: str

    def holds(self, data: Mapping[str, Any]) -> bool:
        return found_at(data, self.path) not in (MISSING, None)

    def to_json(self) -> Json:
        return {"field": self.path, "exists": True}

    def check(self, contract: type[BaseModel]) -> None:
        types_at(contract, self.path)

    def __str__(self) -> str:
        return f"{self.path} is there"


@dataclass(frozen=True, eq=False)
class Field:
    """A field of a payload, by its path; what :func:`field` gives."""

    path: str

    def __eq__(self, value: object) -> Condition:  # type: ignore[override]
        return Compare(self.path, "==", constant_of(value))

    def __ne__(self, value: object) -> Condition:  # type: ignore[override]
        return Compare(self.path, "!=", constant_of(value))

    def __lt__(self, value: Value) -> Condition:
        return Compare(self.path, "<", constant_of(value))

    def __le__(self, value: Value) -> Condition:
        return Compare(self.path, "<=", constant_of(value))

    def __gt__(self, value: Value) -> Condition:
        return Compare(self.path, ">", constant_of(value))

    def __ge__(self, value: Value) -> Condition:
        return Compare(self.path, ">=", constant_of(value))

    __hash__ = None  # type: ignore[assignment]

    def is_in(self, *values: Value) -> Condition:
        """Whether it is one of ``values``."""
        return IsIn(self.path, tuple(constant_of(value) for value in values))

    def exists(self) -> Condition:
        """Whether it is there and not null."""
        return Exists(self.path)


def field(path: str) -> Field:
    """A field of the payload to ask something of; ``a.b`` is field ``b`` of what field ``a`` holds.

    Raises :class:`FlowError` for what names no field.
    """
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
            return Compare(path, word, read_constant(constant))
        case {"field": str(path), "in": list(constants)}:
            return IsIn(path, tuple(map(read_constant, constants)))
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
