"""Nulls: whether conditions can be answered where a field that they ask about is null."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, product
from types import NoneType
from typing import TypeAlias

from pydantic import BaseModel

from handoffs.coordinator.flow.answer import Answer, Unclear, opposite, together
from handoffs.coordinator.flow.comparison import types_at
from handoffs.coordinator.flow.condition import ORDERED, Both, Compare, Condition, Exists, IsIn, Not

_MOST = 6  # fields that may be null, of which all combinations are looked at
_Answers: TypeAlias = frozenset[Answer]
"""What may be answered."""
_UNCLEAR = Unclear("a field is null")
_EITHER: _Answers = frozenset({True, False})


def unanswered(
    conditions: Sequence[Condition], contract: type[BaseModel]
) -> tuple[Condition, tuple[str, ...]] | None:
    """Of conditions that are asked one after another until one holds: one that cannot be answered wherever these fields are
    null, and no condition before it holds then. None where there is none."""
    nullable = list(dict.fromkeys(path for one in conditions for path in _nullable(one, contract)))
    for null in _combinations(nullable):
        for condition in conditions:
            answers = _answers(condition, null)
            if answers == {_UNCLEAR}:
                return condition, null
            if answers == {True}:
                break
    return None


def _combinations(paths: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for size in range(1, len(paths) + 1 if len(paths) <= _MOST else 2):
        yield from combinations(paths, size)


def _nullable(condition: Condition, contract: type[BaseModel]) -> Iterator[str]:
    """The fields, and the parts around them, that the condition asks about and that may be null."""
    for path in _paths(condition):
        names = path.split(".")
        for length in range(1, len(names) + 1):
            prefix = ".".join(names[:length])
            if NoneType in types_at(contract, prefix):
                yield prefix


def _paths(condition: Condition) -> Iterator[str]:
    if isinstance(condition, Both):
        for part in condition.parts:
            yield from _paths(part)
    elif isinstance(condition, Not):
        yield from _paths(condition.part)
    elif isinstance(condition, (Compare, IsIn, Exists)):
        yield condition.path


def _answers(condition: Condition, null: Sequence[str]) -> _Answers:
    match condition:
        case Both(word, parts):
            each = product(*(_answers(part, null) for part in parts))
            return frozenset(together(answers, decides=word == "any") for answers in each)
        case Not(part):
            return frozenset(map(opposite, _answers(part, null)))
        case Exists(path):
            return frozenset({not any(f"{path}.".startswith(f"{one}.") for one in null)})
        case Compare(path) | IsIn(path) if any(path.startswith(f"{one}.") for one in null):
            return frozenset({_UNCLEAR})
        case Compare(path) | IsIn(path) if path in null:
            return frozenset({_of_null(condition)})
    return _EITHER


def _of_null(condition: Compare | IsIn) -> Answer:
    if isinstance(condition, IsIn):
        return None in condition.values
    return _UNCLEAR if condition.word in ORDERED else (condition.value is None) is (condition.word == "==")
