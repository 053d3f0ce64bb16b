"""Parts: in which contract version each part of joined data is, as ``joinschemas`` has it: ``branch=<dataschema>`` for each, separated
by spaces.

A branch may be a path (``stock.price``), and the items of a list are its numbers: ``lines.0=...``. Where they are many, those that are
the same are in one word, as ranges: ``lines.0-99,101=...``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from handoffs.contracts.errors import InvalidData

_NUMBERS = re.compile(r"\d{1,9}(?:-\d{1,9})?(?:,\d{1,9}(?:-\d{1,9})?)*")


class Part(NamedTuple):
    """Parts at a path: names of fields, and numbers or ranges of numbers; all of them are of the contract version ``schema``."""

    path: list[str]
    schema: str


def parts_of(text: str) -> Iterator[Part]:
    """The parts that a text names. Raises :class:`InvalidData` where it is none of this form."""
    for word in text.split():
        path, sign, schema = word.partition("=")
        if not sign:
            raise InvalidData(f"joinschemas has {word[:80]!r}, which is no branch=dataschema")
        yield Part(path.split("."), schema)


def numbers_of(word: str, count: int) -> Iterator[int]:
    """The numbers of items that a word of a path stands for, ascending, of a list with ``count`` of them.

    Raises :class:`InvalidData` where one of them is no number of an item, or they do not ascend.
    """
    if not _NUMBERS.fullmatch(word):
        raise InvalidData(f"joinschemas has {word[:20]!r}, which is no number of an item")
    following = 0
    for one in word.split(","):
        first, _, last = one.partition("-")
        begin, end = int(first), int(last or first)
        if not following <= begin <= end < count:
            raise InvalidData(f"joinschemas has item {one[:20]!r}, and there are {count}")
        yield from range(begin, end + 1)
        following = end + 1
