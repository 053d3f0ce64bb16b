"""Patterns: regular expressions as languages, decided by derivatives (Brzozowski 1964; Owens, Reppy, Turon 2009).

JSON Schema names ECMA-262 as the dialect (core 2020-12, section 6.4); readers in Python and Rust read some patterns
differently. Whatever is decided here holds in each of the three, so a question is asked once for each dialect.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from handoffs.contracts.compatibility.budget import Budget

DIALECTS: Final = ("ecma", "python", "rust")
_LAST = 0x10FFFF
_LONGEST = 2000
Ranges = tuple[tuple[int, int], ...]
ANY: Final[Ranges] = ((0, _LAST),)


class Unsupported(Exception):
    """The pattern uses what no regular language expresses, or what dialects write differently."""


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
        found[chars(_merged(single))] = None
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
        return EMPTY if any(low <= point <= high for low, high in language.ranges) else NOTHING
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
    """Whether ``text`` is in ``language``."""
    for character in text:
        language = derivative(language, ord(character))
        if language is NOTHING:
            return False
    return language.nullable


def texts(
    language: Language, shortest: int, longest: int | None, budget: Budget, most: int = 4
) -> Iterator[str]:
    """Some texts of ``language`` with ``shortest`` to ``longest`` characters, short ones first, one for each end state.

    Ends without a text only where there is none. Raises :class:`Unsupported` where they are too long to be followed.
    """
    frontier: list[tuple[Language, str]] = [(language, "")]
    seen: set[tuple[Language, int]] = set()
    length, found = 0, 0
    while frontier and (longest is None or length <= longest):
        following: list[tuple[Language, str]] = []
        for state, text in frontier:
            if state.nullable and length >= shortest:
                yield text
                found += 1
                if found >= most:
                    return
            for point in _representatives(state):
                budget.spend()
                onward = derivative(state, point)
                mark = (onward, length + 1 if longest is not None else min(length + 1, shortest))
                if onward is not NOTHING and mark not in seen:
                    seen.add(mark)
                    following.append((onward, text + chr(point)))
        frontier = following
        length += 1
        if length > _LONGEST:
            raise Unsupported("texts of more than 2000 characters")


@lru_cache(maxsize=4096)
def _representatives(language: Language) -> tuple[int, ...]:
    """One character of each class that the language tells apart next, readable ones where there are some."""
    starts = sorted(
        {0} | {edge for low, high in _heads(language) for edge in (low, high + 1) if edge <= _LAST}
    )
    edges = zip(starts, [*starts[1:], _LAST + 1], strict=True)
    chosen = [point for start, after in edges if (point := _representative(start, after)) is not None]
    return tuple(sorted(chosen, key=lambda point: (point < 32 or point > 126, point != 97, point)))


def _representative(start: int, after: int) -> int | None:
    """A character from ``start`` on and before ``after``; None where there are only surrogates, which no text has."""
    wanted = (*map(ord, "a0A -.!"), start, 0xE000)
    found = (point for point in wanted if start <= point < after and not 0xD800 <= point <= 0xDFFF)
    return next(found, None)


@lru_cache(maxsize=4096)
def _heads(language: Language) -> frozenset[tuple[int, int]]:
    if language.kind == "chars":
        return frozenset(language.ranges)
    if language.kind == "sequence" and not language.parts[0].nullable:
        return _heads(language.parts[0])
    return frozenset(edge for part in language.parts for edge in _heads(part))


def _merged(ranges: Iterable[tuple[int, int]]) -> Ranges:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def _inverted(ranges: Iterable[tuple[int, int]]) -> Ranges:
    gaps, start = [], 0
    for low, high in _merged(ranges):
        if low > start:
            gaps.append((start, low - 1))
        start = high + 1
    return (*gaps, (start, _LAST)) if start <= _LAST else tuple(gaps)


def _points(text: str) -> list[tuple[int, int]]:
    return [(ord(character), ord(character)) for character in text]


_DIGITS = [(48, 57)]
_WORD = [(48, 57), (65, 90), (95, 95), (97, 122)]
_SPACE = [*_points("\t\n\v\f\r \xa0\u1680\u2028\u2029\u202f\u205f\u3000"), (0x2000, 0x200A)]
# Where \d and \w are Unicode, these stand for all digits and letters beyond ASCII.
_MORE_DIGITS = [(0x660, 0x669), (0x6F0, 0x6F9)]
_MORE_LETTERS = [(0xC0, 0xD6), (0xD8, 0xF6), (0x391, 0x3A1), (0x410, 0x44F)]
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "0": "\0"}
_SPECIAL = frozenset("^$.|?*+()[{\\")


@lru_cache(maxsize=4096)
def language_of(pattern: str, dialect: str) -> Language:
    """The texts in which ``pattern`` is found somewhere (validation 2020-12, section 6.3.3). Raises :class:`Unsupported`."""
    if len(pattern) > _LONGEST:
        raise Unsupported("the pattern is too long")
    try:
        return _Parser(pattern, dialect).whole()
    except (RecursionError, IndexError, ValueError):
        raise Unsupported(pattern[:80]) from None


class _Parser:
    """Reads the subset of regular expressions on which the dialects agree but for character classes and line ends."""

    def __init__(self, pattern: str, dialect: str) -> None:
        self.text = pattern
        self.at = 0
        self.dialect = dialect

    def whole(self) -> Language:
        found = [self._searched()]
        while self._take("|"):
            found.append(self._searched())
        if self.at != len(self.text):
            raise Unsupported("an unmatched bracket")
        return union(found)

    def _searched(self) -> Language:
        """One alternative at the top, with what may stand before and behind a match."""
        anchored = False
        while self._take("^"):
            anchored = True
        body = self._ahead(anchored)
        return body if anchored else sequence(ALL, body)

    def _ahead(self, at_start: bool) -> Language:
        """The rest of a top alternative: terms, lookaheads and ``$``, to the end of the text."""
        if self.at == len(self.text) or self.text[self.at] in "|)":
            return ALL
        if self._take("$"):
            if self.at != len(self.text) and self.text[self.at] not in "|)$":
                raise Unsupported("$ inside a pattern")
            while self._take("$"):
                pass
            return repeated(chars(((10, 10),)), 0, 1) if self.dialect == "python" else EMPTY
        for opening, positive in (("(?=", True), ("(?!", False)):
            if self.text.startswith(opening, self.at):
                self.at += 3
                looked = [self._looked(at_start)]
                while self._take("|"):
                    looked.append(self._looked(at_start))
                self._expect(")")
                if self.at < len(self.text) and self.text[self.at] in "*+?{":
                    raise Unsupported("a repeated lookahead")
                condition = union(looked)
                rest = self._ahead(at_start)
                return intersection((condition if positive else complement(condition), rest))
        first = self._term()
        return sequence(first, self._ahead(False))

    def _looked(self, at_start: bool) -> Language:
        while self._take("^"):
            if not at_start:
                raise Unsupported("^ inside a pattern")
        return self._ahead(at_start)

    def _alternatives(self) -> Language:
        found = [self._terms()]
        while self._take("|"):
            found.append(self._terms())
        return union(found)

    def _terms(self) -> Language:
        parts = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            parts.append(self._term())
        found = EMPTY
        for part in reversed(parts):
            found = sequence(part, found)
        return found

    def _term(self) -> Language:
        part = self._atom()
        while self.at < len(self.text):
            low, high = 0, None
            if self._take("*"):
                pass
            elif self._take("+"):
                low = 1
            elif self._take("?"):
                high = 1
            elif self.text[self.at] == "{":
                low, high = self._counts()
            else:
                return part
            part = repeated(part, low, high)
            self._take("?")
            if self.at < len(self.text) and self.text[self.at] in "*+?{":
                raise Unsupported("a repeated repetition")
        return part

    def _counts(self) -> tuple[int, int | None]:
        end = self.text.index("}", self.at)
        low, comma, high = self.text[self.at + 1 : end].partition(",")
        self.at = end + 1
        if not (low.isascii() and low.isdigit() and (not high or (high.isascii() and high.isdigit()))):
            raise Unsupported("a brace that is no count")
        counts = (int(low), int(high) if high else None if comma else int(low))
        if counts[0] > _LONGEST or (counts[1] is not None and counts[1] < counts[0]):
            raise Unsupported("a count out of range")
        return counts

    def _atom(self) -> Language:
        character = self.text[self.at]
        self.at += 1
        if character == "(":
            if self.text.startswith("?:", self.at):
                self.at += 2
            elif self.text.startswith("?", self.at):
                raise Unsupported("a group with an extension")
            found = self._alternatives()
            self._expect(")")
            return found
        if character == "[":
            return chars(self._class())
        if character == ".":
            ends = "\n\r\u2028\u2029" if self.dialect == "ecma" else "\n"
            return chars(_inverted(_points(ends)))
        if character == "\\":
            return chars(_merged(self._escape()))
        if character in _SPECIAL:
            raise Unsupported(f"{character!r} where it cannot stand")
        return chars(((ord(character), ord(character)),))

    def _class(self) -> Ranges:
        negated = self._take("^")
        found: list[tuple[int, int]] = []
        if self.text[self.at] == "]":
            raise Unsupported("an empty class")
        while not self._take("]"):
            if self.text[self.at] in "[&~" and (
                self.text[self.at] == "[" or self.text[self.at + 1] == self.text[self.at]
            ):
                raise Unsupported("a set operation")
            first = self._member()
            if self.text[self.at] == "-" and self.text[self.at + 1] != "]":
                self.at += 1
                last = self._member()
                if (
                    len(first) != 1
                    or len(last) != 1
                    or first[0][0] != first[0][1]
                    or first[0][0] > last[0][1]
                ):
                    raise Unsupported("a range of classes")
                first = [(first[0][0], last[0][1])]
            found.extend(first)
        return _inverted(found) if negated else _merged(found)

    def _member(self) -> list[tuple[int, int]]:
        character = self.text[self.at]
        self.at += 1
        return self._escape() if character == "\\" else _points(character)

    def _escape(self) -> list[tuple[int, int]]:
        character = self.text[self.at]
        self.at += 1
        if character.lower() in "dws":
            more = self.dialect != "ecma"
            found = {
                "d": _DIGITS + (_MORE_DIGITS if more else []),
                "w": _WORD + (_MORE_DIGITS + _MORE_LETTERS if more else []),
                "s": [*_SPACE, *(_points("\x85") if more else _points("\ufeff"))],
            }[character.lower()]
            if character.lower() == "s" and self.dialect == "python":
                found = [*found, (0x1C, 0x1F)]
            return list(_inverted(found)) if character.isupper() else found
        if character in _ESCAPED:
            if character == "0" and self.text[self.at : self.at + 1].isdigit():
                raise Unsupported("an octal escape")
            return _points(_ESCAPED[character])
        if character in "xu":
            digits = self.text[self.at : self.at + (2 if character == "x" else 4)]
            self.at += len(digits)
            return [(int(digits, 16), int(digits, 16))]
        if character.isalnum():
            raise Unsupported(f"the escape {character!r}")
        return _points(character)

    def _take(self, wanted: str) -> bool:
        if self.text.startswith(wanted, self.at):
            self.at += len(wanted)
            return True
        return False

    def _expect(self, wanted: str) -> None:
        if not self._take(wanted):
            raise Unsupported(f"{wanted!r} is missing")


@lru_cache(maxsize=8192)
def found_in(pattern: str, text: str) -> bool | None:
    """Whether ``pattern`` is found in ``text``; None where the dialects differ or the pattern is not supported."""
    try:
        answers = {contains(language_of(pattern, dialect), text) for dialect in DIALECTS}
    except (Unsupported, RecursionError):
        return None
    return answers.pop() if len(answers) == 1 else None
