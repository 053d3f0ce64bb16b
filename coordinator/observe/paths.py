"""Paths: the paths of steps in the order of their flow."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NUMBERED = re.compile(r"([A-Za-z_]*)(\d{1,9})")


def in_order(paths: Iterable[str]) -> list[str]:
    """Paths in the order of their flow: numbers by their value, those of items and rounds too; what is within a step comes after it."""
    return sorted(paths, key=rank)


def rank(path: str) -> list[tuple[str, int, str]]:
    """What paths are sorted by."""
    return [_word(word) for word in path.split(".")] if path else []


def _word(word: str) -> tuple[str, int, str]:
    found = _NUMBERED.fullmatch(word)
    return (found[1], int(found[2]), "") if found else (word, -1, "")
