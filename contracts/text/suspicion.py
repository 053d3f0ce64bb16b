"""Suspicion: what may deceive a reader, though every character is in its place. Detected only: nothing is rewritten."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import islice
from typing import Literal, NamedTuple

Kind = Literal["mixed scripts", "lookalike", "compatibility form", "stacked marks"]

_MOST = 20
_STACK = 5
_WORD = re.compile(r"[^\W\d_]+")
_ALPHABETS = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "GEORGIAN", "LISU"})
_LOOKALIKES = dict(
    zip(
        "аеіјорсуѕхһԁԛԝӏАВЕІЈКМНОРСТУЅХԌԚԜοαινρυΑΒΕΖΗΙΚΜΝΟΡΤΥΧսոօհցզԱՕՏᎪᏴᏟᎠᎬᎻᎫᏦᏞᎷᏢᏚᏔᏙᏃ",
        "aeijopcysxhdqwlABEIJKMHOPCTYSXGQWoaivpuABEZHIKMNOPTYXunohgqUOSABCDEHJKLMPSWVZ",
        strict=True,
    )
)
"""Letters that look like Latin ones (the common part of Unicode's confusables, UTS #39)."""


class Suspicion(NamedTuple):
    """Something to look at. ``seen_as`` is what a reader, or a program that folds text, takes it for."""

    kind: Kind
    position: int
    length: int
    seen_as: str = ""


def suspicions(text: str) -> tuple[Suspicion, ...]:
    """Words of mixed alphabets, words that pass for Latin ones in a Latin text, letters and digits that compatibility
    normalisation (NFKC) makes ASCII ones, and letters under a stack of marks: the first twenty, in order.

    Honest text has some of these too. Treat them as a reason to look, not as a verdict.
    """
    text = str.__str__(text)
    if text.isascii():
        return ()
    found = [*_words(text), *_forms(text), *_stacks(text)]
    return tuple(sorted(found, key=lambda suspicion: (suspicion.position, suspicion.kind))[:_MOST])


def _words(text: str) -> list[Suspicion]:
    found = []
    latin = sum(map(str.isascii, filter(str.isalpha, text))) * 2 > sum(map(str.isalpha, text))
    for word in _WORD.finditer(text):
        if word.group().isascii():
            continue
        alphabets = {name for sign in word.group() if (name := _alphabet(sign)) in _ALPHABETS}
        skeleton = "".join(_LOOKALIKES.get(sign, sign) for sign in word.group())
        place, length = word.start(), len(word.group())
        if len(alphabets) > 1:
            found.append(Suspicion("mixed scripts", place, length, skeleton))
        elif latin and length > 2 and skeleton.isascii():
            found.append(Suspicion("lookalike", place, length, skeleton))
    return found


def _forms(text: str) -> list[Suspicion]:
    """Letters and digits that compatibility normalisation makes ASCII ones: full-width, mathematical, enclosed."""
    if unicodedata.is_normalized("NFKC", text):
        return []
    forms = ((place, _folded(sign)) for place, sign in enumerate(text) if sign > "\xff")
    return [
        Suspicion("compatibility form", place, 1, form)
        for place, form in islice(filter(_is_ascii, forms), _MOST)
    ]


def _is_ascii(found: tuple[int, str]) -> bool:
    return len(found[1]) == 1 and found[1].isascii() and found[1].isalnum()


def _stacks(text: str) -> list[Suspicion]:
    found = []
    begin = 0
    for place, sign in enumerate((*text, " ")):
        if sign == " " or not unicodedata.combining(sign):
            if place - begin > _STACK:
                found.append(Suspicion("stacked marks", begin, place - begin))
            begin = place + 1
    return found


@lru_cache(maxsize=4096)
def _alphabet(sign: str) -> str:
    return unicodedata.name(sign, "").partition(" ")[0]


@lru_cache(maxsize=4096)
def _folded(sign: str) -> str:
    return unicodedata.normalize("NFKC", sign)
