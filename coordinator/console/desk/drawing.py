"""Drawing: how many there were over time, as bars of an SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 120, 24
"""Of the whole drawing."""

_GAP, _LEAST = 1.0, 2.0
_FEWEST = 20
"""In how many parts it is drawn at least: of fewer counts, at its beginning."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a drawing, from its upper left corner."""

    x: float
    y: float
    width: float
    height: float
    count: int


def bars(counts: Sequence[int], width: float = WIDTH, height: float = HEIGHT) -> list[Bar]:
    """A bar for each count, as high as it is beside the highest one; one that is small can be seen all the same, and none has none."""
    most, part = max(counts, default=0), width / max(len(counts), _FEWEST)
    found = []
    for number, count in enumerate(counts):
        if count > 0:
            high = max(height * count / most, min(_LEAST, height))
            found.append(
                Bar(round(number * part, 2), round(height - high, 2), round(max(part - _GAP, part / 2), 2), round(high, 2), count)
            )  # fmt: skip
    return found
