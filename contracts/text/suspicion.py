"""Suspicion: what may deceive a reader, though every character is in its place. Detected only: nothing is rewritten."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from functools import lru_cache
from itertools import islice
from typing import Literal, NamedTuple, get_args

from handoffs.contracts.text import characters as chars
from handoffs.contracts.text.prompttokens import prompt_tokens

Kind = Literal["mixed scripts", "lookalike", "compatibility form", "stacked marks", "blank", "prompt token"]

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


def suspicions(text: str, kinds: Collection[Kind] = get_args(Kind)) -> tuple[Suspicion, ...]:
    """Words of mixed alphabets, words that pass for Latin ones in a Latin text, letters and digits that compatibility
    normalisation (NFKC) makes ASCII ones, letters under a stack of marks, characters that are seen as a blank and are none, and
    the tokens by which prompt formats tell roles and calls of tools: the first twenty, in order.

    ``kinds`` are those that are looked for. Honest text has some of these too. Treat them as a reason to look, not as a verdict.
    """
    text = str.__str__(text)
    found = []
    if "prompt token" in kinds:
        found += [Suspicion("prompt token", *token) for token in islice(prompt_tokens(text), _MOST)]
    if not text.isascii():
        found += [
            one for look in (_words, _forms, _stacks, _blanks) for one in look(text) if one.kind in kinds
        ]
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


def _blanks(text: str) -> list[Suspicion]:
    """Characters that are seen as a blank: Python, and whoever splits text at blanks, takes them for signs. Beside others of their
    script they are what they are."""
    found = []
    for place, sign in enumerate(text):
        if sign in chars.BLANKS:
            script = next((script for blanks, script in chars.BLANKS_OF if sign in blanks), chars.NOTHING)
            if not any(
                near in script for near in (*text[max(place - 2, 0) : place], *text[place + 1 : place + 3])
            ):
                found.append(Suspicion("blank", place, 1, " "))
    return found[:_MOST]


@lru_cache(maxsize=4096)
def _alphabet(sign: str) -> str:
    return unicodedata.name(sign, "").partition(" ")[0]


@lru_cache(maxsize=4096)
def _folded(sign: str) -> str:
    return unicodedata.normalize("NFKC", sign)
