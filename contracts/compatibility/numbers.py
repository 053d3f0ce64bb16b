"""Numbers: those between two bounds that are multiples of some numbers and of none of others."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import ceil, floor, gcd, lcm
from typing import Any

from handoffs.contracts.compatibility.branch import Branch
from handoffs.contracts.compatibility.budget import Budget
from handoffs.contracts.compatibility.values import as_json

UNDECIDED = object()
"""Among candidates: there may be more that were not looked for."""
_TRIED = 6
_LONGEST_WALK = 4000
_ODDS = (
    Fraction(1, 2),
    Fraction(1, 4),
    Fraction(1, 8),
    Fraction(3, 8),
    Fraction(1, 10),
    Fraction(1, 1000),
    Fraction(1, 3),
)


def candidates(branch: Branch, budget: Budget) -> Iterator[Any]:
    """Some numbers that the branch allows, simple ones first. None at all is a proof that there are none."""
    if branch.multiples:
        yield from _grid(branch, _common(branch.multiples), budget)
    else:
        yield from _line(branch)


def _common(numbers: frozenset[Fraction]) -> Fraction:
    """The least common multiple."""
    below = lcm(*(number.denominator for number in numbers))
    return Fraction(lcm(*(int(number * below) for number in numbers)), below)


def _grid(branch: Branch, step: Fraction, budget: Budget) -> Iterator[Any]:
    """Multiples of ``step``. Whether one of them is a multiple of another number repeats with a period."""
    if any((step / other).denominator == 1 for other in branch.not_multiples):
        return
    first = None if branch.lower is None else _first(branch.lower, step)
    last = None if branch.upper is None else -_first((-branch.upper[0], branch.upper[1]), step)
    if first is not None and last is not None and first > last:
        return
    period = 1
    for other in branch.not_multiples:
        ratio = other / step
        period = lcm(period, ratio.numerator // gcd(ratio.numerator, ratio.denominator))
    bounded = first is not None and last is not None
    enough = 2 * period + len(branch.excluded) * max(period, 1) + 2
    given = 0
    for walked, index in enumerate(_walk(first, last)):
        if walked > _LONGEST_WALK:
            yield UNDECIDED
            return
        if not bounded and walked > enough and given:
            return
        budget.spend()
        number = index * step
        if _fits(branch, number):
            value = as_json(number)
            yield UNDECIDED if value is None else value
            given += 1
            if given >= _TRIED:
                return


def _first(bound: tuple[Fraction, bool], step: Fraction) -> int:
    index = ceil(bound[0] / step)
    return index + 1 if bound[1] and index * step == bound[0] else index


def _walk(first: int | None, last: int | None) -> Iterator[int]:
    """Every whole number from ``first`` to ``last``, those next to a bound or to zero first."""
    if first is not None and last is not None:
        if last - first > 2 * _LONGEST_WALK:
            start = min(max(0, first), last)
            yield start
        low, high = first, last
        while low <= high:
            yield low
            if high != low:
                yield high
            low, high = low + 1, high - 1
        return
    start = first if first is not None else last if last is not None else 0
    yield start
    distance = 1
    while True:
        if last is None or start + distance <= last:
            yield start + distance
        if first is None or start - distance >= first:
            yield start - distance
        distance += 1


def _line(branch: Branch) -> Iterator[Any]:
    low, high = branch.lower, branch.upper
    if low is not None and high is not None and low[0] == high[0]:
        if not low[1] and not high[1] and _fits(branch, low[0]):
            value = as_json(low[0])
            yield UNDECIDED if value is None else value
        return
    given = 0
    for number in _points(branch):
        if _inside(branch, number) and _fits(branch, number):
            value = as_json(number)
            if value is not None:
                yield value
                given += 1
                if given >= _TRIED:
                    return
    if not given:
        yield UNDECIDED


def _around(low: Fraction | None, high: Fraction | None) -> list[Fraction]:
    """Numbers at zero and at the bounds."""
    found = [Fraction(0), Fraction(1), Fraction(-1)]
    if low is not None:
        found += [Fraction(floor(low)), Fraction(floor(low) + 1), Fraction(floor(low) + 2), low]
    if high is not None:
        found += [Fraction(ceil(high)), Fraction(ceil(high) - 1), Fraction(ceil(high) - 2), high]
    return found


def _points(branch: Branch) -> Iterator[Fraction]:
    low = branch.lower[0] if branch.lower else None
    high = branch.upper[0] if branch.upper else None
    whole = _around(low, high)
    if not any(other.denominator == 1 for other in branch.not_multiples):
        yield from whole
    for odd in _ODDS:
        for number in whole:
            yield number + odd
            yield number - odd
    if low is not None and high is not None:
        for parts in (2, 3, 4, 5, 7, 8, 10, 16):
            for part in range(1, parts):
                yield low + (high - low) * Fraction(part, parts)
    for number in (*whole, Fraction(10), Fraction(1000)):
        for count in range(len(branch.excluded) + 2):
            yield number + count
            yield number - count
            yield number + Fraction(count * 2 + 1, 64)
            yield number - Fraction(count * 2 + 1, 64)


def _inside(branch: Branch, number: Fraction) -> bool:
    low, high = branch.lower, branch.upper
    if low is not None and (number < low[0] or (low[1] and number == low[0])):
        return False
    return high is None or number < high[0] or (not high[1] and number == high[0])


def _fits(branch: Branch, number: Fraction) -> bool:
    return number not in branch.excluded and not any(
        (number / other).denominator == 1 for other in branch.not_multiples
    )
