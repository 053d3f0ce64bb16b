"""Patterns: regular expressions, read as the languages of the texts in which they are found.

JSON Schema names ECMA-262 as the dialect (core 2020-12, section 6.4); readers in Python and Rust read some patterns
differently. Whatever is decided here holds in each of the three, so a question is asked once for each dialect.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from handoffs.contracts.compatibility.engine import matches
from handoffs.contracts.compatibility.language import (
    ALL,
    EMPTY,
    Language,
    Unsupported,
    chars,
    complement,
    contains,
    intersection,
    repeated,
    sequence,
    union,
)
from handoffs.contracts.compatibility.ranges import (
    DIGITS,
    SPACE,
    WORD,
    Ranges,
    inverted,
    merged,
    points,
)
from handoffs.contracts.compatibility.tables import table

DIALECTS: Final = ("ecma", "python", "rust")
_READ_HERE: Final = DIALECTS[:2]  # Rust's own engine is asked
_LONGEST = 2000
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
            return chars(inverted(points(ends)))
        if character == "\\":
            return chars(merged(self._escape()))
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
        return inverted(found) if negated else merged(found)

    def _member(self) -> list[tuple[int, int]]:
        character = self.text[self.at]
        self.at += 1
        return self._escape() if character == "\\" else points(character)

    def _escape(self) -> list[tuple[int, int]]:
        character = self.text[self.at]
        self.at += 1
        if character.lower() in "dws":
            found = self._kind(character.lower())
            return list(inverted(found)) if character.isupper() else list(found)
        if character in _ESCAPED:
            if character == "0" and self.text[self.at : self.at + 1].isdigit():
                raise Unsupported("an octal escape")
            return points(_ESCAPED[character])
        if character in "xu":
            digits = self.text[self.at : self.at + (2 if character == "x" else 4)]
            self.at += len(digits)
            return [(int(digits, 16), int(digits, 16))]
        if character.isalnum():
            raise Unsupported(f"the escape {character!r}")
        return points(character)

    def _kind(self, kind: str) -> Ranges:
        """The characters of ``\\d``, ``\\w`` or ``\\s``."""
        if kind == "s":
            own = {
                "ecma": points("\ufeff"),
                "rust": points("\x85"),
                "python": [*points("\x85"), (0x1C, 0x1F)],
            }
            return (*SPACE, *own[self.dialect])
        if self.dialect == "ecma":
            return tuple(DIGITS if kind == "d" else WORD)
        return table(self.dialect, kind)

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
        answers: set[bool | None] = {contains(language_of(pattern, dialect), text) for dialect in _READ_HERE}
    except (Unsupported, RecursionError):
        return None
    answers.add(matches(pattern, text))
    return answers.pop() if len(answers) == 1 else None
