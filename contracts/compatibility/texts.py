"""Texts: some of those in a language, short ones first."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from handoffs.contracts.compatibility.budget import Budget
from handoffs.contracts.compatibility.language import NOTHING, Language, Unsupported, derivative
from handoffs.contracts.compatibility.ranges import LAST

_LONGEST = 2000


def texts(
    language: Language, shortest: int, longest: int | None, budget: Budget, most: int = 4
) -> Iterator[str]:
    """Some texts of ``language`` with ``shortest`` to ``longest`` characters, short ones first, one for each end state.

    Ends without a text only where there is none. Raises :class:`Unsupported` where they are too long to be followed.
    """
    frontier: list[tuple[Language, str]] = [(language, "")]
    seen: set[tuple[Language, int]] = set()
    length, found = 0, 0
    while frontier and (longest is None or length <= longest):
        following: list[tuple[Language, str]] = []
        for state, text in frontier:
            if state.nullable and length >= shortest:
                yield text
                found += 1
                if found >= most:
                    return
            for point in _representatives(state):
                budget.spend()
                onward = derivative(state, point)
                mark = (onward, length + 1 if longest is not None else min(length + 1, shortest))
                if onward is not NOTHING and mark not in seen:
                    seen.add(mark)
                    following.append((onward, text + chr(point)))
        frontier = following
        length += 1
        if length > _LONGEST:
            raise Unsupported("texts of more than 2000 characters")


@lru_cache(maxsize=4096)
def _representatives(language: Language) -> tuple[int, ...]:
    """One character of each class that the language tells apart next, readable ones where there are some."""
    starts = sorted(
        {0} | {edge for low, high in _heads(language) for edge in (low, high + 1) if edge <= LAST}
    )
    edges = zip(starts, [*starts[1:], LAST + 1], strict=True)
    chosen = [point for start, after in edges if (point := _representative(start, after)) is not None]
    return tuple(sorted(chosen, key=lambda point: (point < 32 or point > 126, point != 97, point)))


def _representative(start: int, after: int) -> int | None:
    """A character from ``start`` on and before ``after``; None where there are only surrogates, which no text has."""
    wanted = (*map(ord, "a0A -.!"), start, 0xE000)
    found = (point for point in wanted if start <= point < after and not 0xD800 <= point <= 0xDFFF)
    return next(found, None)


@lru_cache(maxsize=4096)
def _heads(language: Language) -> frozenset[tuple[int, int]]:
    if language.kind == "chars":
        return frozenset(language.ranges)
    if language.kind == "sequence" and not language.parts[0].nullable:
        return _heads(language.parts[0])
    return frozenset(edge for part in language.parts for edge in _heads(part))
