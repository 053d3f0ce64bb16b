"""Diff: what differs between two values, line by line of their JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

_AROUND = 3
_MOST_LINES = 4_000
"""Of how many lines it is looked for what they have in common; of longer values all of both is shown, as far as it goes."""


@dataclass(frozen=True, slots=True)
class DiffLine:
    """A line: that is the same in both, that was there before, or that is there now; or that so many of the same are left out."""

    kind: Literal["same", "removed", "added", "left out"]
    text: str


def difference(before: Any, after: Any) -> list[DiffLine]:
    """What differs between two JSON values; empty where nothing does."""
    old, new = _lines(before), _lines(after)
    if old == new:
        return []
    if len(old) + len(new) > _MOST_LINES:
        return [*_all("removed", old[: _MOST_LINES // 2]), *_all("added", new[: _MOST_LINES // 2])]
    found: list[DiffLine] = []
    for what, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what == "equal":
            found += _folded(old[a:b], at_start=a == 0, at_end=b == len(old))
        else:
            found += [*_all("removed", old[a:b]), *_all("added", new[c:d])]
    return found


def _folded(lines: Sequence[str], *, at_start: bool, at_end: bool) -> list[DiffLine]:
    """The same lines, without those that are far from what differs."""
    head, tail = 0 if at_start else _AROUND, 0 if at_end else _AROUND
    left = len(lines) - head - tail
    if left <= 1:
        return _all("same", lines)
    said = DiffLine("left out", f"{left} lines are the same")
    return [*_all("same", lines[:head]), said, *_all("same", lines[len(lines) - tail :])]


def _all(kind: Literal["same", "removed", "added"], lines: Sequence[str]) -> list[DiffLine]:
    return [DiffLine(kind, line) for line in lines]


def _lines(value: Any) -> list[str]:
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True, default=str).splitlines()
