"""Ranges: sets of characters, by their code points."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Final

LAST: Final = 0x10FFFF
"""The last code point of Unicode."""
Ranges = tuple[tuple[int, int], ...]
"""The first and the last code point of each, both inclusive."""
ANY: Final[Ranges] = ((0, LAST),)


def merged(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """The same characters in as few ranges as can be, in order."""
    joined: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if joined and low <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
        else:
            joined.append((low, high))
    return tuple(joined)


def inverted(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """All other characters."""
    gaps, start = [], 0
    for low, high in merged(ranges):
        if low > start:
            gaps.append((start, low - 1))
        start = high + 1
    return (*gaps, (start, LAST)) if start <= LAST else tuple(gaps)


def includes(ranges: Ranges, point: int) -> bool:
    """Whether ``point`` is one of the characters; ``ranges`` are as :func:`merged` gives them."""
    at = bisect_right(ranges, (point, LAST)) - 1
    return at >= 0 and point <= ranges[at][1]


def points(text: str) -> list[tuple[int, int]]:
    """A range for each character of ``text``."""
    return [(ord(character), ord(character)) for character in text]


DIGITS: Final = [(48, 57)]
WORD: Final = [(48, 57), (65, 90), (95, 95), (97, 122)]
SPACE: Final = [*points("\t\n\v\f\r \xa0\u1680\u2028\u2029\u202f\u205f\u3000"), (0x2000, 0x200A)]
