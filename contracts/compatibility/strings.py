"""Strings: texts of some length that have some patterns and none of others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from handoffs.contracts.compatibility.branch import Branch
from handoffs.contracts.compatibility.budget import Budget
from handoffs.contracts.compatibility.formats import SAMPLES
from handoffs.contracts.compatibility.language import Language, Unsupported, complement, intersection, literal
from handoffs.contracts.compatibility.numbers import UNDECIDED
from handoffs.contracts.compatibility.patterns import DIALECTS, language_of
from handoffs.contracts.compatibility.texts import texts

_ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_LONGEST = 100_000
_EXCLUDED = 60
_GUESSES = (
    "0",
    "1",
    "a",
    "A",
    "",
    "1.5",
    "-1",
    "00",
    "ab",
    "a-b",
    "A1",
    "0.0",
    "x y",
    "a@example.com",
    "2024-02-29",
)
_TRIED = 6


def candidates(branch: Branch, budget: Budget) -> Iterator[Any]:
    """Some texts that the branch allows. None at all is a proof that there are none, in every dialect of patterns."""
    if branch.longest is not None and branch.longest < branch.shortest:
        return
    formatted = [text for name in sorted(branch.formats) for text in SAMPLES.get(name, ())]
    yield from (text for text in formatted if _plain(branch, text))
    if branch.patterns or branch.not_patterns or branch.longest == 0:
        yield from _by_pattern(branch, budget)
    elif branch.shortest > _LONGEST:
        yield UNDECIDED
    else:
        yield from _by_length(branch)


def _plain(branch: Branch, text: str) -> bool:
    """Whether a text has an allowed length and is not excluded."""
    long = branch.longest is not None and len(text) > branch.longest
    return len(text) >= branch.shortest and not long and text not in branch.excluded


def _by_length(branch: Branch) -> Iterator[str]:
    given = 0
    longest = branch.shortest + 2 if branch.longest is None else min(branch.longest, branch.shortest + 2)
    for length in range(branch.shortest, longest + 1):
        for character in _ALPHABET[: len(branch.excluded) + 2]:
            text = "a" * (length - 1) + character if length else ""
            if text not in branch.excluded:
                yield text
                given += 1
                if given >= _TRIED:
                    return
            if not length:
                break
    # More texts are excluded than were tried: there are still others.
    yield from (
        text for number in range(len(branch.excluded) + 1)
        if _plain(branch, text := ("a" * max(branch.shortest - 3, 0) + chr(0x4E00 + number)).ljust(branch.shortest, "a"))
    )  # fmt: skip


def _by_pattern(branch: Branch, budget: Budget) -> Iterator[Any]:
    for dialect in DIALECTS:
        given, exact = 0, False
        try:
            language, exact = _language(branch, dialect)
            for text in texts(language, branch.shortest, branch.longest, budget):
                yield text
                given += 1
        except Unsupported:
            yield UNDECIDED
            return
        if given and not exact:
            yield from (text for text in _GUESSES if _plain(branch, text))
        if given:
            yield UNDECIDED
            return


def _language(branch: Branch, dialect: str) -> tuple[Language, bool]:
    """The language of a branch; wider, and not exact, where a pattern is not supported."""
    parts: list[Language] = []
    exact = True
    for patterns, positive in ((branch.patterns, True), (branch.not_patterns, False)):
        for pattern in sorted(patterns):
            try:
                part = language_of(pattern, dialect)
            except Unsupported:
                exact = False
            else:
                parts.append(part if positive else complement(part))
    if all(isinstance(text, str) for text in branch.excluded):
        parts += [complement(literal(text)) for text in sorted(branch.excluded)[:_EXCLUDED]]
    return intersection(parts), exact
