"""Folding: the nodes of a trace as lines, where many of one kind are one line with their counts, and the odd ones by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from handoffs.coordinator.observe.step_state import GOOD
from handoffs.coordinator.observe.trace import Trace, TraceNode

FEW = 4
"""As many nodes of one kind as have a line each."""

_ODD, _SHIFT = 8, 8
_FINE = GOOD | {"emitted", "completed", "ended"}


@dataclass(frozen=True, slots=True)
class Row:
    """A line: ``first`` stands before it, ``rest`` before what continues it. ``nodes`` are those it tells of; where it tells
    only of how many there are of each state further down, ``below`` has their number."""

    first: str
    rest: str
    nodes: tuple[TraceNode, ...]
    below: int = 0
    more: int = 0
    """How many more odd ones there are, which have no line."""
    odd: bool = False
    """Whether it is one of those that are counted on the line above."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Nodes on one line, by number. ``lone``: without what they led to, which is told elsewhere."""

    numbers: tuple[int, ...]
    lone: bool = False
    below: bool = False
    more: int = 0


def folded(trace: Trace, deepest: int, *, everything: bool = False) -> Iterator[Row]:
    """The trace in lines: what is ``deepest`` or deeper is counted on one line. ``everything``: a line for each node, however
    many and however deep."""
    nodes = trace.nodes
    stack = [(_Group((0,)), 0, "", "")] if nodes else []
    while stack:
        group, depth, first, rest = stack.pop()
        numbers = group.numbers
        below = () if group.lone else tuple(_below(trace, group, everything, depth >= deepest))
        passes = rest + ("│ " if below else "  ") if depth else rest
        shown = tuple(nodes[number] for number in numbers)
        yield Row(first, passes, shown, len(numbers) if group.below else 0, group.more, group.lone)
        lead = rest if depth <= deepest else f"{rest[:_SHIFT]}⋯{depth} "
        for place, inner in enumerate(reversed(below)):
            rails = ("├ ", "│ ") if place else ("└ ", "  ")
            stack.append((inner, depth + 1, lead + rails[0], lead + rails[1]))


def _below(trace: Trace, group: _Group, everything: bool, deep: bool) -> Iterator[_Group]:
    if not everything:
        yield from _odd(trace, group)
    below = [child for number in group.numbers for child in trace.children[number]]
    if not below or group.below:
        return
    if everything:
        yield from (_Group((number,)) for number in below)
    elif deep:
        yield _Group(tuple(_every(trace, below)), below=True)
    else:
        yield from _alike(trace, below)


def _alike(trace: Trace, numbers: Sequence[int]) -> Iterator[_Group]:
    """One group for many of one kind and name, and one for each of a few."""
    found: dict[tuple[str, str], list[int]] = {}
    for number in numbers:
        node = trace.nodes[number]
        found.setdefault((node.kind, node.name), []).append(number)
    many = {key for key, some in found.items() if len(some) > FEW}
    for number in numbers:
        node = trace.nodes[number]
        some = found[node.kind, node.name]
        if (node.kind, node.name) not in many:
            yield _Group((number,))
        elif number == some[0]:
            yield _Group(tuple(some))


def _odd(trace: Trace, group: _Group) -> Iterator[_Group]:
    """Of many, those that are not done, a line each: those that wait for a person first."""
    if len(group.numbers) == 1:
        return
    odd = [number for number in group.numbers if trace.nodes[number].state not in _FINE]
    odd.sort(key=lambda number: trace.nodes[number].state != "parked")
    yield from (_Group((number,), lone=True) for number in odd[:_ODD])
    if len(odd) > _ODD:
        yield _Group(tuple(odd[_ODD:]), lone=True, more=len(odd) - _ODD)


def _every(trace: Trace, numbers: Sequence[int]) -> Iterator[int]:
    stack = list(numbers)
    while stack:
        number = stack.pop()
        yield number
        stack += trace.children[number]


def states(nodes: Sequence[TraceNode]) -> dict[str, int]:
    """How many of the nodes are in each state, those that are done first."""
    counts = Counter(node.state for node in nodes if node.state)
    return dict(sorted(counts.items(), key=lambda count: (count[0] not in _FINE, count[0])))
