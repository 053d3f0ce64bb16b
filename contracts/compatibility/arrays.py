"""Arrays: how many items, what each must be, which must be there, and which may be equal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from handoffs.contracts.compatibility.branch import Branch, SomeItem
from handoffs.contracts.compatibility.failing import not_, possibly_evaluated
from handoffs.contracts.compatibility.node import Node
from handoffs.contracts.compatibility.numbers import UNDECIDED
from handoffs.contracts.compatibility.state import Positive, Solving, State
from handoffs.contracts.compatibility.values import freeze

_LONGEST = 200
_MOST_DEMANDS = 12
_TRIED = 4


def candidates(branch: Branch, solving: Solving) -> Iterator[Any]:
    """Some arrays that the branch allows. None at all is a proof that there are none."""
    yield from _Arrays(branch, solving).found()


def item_state(branch: Branch, solving: Solving, index: int) -> State:
    """What holds of the item at ``index``, were it there."""
    return _Arrays(branch, solving).base(index)


@dataclass(frozen=True, slots=True)
class _Demand:
    """Something that some item must be; items of one ``group`` are different items."""

    item: SomeItem
    group: int


class _Arrays:
    def __init__(self, branch: Branch, solving: Solving) -> None:
        self.branch = branch
        self.solving = solving
        self.doubt = False
        self.all = State()
        self.limits: list[tuple[int, Node]] = []
        for most, node in branch.at_most:
            if most == 0:
                self.all = self.all.with_(not_(node))
            else:
                self.limits.append((most, node))

    def base(self, index: int) -> State:
        """What every item at ``index`` must be."""
        positive: set[Positive] = set()
        for node, closed in self.branch.positive:
            if index < len(node.prefix):
                positive.add((node.prefix[index], closed))
            elif node.items is not None:
                positive.add((node.items, closed))
            rest = node.unevaluated_items
            if rest is not None and not any(_evaluates(part, index) for part in possibly_evaluated(node)):
                positive.add((rest, closed))
        return State(frozenset(positive)).with_(self.all)

    def found(self) -> Iterator[Any]:
        branch = self.branch
        demands = [_Demand(item, -number - 1) for number, item in enumerate(branch.items)]
        for group, (count, node) in enumerate(branch.at_least):
            wanted = SomeItem(State(frozenset({(node, False)})))
            if count > _MOST_DEMANDS:
                yield UNDECIDED
                return
            demands += [_Demand(wanted, group)] * count
        prefix = max(
            [0, *(len(part.prefix) for node, _ in branch.positive for part in possibly_evaluated(node))]
            + [max(item.first, item.last + 1 if item.last is not None else 0) for item in branch.items]
        )
        needed = prefix + len(demands) + sum(most for most, _ in self.limits) + (2 if branch.repeated else 0)
        longest = max(branch.min_items, needed)
        if branch.max_items is not None:
            longest = min(longest, branch.max_items)
        if len(demands) > _MOST_DEMANDS or longest > _LONGEST:
            yield from self._large(prefix)
            return
        given = 0
        impossible: dict[State, bool] = {}
        for length in range(branch.min_items, longest + 1):
            self.solving.budget.spend()
            if any(self._none(self.base(index), impossible) for index in range(length)):
                break
            for value in self._of_length(length, prefix, demands):
                yield value
                given += 1
                if given >= _TRIED:
                    return
        if self.doubt:
            yield UNDECIDED

    def _none(self, state: State, known: dict[State, bool]) -> bool:
        if state not in known:
            known[state] = self.solving.solve(state).status == "none"
        return known[state]

    def _large(self, prefix: int) -> Iterator[Any]:
        """Only a proof that some item cannot be, or no answer."""
        indexes = range(min(self.branch.min_items, prefix + 1))
        if any(self.solving.solve(self.base(index)).status == "none" for index in indexes):
            return
        if not self.branch.items and self.branch.min_items <= 50 * _LONGEST and not self.branch.unique:
            answer = self.solving.solve(self.base(0))
            if answer.status == "found":
                yield [answer.value] * self.branch.min_items
        yield UNDECIDED

    def _of_length(self, length: int, prefix: int, demands: list[_Demand]) -> Iterator[Any]:
        wanted = list(demands)
        for group, (most, node) in enumerate(self.limits, start=1000):
            if length - most > _MOST_DEMANDS:
                self.doubt = True
                return
            wanted += [_Demand(SomeItem(not_(node)), group)] * (length - most)
        states = [self.base(index) for index in range(length)]
        for placed in self._placed(states, wanted, prefix, {}):
            if self.branch.repeated:
                yield from self._with_twins(placed, prefix)
            else:
                value = self._filled(placed)
                if value is not None:
                    yield value

    def _placed(
        self, states: list[State], demands: list[_Demand], prefix: int, used: dict[int, frozenset[int]]
    ) -> Iterator[list[State]]:
        """What each item must be, for each way to place the demands."""
        self.solving.budget.spend()
        if not demands:
            yield states
            return
        demand, rest = demands[0], demands[1:]
        last = len(states) - 1 if demand.item.last is None else min(demand.item.last, len(states) - 1)
        fresh = False
        for index in range(demand.item.first, last + 1):
            groups = used.get(index, frozenset())
            if demand.group in groups or (fresh and index >= prefix and not groups):
                continue
            fresh = fresh or (index >= prefix and not groups)
            state = states[index].with_(demand.item.state)
            answer = self.solving.solve(state)
            if answer.status != "none":
                changed = [*states[:index], state, *states[index + 1 :]]
                yield from self._placed(changed, rest, prefix, {**used, index: groups | {demand.group}})

    def _with_twins(self, states: list[State], prefix: int) -> Iterator[Any]:
        """Two of the items are equal."""
        tried: set[tuple[State, bool, bool]] = set()
        for first in range(len(states)):
            for second in range(first + 1, len(states)):
                both = states[first].with_(states[second])
                mark = (both, first < prefix, second < prefix)
                if mark in tried:
                    continue
                tried.add(mark)
                answer = self.solving.solve(both)
                if answer.status == "unknown":
                    self.doubt = True
                if answer.status != "found":
                    continue
                value = self._filled(states)
                if value is not None:
                    value[first] = value[second] = answer.value
                    yield value

    def _filled(self, states: list[State]) -> list[Any] | None:
        """A value for each item, different ones where they must be."""
        values: list[Any] = []
        for state in states:
            wanted = state
            if self.branch.unique and values:
                taken = self.solving.interner.kept(
                    Node(values=tuple(values), frozen=frozenset(freeze(value) for value in values))
                )
                wanted = state.with_(not_(taken))
            answer = self.solving.solve(wanted)
            if answer.status != "found":
                alike = len(set(states)) == 1
                self.doubt |= answer.status == "unknown" or (
                    self.branch.unique and not alike and wanted is not state
                )
                return None
            values.append(answer.value)
        return values


def _evaluates(part: Node, index: int) -> bool:
    evaluates_all = (
        part.items is not None or bool(part.opaque) or (part.contains is not None and part.contains_evaluates)
    )
    return evaluates_all or index < len(part.prefix)
