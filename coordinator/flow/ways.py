"""Ways: what the steps inside a step are called in its path: ``3.b.1`` is the first step within the budget at ``3``."""

from __future__ import annotations

WITHIN = "b"
"""A step that has a budget."""
FALLBACK = "f"
"""What takes the place of a step whose budget is spent."""
ITEM = "i*"
"""Each item; a run has ``i0``, ``i1``, ..."""
ROUND = "r*"
"""Each round of a repetition; a run has ``r1``, ``r2``, ..."""
OTHERWISE = "c0"
"""What a choice does where no case holds."""
UNDO = "undo"
"""What undoes an agent's step."""


def case(number: int) -> str:
    """A case of a choice, by its number from 1: ``c1``."""
    return f"c{number}"


def each_time(way: str, number: int) -> str:
    """One time of a way that is gone more than once, :data:`ITEM` or :data:`ROUND`: ``i7``."""
    return way.replace("*", str(number))
