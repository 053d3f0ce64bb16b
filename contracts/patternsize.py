"""Pattern size: how much a pattern is when its repetitions are written out, and so how long a text may keep its engine busy.

An engine that never goes back still takes, for each character of a text, up to as many steps as the pattern has places.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from handoffs.contracts.backtracking import texts_of
from handoffs.contracts.strictjson import DEFAULT_LIMITS

MOST_STEPS = 300_000_000
"""For one text: ten seconds of Rust's engine at the worst, where it has to keep all places in mind for each character."""

_LARGEST = 10_000
_COUNT = re.compile(r"\{\s*([0-9]{1,9})?\s*(,)?\s*([0-9]{1,9})?\s*\}")
_OPENING = re.compile(r"\((?:\?(?:P?<[^>]*>|[a-zA-Z-]*[:)]))?")
_LONG_ESCAPE = re.compile(r"\\(?:[pPxuU]\{[^}]*\}|.)", re.DOTALL)


class Size(NamedTuple):
    """The places of a pattern, and whether a match begins with the text and has an end: then more text than that is not looked at."""

    places: int
    confined: bool

    def steps(self, longest: int) -> int:
        """How many steps a text of so many characters takes at most."""
        return self.places * (min(longest, self.places) if self.confined else longest)


@lru_cache(maxsize=4096)
def size(pattern: str) -> Size:
    """The size of a pattern that Rust's engine takes. Takes time as the pattern is long."""
    rows, last, at = [0], 0, 0
    alternatives = endless = False
    while at < len(pattern):
        sign = pattern[at]
        count = _COUNT.match(pattern, at) if sign == "{" else None
        if sign in "*+?" or count is not None:
            endless = endless or sign in "*+" or bool(count and count[2] and not count[3])
            times = max(int(count[1] or 0), int(count[3] or 0), 1) if count else 1
            rows[-1] += last * (times - 1)
            last *= times
            at = count.end() if count else at + 1
            continue
        opening = _OPENING.match(pattern, at)
        if opening is not None:
            rows += [] if opening[0].endswith(")") else [0]  # flags alone open no group
            last, at = 0, opening.end()
        elif sign == ")" and len(rows) > 1:
            last = rows.pop()
            rows[-1] += last
            at += 1
        else:
            alternatives = alternatives or (sign == "|" and len(rows) == 1)
            last, at = 1, _after(pattern, at)
            rows[-1] += last
    begins = pattern.startswith(("^", "\\A")) and not alternatives
    return Size(sum(rows), begins and not endless)


def too_large(schema: Any) -> Iterator[str]:
    """The patterns in a core schema of Pydantic's that a text could keep busy for long."""
    for pattern, longest in texts_of(schema):
        found = size(pattern)
        most = DEFAULT_LIMITS.text_length if longest is None else longest
        if found.places > _LARGEST or found.steps(most) > MOST_STEPS:
            yield pattern


def _after(pattern: str, at: int) -> int:
    """Where what stands here ends: an escape, a class with those in it, or one character."""
    if pattern[at] == "\\":
        found = _LONG_ESCAPE.match(pattern, at)
        return found.end() if found else at + 1
    if pattern[at] != "[":
        return at + 1
    depth, here = 0, at
    while here < len(pattern):
        if pattern[here] == "\\":
            here += 1
        elif pattern[here] == "[":
            depth += 1
            here += pattern.startswith(("[]", "[^]"), here) and 1 + pattern.startswith("[^", here)
        elif pattern[here] == "]":
            depth -= 1
            if depth == 0:
                return here + 1
        here += 1
    return here
