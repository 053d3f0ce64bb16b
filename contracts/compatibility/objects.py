"""Objects: which names may be there, with which values, and how many."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

from handoffs.contracts.compatibility.branch import Branch, SomeProperty
from handoffs.contracts.compatibility.failing import possibly_evaluated
from handoffs.contracts.compatibility.node import Node
from handoffs.contracts.compatibility.numbers import UNDECIDED
from handoffs.contracts.compatibility.patterns import found_in
from handoffs.contracts.compatibility.state import Positive, Solving, State

_MOST_PATTERNS = 4
_MOST_FURTHER = 300


def declared(branch: Branch) -> frozenset[str] | None:
    """The names that a closed writer may emit here, by all that is known or still open; None where it may emit any."""
    closed = [node for node, is_closed in branch.positive if is_closed]
    if not any(node.properties is not None for node in closed) or any(node.opens for node in closed):
        return None
    names = branch.also_declared.union(*(node.declared for node in closed))
    for clause in (*branch.clauses, *branch.waiting):
        for step in (step for choice in clause for step in choice):
            if step[0] == "declared":
                names |= step[1]
            elif step[0] == "pos" and step[2]:
                within = possibly_evaluated(step[1])
                if any(node.opens for node in within):
                    return None
                names = names.union(*(node.declared for node in within))
    return names


def may_have(branch: Branch, name: str) -> bool:
    """False where no property of this name can be, by its name alone."""
    known = declared(branch)
    return known is None or name in known


def value_state(branch: Branch, name: str) -> State:
    """What holds of the value of a property, were it there."""
    positive: set[Positive] = set()
    for node, closed in branch.positive:
        further = True
        if node.properties and name in node.properties:
            positive.add((node.properties[name], closed))
            further = False
        for pattern, inner in node.patterns.items():
            found = found_in(pattern, name)
            if found:
                positive.add((inner, closed))
            further = further and found is False
        if further and node.additional is not None:
            positive.add((node.additional, closed))
        if node.unevaluated_properties is not None and not _may_evaluate(node, name):
            positive.add((node.unevaluated_properties, closed))
    negative = frozenset(
        inner for demand in branch.properties if demand.name == name for inner in demand.state.negative
    )
    positive.update(
        part for demand in branch.properties if demand.name == name for part in demand.state.positive
    )
    return State(frozenset(positive), negative)


def _may_evaluate(node: Node, name: str) -> bool:
    for part in possibly_evaluated(node):
        if (
            part.opaque
            or part.additional is not None
            or (part is not node and part.unevaluated_properties is not None)
        ):
            return True
        if (part.properties and name in part.properties) or any(
            found_in(p, name) is not False for p in part.patterns
        ):
            return True
    return False


def candidates(branch: Branch, solving: Solving) -> Iterator[Any]:
    """Some objects that the branch allows. None at all is a proof that there are none."""
    yield from _Objects(branch, solving).found()


class _Objects:
    def __init__(self, branch: Branch, solving: Solving) -> None:
        self.branch = branch
        self.solving = solving
        self.nodes = [node for node, _ in branch.positive]
        self.declared = declared(branch)
        self.naming = State(frozenset((node.names, False) for node in self.nodes if node.names is not None))
        self.patterns = sorted({pattern for node in self.nodes for pattern in _patterns_of(node)})
        self.mentioned = sorted(
            branch.required
            | {
                name
                for node in self.nodes
                for part in possibly_evaluated(node)
                for name in part.properties or ()
            }
            | {name for demand in branch.properties for name in demand.outside}
            | (self.declared or set())
        )
        self.doubt = False

    def found(self) -> Iterator[Any]:
        values: dict[str, Any] = {}
        free = [demand for demand in self.branch.properties if demand.name is None]
        for name in sorted(self.branch.required):
            answer = self._value(name)
            if answer is None:
                if not self.doubt:
                    return
                yield UNDECIDED
                return
            values[name] = answer[0]
        if len(free) > 1:
            for demand in free:
                alone = next(self._placed([demand], values), None)
                if alone is None and not self.doubt:
                    return
        yielded = False
        for placed in self._placed(free, values):
            filled = self._filled(placed)
            if filled is not None:
                yielded = True
                yield filled
        if self.doubt or (len(free) > 1 and not yielded):
            yield UNDECIDED

    def _value(self, name: str, extra: State | None = None) -> tuple[Any] | None:
        """A value that a property of this name may have; None where there is none, or ``doubt``."""
        if name in self.branch.absent or (self.declared is not None and name not in self.declared):
            return None
        naming = self.solving.holds(self.naming, name)
        if naming is False:
            return None
        state = value_state(self.branch, name)
        answer = self.solving.solve(state if extra is None else state.with_(extra))
        if answer.status == "unknown" or naming is None:
            self.doubt = True
        return (answer.value,) if answer.status == "found" and naming else None

    def _placed(self, free: list[SomeProperty], values: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Objects that have a property for each of the demands that name none."""
        if not free:
            yield values
            return
        demand, rest = free[0], free[1:]
        for name in dict.fromkeys([*self.mentioned, *values]):
            self.solving.budget.spend()
            if not self._suits(demand, name):
                continue
            answer = self._value(name, demand.state)
            if answer is not None:
                yield from self._placed(rest, {**values, name: answer[0]})
        for name in self._new_names(demand, values):
            answer = self._value(name, demand.state)
            if answer is not None:
                yield from self._placed(rest, {**values, name: answer[0]})

    def _suits(self, demand: SomeProperty, name: str) -> bool:
        if name in demand.outside:
            return False
        found = [found_in(pattern, name) for pattern in demand.matching]
        found += [
            None if (other := found_in(pattern, name)) is None else not other for pattern in demand.unmatched
        ]
        found.append(self.solving.holds(demand.naming, name))
        if None in found and False not in found:
            self.doubt = True
        return all(found)

    def _new_names(self, demand: SomeProperty, values: dict[str, Any]) -> Iterator[str]:
        """A name that is not mentioned for each set of patterns that names can have together."""
        if self.declared is not None:
            return
        interner = self.solving.interner
        patterns = sorted({*self.patterns, *demand.matching, *demand.unmatched})
        if len(patterns) > _MOST_PATTERNS:
            self.doubt = True
        taken = tuple({*self.mentioned, *values, *self.branch.absent})
        free = patterns if len(patterns) <= _MOST_PATTERNS else patterns[:_MOST_PATTERNS]
        excluded = interner.kept(Node(values=taken, frozen=frozenset(taken)))
        for count in range(len(free) + 1):
            for chosen in combinations(free, count):
                if not set(demand.matching) <= set(chosen) or set(demand.unmatched) & set(chosen):
                    continue
                holds = {_with_pattern(self.solving, pattern) for pattern in chosen}
                fails = {
                    _with_pattern(self.solving, pattern) for pattern in patterns if pattern not in chosen
                }
                text = (interner.kept(Node(types=frozenset({"string"}))), False)
                state = State(
                    self.naming.positive
                    | demand.naming.positive
                    | {text}
                    | {(node, False) for node in holds},
                    demand.naming.negative | fails | ({excluded} if taken else set()),
                )
                answer = self.solving.solve(state)
                if answer.status == "found":
                    yield answer.value
                elif answer.status == "unknown":
                    self.doubt = True

    def _filled(self, values: dict[str, Any]) -> dict[str, Any] | None:
        """The object with as many properties as it needs; None where it cannot have them, or ``doubt``."""
        fewest, most = self.branch.fewest, self.branch.most
        if most is not None and len(values) > most:
            return None
        for name in self.mentioned:
            if len(values) >= fewest:
                return values
            if name not in values:
                answer = self._value(name)
                if answer is not None:
                    values = {**values, name: answer[0]}
        for _ in range(_MOST_FURTHER):
            if len(values) >= fewest:
                return values
            further = self._further(values)
            if further is None:
                return None
            values = further
        if len(values) >= fewest:
            return values
        self.doubt = True
        return None

    def _further(self, values: dict[str, Any]) -> dict[str, Any] | None:
        """The object with one property more, of a name that is not mentioned; None where there is none."""
        for name in self._new_names(SomeProperty(State()), values):
            answer = self._value(name)
            if answer is not None:
                return {**values, name: answer[0]}
        return None


def _patterns_of(node: Node) -> Iterator[str]:
    yield from node.patterns
    if node.unevaluated_properties is not None:
        for part in possibly_evaluated(node):
            yield from part.patterns


def _with_pattern(solving: Solving, pattern: str) -> Node:
    return solving.interner.kept(Node(types=frozenset({"string"}), pattern=pattern))
