"""Texts: some of those in a language, short ones first."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from handoffs.contracts.compatibility.budget import Budget
from handoffs.contracts.compatibility.language import NOTHING, Language, Unsupported, derivative
from handoffs.contracts.compatibility.ranges import LAST, Ranges, includes

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
    heads = sorted(_heads(language))
    edges = sorted(
        {0} | {edge for head in heads for low, high in head for edge in (low, high + 1) if edge <= LAST}
    )
    chosen: dict[tuple[bool, ...], int] = {}
    for point in (*map(ord, "a0A -.!"), *edges, 0xE000):  # no text has surrogates
        if not 0xD800 <= point <= 0xDFFF:
            chosen.setdefault(tuple(includes(head, point) for head in heads), point)
    return tuple(sorted(chosen.values(), key=lambda point: (point < 32 or point > 126, point != 97, point)))


@lru_cache(maxsize=4096)
def _heads(language: Language) -> frozenset[Ranges]:
    """The sets of characters with which the texts of a language may begin, each as it is written in it."""
    if language.kind == "chars":
        return frozenset({language.ranges})
    if language.kind == "sequence" and not language.parts[0].nullable:
        return _heads(language.parts[0])
    return frozenset(head for part in language.parts for head in _heads(part))
