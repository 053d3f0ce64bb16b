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
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

from handoffs.contracts.text import named, printable, quoted
from handoffs.coordinator.errors import FlowError, Unanswerable
from handoffs.coordinator.flow.answer import Answer, Unclear, opposite, together
from handoffs.coordinator.flow.comparison import (
    Value,
    against,
    constant_in_kind,
    constant_of,
    found_at,
    in_kind,
    in_words,
    like,
    read_constant,
    sorts_at,
    types_at,
    with_zone,
    write_constant,
)
from handoffs.coordinator.flow.members import members_at
from handoffs.coordinator.flow.names import is_path
from handoffs.coordinator.flow.sort import alike, goes_with

_COMPARES: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
ORDERED = frozenset({"<", "<=", ">", ">="})
"""The words that put values in order."""
_SHOWN = 20  # values that an error names
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
        """Whether it holds for the JSON values of a payload. Raises :class:`~handoffs.coordinator.errors.Unanswerable` where
        that cannot be said (:meth:`answer`)."""
        return self.decided(self.answer(data))

    def decided(self, answer: Answer) -> bool:
        """The answer that it gave, where there is one. Raises :class:`~handoffs.coordinator.errors.Unanswerable`."""
        if isinstance(answer, Unclear):
            raise Unanswerable(
                f"the condition {printable(self, 300)} cannot be answered: {answer.why}",
                "no way was taken",
                "mend the value, or ask before whether it is there: field(...).exists() & ...",
            )
        return answer

    def answer(self, data: Mapping[str, Any]) -> Answer:
        """Whether it holds, or why that cannot be said: a part of a path is not there or is null, null is put in order, or
        the value is of another kind than what it is compared with (a time without a zone against one with a zone)."""
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

    def answer(self, data: Mapping[str, Any]) -> Answer:
        return together((part.answer(data) for part in self.parts), decides=self.word == "any")

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

    def answer(self, data: Mapping[str, Any]) -> Answer:
        return opposite(self.part.answer(data))

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

    def answer(self, data: Mapping[str, Any]) -> Answer:
        found = found_at(data, self.path)
        if isinstance(found, Unclear):
            return found
        if found is None or self.value is None:
            if self.word in ORDERED:
                return Unclear(f"{self.path!r} is {in_kind(found)}, and null is in no order")
            return (found is self.value) is (self.word == "==")
        try:
            return _COMPARES[self.word](like(self.value, found), against(self.value, found))
        except (TypeError, ValueError, ArithmeticError):
            return Unclear(
                f"{self.path!r} is {in_kind(found)}, and is compared with {constant_in_kind(self.value)}"
            )

    def to_json(self) -> Json:
        return {"field": self.path, "is": self.word, "value": write_constant(self.value)}

    def check(self, contract: type[BaseModel]) -> None:
        types = types_at(contract, self.path)
        if self.word in ORDERED and (self.value is None or isinstance(self.value, bool)):
            raise FlowError(f"{self.path!r} is compared with {self.value!r} by {self.word}")
        if self.value is None:
            return
        sorts = sorts_at(types)
        shown = ", ".join(sorted({getattr(found, "__name__", str(found)) for found in types}))
        if not sorts & (goes_with(self.value) | {"any"}):
            raise FlowError(
                f"{self.path!r} of {contract.__name__} is {shown}, and is compared with a {type(self.value).__name__}"
                f"{_zone_of(self.value)}",
                remedy="compare it with a value of its own type" + _zone_remedy(self.value),
            )
        if alike(sorts, self.value):
            raise FlowError(
                f"{self.path!r} of {contract.__name__} is {shown}, which are written alike, and is compared with a "
                f"{type(self.value).__name__}",
                remedy="give each of them a field of its own",
            )
        self._check_member(contract)

    def _check_member(self, contract: type[BaseModel]) -> None:
        """Raise :class:`FlowError` where the field counts what it can have, and the constant is not among it."""
        members = members_at(contract, self.path, self.value) if self.word in {"==", "!="} else None
        if members is not None and not any(_is_equal(self.value, member) for member in members):
            raise FlowError(
                f"{self.path!r} of {contract.__name__} is never {in_words(self.value)}",
                "the answer would always be the same",
                f"compare it with what it may be: {_listed(members)}",
            )

    def __str__(self) -> str:
        return f"{self.path} {self.word} {in_words(self.value)}"


@dataclass(frozen=True)
class IsIn(Condition):
    """A field is one of several constants."""

    path: str
    values: tuple[Value, ...]

    def answer(self, data: Mapping[str, Any]) -> Answer:
        """Of constants of several kinds, those count that the value can be compared with."""
        found = found_at(data, self.path)
        if isinstance(found, Unclear):
            return found
        answers = [Compare(self.path, "==", value).answer(data) for value in self.values]
        known = [answer for answer in answers if not isinstance(answer, Unclear)]
        return together(known or answers, decides=True)

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

    def answer(self, data: Mapping[str, Any]) -> Answer:
        found = found_at(data, self.path)
        return not (found is None or isinstance(found, Unclear))

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
    if not is_path(path):
        raise FlowError(f"{quoted(path, 80)} names no field", remedy="write it as amount or parcel.weight")
    return Field(path)


def condition_from(value: Json) -> Condition:
    """Read what :meth:`Condition.to_json` wrote. Raises :class:`ValueError` for anything else."""
    match value:
        case {"all": list(parts), **more} if not more:
            return Both("all", tuple(condition_from(part) for part in parts))
        case {"any": list(parts), **more} if not more:
            return Both("any", tuple(condition_from(part) for part in parts))
        case {"not": dict(part), **more} if not more:
            return Not(condition_from(part))
        case {"field": str(path), "is": str(word), "value": constant, **more} if (
            not more and word in _COMPARES
        ):
            return Compare(path, word, read_constant(constant))
        case {"field": str(path), "in": list(constants), **more} if not more:
            return IsIn(path, tuple(map(read_constant, constants)))
        case {"field": str(path), "exists": True, **more} if not more:
            return Exists(path)
    raise ValueError("it is no condition")


def _is_equal(constant: Value, member: Any) -> bool:
    try:
        return bool(like(constant, member) == against(constant, member))
    except (TypeError, ValueError, ArithmeticError):
        return False


def _listed(members: tuple[Any, ...]) -> str:
    """The values of a field in words, the first of them where they are many."""
    shown = [printable(in_words(member), 60) for member in dict.fromkeys(members)]
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(shown[:_SHOWN]) + more


def _zone_of(value: Value) -> str:
    return f" {with_zone(value)}" if isinstance(value, datetime) else ""


def _zone_remedy(value: Value) -> str:
    if not isinstance(value, datetime) or value.utcoffset() is not None:
        return ""
    return ": datetime(..., tzinfo=UTC), or declare the field as NaiveDatetime"


def asked_of(value: object, otherwise: str) -> str:
    """What to write in place of what is no condition: of a field alone, what can be asked of it; else ``otherwise``."""
    if not isinstance(value, Field):
        return otherwise
    return f'ask something of it: field("{value.path}") == True, or field("{value.path}").exists()'


def _condition(value: object) -> Condition:
    if not isinstance(value, Condition):
        raise FlowError(
            f"{named(value)} is no condition",
            remedy=asked_of(value, 'write one: field("amount") > 5000, in parentheses beside & and |'),
        )
    return value
