"""Language: a set of texts, decided by derivatives (Brzozowski 1964; Owens, Reppy, Turon 2009)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from handoffs.contracts.compatibility.ranges import ANY, Ranges, includes, merged

_LONGEST = 2000
_MOST_EFFORT = 200_000
"""Parts of languages that are derived for one text: some two seconds."""


class Unsupported(Exception):
    """The pattern uses what no regular language expresses, what dialects write differently, or more than is followed."""


@dataclass(frozen=True, slots=True, eq=False)
class Language:
    """A set of texts. Made by the functions below, which keep one object for each language they write."""

    kind: str
    parts: tuple[Language, ...] = ()
    ranges: Ranges = ()
    low: int = 0
    high: int | None = None
    nullable: bool = False
    size: int = 1


_INTERNED: dict[tuple[object, ...], Language] = {}
_MOST_INTERNED = 50_000


def _make(
    kind: str,
    parts: tuple[Language, ...] = (),
    ranges: Ranges = (),
    low: int = 0,
    high: int | None = None,
    nullable: bool = False,
) -> Language:
    key = (kind, parts, ranges, low, high)
    found = _INTERNED.get(key)
    if found is None:
        size = 1 + sum(part.size for part in parts)
        if size > _LONGEST:
            raise Unsupported("the pattern is too large")
        if len(_INTERNED) > _MOST_INTERNED:
            _INTERNED.clear()
        found = _INTERNED[key] = Language(kind, parts, ranges, low, high, nullable, size)
    return found


NOTHING: Final = Language("chars")
EMPTY: Final = Language("empty", nullable=True)
_INTERNED[("chars", (), (), 0, None)] = NOTHING
_INTERNED[("empty", (), (), 0, None)] = EMPTY
ALL: Final = Language("repeat", (Language("chars", ranges=ANY),), nullable=True, size=2)
_INTERNED[("chars", (), ANY, 0, None)] = ALL.parts[0]
_INTERNED[("repeat", ALL.parts, (), 0, None)] = ALL


def chars(ranges: Ranges) -> Language:
    """The texts of one character out of ``ranges``."""
    return _make("chars", ranges=ranges) if ranges else NOTHING


def sequence(first: Language, rest: Language) -> Language:
    """The texts of ``first`` followed by those of ``rest``."""
    if first is NOTHING or rest is NOTHING:
        return NOTHING
    if first is EMPTY:
        return rest
    if rest is EMPTY:
        return first
    if first is ALL and rest is ALL:
        return ALL
    if first.kind == "sequence":
        return sequence(first.parts[0], sequence(first.parts[1], rest))
    return _make("sequence", (first, rest), nullable=first.nullable and rest.nullable)


def union(parts: Iterable[Language]) -> Language:
    """The texts of any of ``parts``."""
    found: dict[Language, None] = {}
    single: list[tuple[int, int]] = []
    for part in parts:
        for inner in part.parts if part.kind == "union" else (part,):
            if inner is ALL:
                return ALL
            if inner.kind == "chars":
                single.extend(inner.ranges)
            else:
                found[inner] = None
    if single:
        found[chars(merged(single))] = None
    if not found:
        return NOTHING
    if len(found) == 1:
        return next(iter(found))
    ordered = tuple(sorted(found, key=id))
    return _make("union", ordered, nullable=any(part.nullable for part in ordered))


def intersection(parts: Iterable[Language]) -> Language:
    """The texts of all of ``parts``."""
    found: dict[Language, None] = {}
    for part in parts:
        for inner in part.parts if part.kind == "intersection" else (part,):
            if inner is NOTHING:
                return NOTHING
            if inner is not ALL:
                found[inner] = None
    if not found:
        return ALL
    if any(part.kind == "not" and part.parts[0] in found for part in found):
        return NOTHING
    if len(found) == 1:
        return next(iter(found))
    ordered = tuple(sorted(found, key=id))
    return _make("intersection", ordered, nullable=all(part.nullable for part in ordered))


def complement(part: Language) -> Language:
    """The texts that are not in ``part``."""
    if part.kind == "not":
        return part.parts[0]
    if part is NOTHING:
        return ALL
    if part is ALL:
        return NOTHING
    return _make("not", (part,), nullable=not part.nullable)


def repeated(part: Language, low: int, high: int | None) -> Language:
    """Texts of ``part``, ``low`` to ``high`` times; without an upper limit where ``high`` is None."""
    if part.nullable:
        low = 0
    if high == 0 or part is EMPTY:
        return EMPTY
    if part is NOTHING:
        return EMPTY if low == 0 else NOTHING
    if low == high == 1:
        return part
    if part.kind == "repeat" and part.low == 0 and part.high is None:
        return part
    return _make("repeat", (part,), low=low, high=high, nullable=low == 0)


def literal(text: str) -> Language:
    """The one text ``text``."""
    found = EMPTY
    for character in reversed(text):
        found = sequence(chars(((ord(character), ord(character)),)), found)
    return found


@lru_cache(maxsize=20_000)
def derivative(language: Language, point: int) -> Language:
    """The texts that, after the character ``point``, make a text of ``language``."""
    kind, parts = language.kind, language.parts
    if kind == "chars":
        return EMPTY if includes(language.ranges, point) else NOTHING
    if kind == "empty":
        return NOTHING
    if kind == "sequence":
        first = sequence(derivative(parts[0], point), parts[1])
        return union((first, derivative(parts[1], point))) if parts[0].nullable else first
    if kind == "repeat":
        high = None if language.high is None else language.high - 1
        rest = repeated(parts[0], max(language.low - 1, 0), high)
        return sequence(derivative(parts[0], point), rest)
    if kind == "not":
        return complement(derivative(parts[0], point))
    inner = (derivative(part, point) for part in parts)
    return union(inner) if kind == "union" else intersection(inner)


def contains(language: Language, text: str) -> bool:
    """Whether ``text`` is in ``language``. Raises :class:`Unsupported` where it leads to more languages than can be followed."""
    steps: dict[tuple[Language, str], Language] = {}
    effort = 0
    for character in text:
        step = (language, character)
        if step not in steps:
            effort += language.size
            if effort > _MOST_EFFORT:
                raise Unsupported("the text leads to too many languages")
            steps[step] = derivative(language, ord(character))
        language = steps[step]
        if language is NOTHING:
            return False
    return language.nullable
