"""Interleave: sides take turns, so that what disturbs the machine disturbs all of them. A ratio is then one of neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

T = TypeVar("T")


def in_turns(sides: Mapping[str, Callable[[], T]], rounds: int) -> Iterator[tuple[int, str, T]]:
    """Have each side do one round, then each the next: A B, A B. Gives the round, from 1, the side, and what it gave."""
    for number in range(1, rounds + 1):
        for name, play in sides.items():
            yield number, name, play()
