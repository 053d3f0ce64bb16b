"""Effort: data that is small and would take very long to validate, told before Pydantic is asked.

Two kinds are known. A union of which several members lead back to it is tried branch by branch at each level, so its time doubles
with each. And whoever knows how Python hashes numbers can send thousands that all have one hash: each is then compared with all
others before it is put into a set or is the key of a mapping.
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from decimal import Decimal
from functools import lru_cache, partial
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel

from handoffs.contracts import strictjson
from handoffs.contracts.annotations import hints_in, meant, names_of
from handoffs.contracts.errors import InvalidData
from handoffs.contracts.unions import Ambiguity, ambiguity

_MOST_STEPS = 200_000
_MOST_FOR_A_VALUE = 16
_MOST_ALIKE = 100
_NUMBER = re.compile(r"\s*[-+]?[0-9_.]{1,5000}(?:[eE][-+]?[0-9]{1,9})?\s*\Z")
_UUID = re.compile(r"(?:urn:uuid:)?\{?(?:[0-9a-fA-F]-?){32}\}?\Z")
_TEXTS = (str, bytes)
_SEVERAL = (list, tuple, dict, set, frozenset, deque, Mapping)
_AROUND = (Annotated, Union, UnionType, Literal)


class Effort(NamedTuple):
    """What of a model may take long: how ambiguous its unions are, and whether there are sets or keys of what is no text, at first
    hand, of several values together, or of sets; and the ``names`` of the fields of which such values are put together."""

    unions: Ambiguity
    hashed: bool
    composed: bool
    of_sets: bool
    names: frozenset[str]

    def check(self, data: Any, title: str) -> None:
        """Raise :class:`InvalidData` where JSON data would take long to validate. Takes time as the data is large."""
        if max(self.unions) > 1:
            self._check_unions(data, title)
        if self.hashed:
            self._check_hashes(data, title)

    def _check_unions(self, data: Any, title: str) -> None:
        of_object, of_array = self.unions
        steps, values, most = 0, 0, _MOST_STEPS
        pending: list[tuple[Any, int]] = [(data, 1)]
        while pending:
            value, times = pending.pop()
            steps, values = steps + times, values + 1
            if steps > max(most, values * _MOST_FOR_A_VALUE):
                raise InvalidData(
                    f"data of {title} is nested too deep for a union of which several members lead back to it",
                    "to try each at each level would take very long",
                    "declare the union with a discriminator, or nest the data less deep",
                )
            if isinstance(value, dict):
                pending += [(inner, times * of_object) for inner in value.values()]
            elif isinstance(value, list):
                pending += [(inner, times * of_array) for inner in value]

    def _check_hashes(self, data: Any, title: str) -> None:
        for members in _holders(data):
            if len(members) > _MOST_ALIKE and any(
                len(alike) > _MOST_ALIKE for way in self._ways() for alike in _alike(members, way)
            ):
                raise InvalidData(
                    f"data of {title} has more than {_MOST_ALIKE} members or keys that differ and have one hash",
                    "to compare each with all others would take very long",
                    "it does not happen by chance: ask who sent it",
                )

    def _ways(self) -> Iterator[Any]:
        yield _scalar_hash
        if self.composed:
            yield partial(_hash, names=self.names, of_arrays=tuple)
        if self.of_sets:
            yield partial(_hash, names=self.names, of_arrays=frozenset)


def effort(model: type[BaseModel]) -> Effort | None:
    """What of a model may take long; None where nothing may."""
    if not model.__pydantic_complete__ and not model.model_rebuild(raise_errors=False):
        return None
    return _effort(model)


@lru_cache(maxsize=4096)
def _effort(model: type[BaseModel]) -> Effort | None:
    members = [member for hint in hints_in(model) for member in _hashed(hint)]
    composed = [member for member in members if not _is_scalar(member)]
    of_sets = any(_is_set(inner) for member in composed for inner in hints_in(member))
    names = frozenset(name for member in composed for name in _names(member))
    found = Effort(ambiguity(model.__pydantic_core_schema__), bool(members), bool(composed), of_sets, names)
    return found if found.hashed or max(found.unions) > 1 else None


def _hashed(hint: Any) -> tuple[Any, ...]:
    """What a type puts into a table by its hash: the members of a set, the keys of a mapping; not texts, of which hashes are random."""
    kind, arguments = get_origin(hint) or hint, get_args(hint)
    if _is_set(hint):
        members = arguments or (Any,)
    elif isinstance(kind, type) and issubclass(kind, Mapping) and arguments:
        members = arguments[:1]
    else:
        return ()
    return tuple(member for member in members if member not in _TEXTS)


def _is_set(hint: Any) -> bool:
    kind = get_origin(hint) or hint
    return isinstance(kind, type) and issubclass(kind, (set, frozenset, AbstractSet))


def _is_scalar(hint: Any) -> bool:
    """Whether a value of a type is one JSON number, text, or the like."""
    return all(
        get_origin(inner) is None
        and isinstance(inner, type)
        and not issubclass(inner, (BaseModel, *_SEVERAL))
        for inner in hints_in(hint)
        if meant(inner) is None and get_origin(inner) not in _AROUND
    )


def _holders(data: Any) -> Iterator[list[Any]]:
    """The items of each array, and the keys of each object."""
    pending = [data]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            yield list(value)
            pending += value.values()
        elif isinstance(value, list):
            yield value
            pending += value


def _alike(members: list[Any], way: Any) -> Iterable[set[str]]:
    """Those that differ and have one hash."""
    found: defaultdict[int, set[str]] = defaultdict(set)
    for member in members:
        number = way(member)
        if number is not None:
            alike = found[number]
            if len(alike) <= _MOST_ALIKE:
                alike.add(strictjson.canonical(member))
    return found.values()


def _scalar_hash(value: Any) -> int | None:
    """The hash of what a number, or a text of one, may be read as; None for what has a random one, or is none of these."""
    if isinstance(value, (bool, int, float)):
        return hash(value)
    if not isinstance(value, str):
        return None
    if _NUMBER.match(value):
        try:
            return hash(Decimal(value))
        except ArithmeticError:
            return None
    if _UUID.match(value):
        return hash(int(value.removeprefix("urn:uuid:").strip("{}").replace("-", ""), 16))
    return None


def _hash(value: Any, names: frozenset[str], of_arrays: type) -> int:
    """The same of values that are put together: arrays as tuples or sets, objects by those of their fields that are declared."""
    if isinstance(value, list):
        return hash(of_arrays(_hash(inner, names, of_arrays) for inner in value))
    if isinstance(value, dict):
        told = ((name, _hash(inner, names, of_arrays)) for name, inner in value.items() if name in names)
        return hash(tuple(sorted(told)))
    found = _scalar_hash(value)
    return hash(value) if found is None else found


def _names(hint: Any) -> Iterator[str]:
    for inner in hints_in(hint):
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            for name, info in inner.model_fields.items():
                yield from (name, *names_of(info))
        else:
            yield from getattr(inner, "__annotations__", ())
