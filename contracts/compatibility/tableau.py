"""Tableau: takes schemas apart into what one instance must satisfy, and into disjunctions that stay open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from handoffs.contracts.compatibility.atoms import atoms
from handoffs.contracts.compatibility.branch import Branch, Choice, Clause, SomeItem, SomeProperty, Step
from handoffs.contracts.compatibility.budget import Budget
from handoffs.contracts.compatibility.failing import possibly_evaluated, ways_to_fail
from handoffs.contracts.compatibility.interner import Interner
from handoffs.contracts.compatibility.node import Node
from handoffs.contracts.compatibility.state import State
from handoffs.contracts.compatibility.values import freeze, type_of


class Tableau:
    """Adds to branches what schemas demand. Its methods raise :class:`~handoffs.contracts.compatibility.budget.Exhausted`
    beyond the budget."""

    def __init__(self, interner: Interner, budget: Budget) -> None:
        self.interner = interner
        self.budget = budget

    def learn(self, branch: Branch, choice: Choice) -> bool:
        """Let each step of a choice hold in a branch; False where one cannot."""
        for step in choice:
            name = step[0]
            if name == "pos":
                good = self.accept(branch, step[1], step[2])
            elif name == "neg":
                good = self.refuse(branch, step[1])
            elif name == "not_one":
                branch.either.append(step[1])
                good = True
            elif name == "unlike":
                branch.clauses += [self._unlike(value) for value in step[1]]
                good = True
            else:
                good = branch.learn(step)
            if not good:
                return False
        return True

    def accept(self, branch: Branch, node: Node, closed: bool) -> bool:
        """Let ``node``, of a ``closed`` writer or not, hold in a branch; False where it cannot."""
        self.budget.spend()
        if node.always is not None or (node, closed) in branch.positive:
            return node.always is not False
        if node in branch.negative or not node.allows(branch.kind):
            return False
        branch.positive.add((node, closed))
        if node.values is not None:
            known = node.values if branch.values is None else branch.values
            branch.values = [
                value for value in known if type_of(value) == branch.kind and freeze(value) in node.frozen
            ]
            if not branch.values:
                return False
        self._disjunctions(branch, node, closed)
        parts = (*node.all_of, *((node.reference,) if node.reference is not None else ()))
        return (
            all(branch.learn(step) for step in atoms(node, branch.kind))
            and all(self.accept(branch, inner, closed) for inner in parts)
            and (node.negated is None or self.refuse(branch, node.negated))
        )

    def _disjunctions(self, branch: Branch, node: Node, closed: bool) -> None:
        if node.any_of is not None:
            branch.clauses.append(tuple((("pos", inner, closed),) for inner in node.any_of))
        if node.one_of is not None:
            branch.clauses.append(
                tuple(
                    (("pos", inner, closed), *_others(node.one_of, number))
                    for number, inner in enumerate(node.one_of)
                )
            )
        if node.condition is not None and node.then is not None and node.otherwise is not None:
            met = ("pos", node.condition, False)
            declares = (
                (("declared", _declared_within(node.condition)),)
                if closed and branch.kind == "object"
                else ()
            )
            branch.clauses.append(
                (
                    (met, *declares, ("pos", node.then, closed)),
                    (("neg", node.condition), ("pos", node.otherwise, closed)),
                )
            )
        if branch.kind == "object":
            for name, inner in node.dependent_schemas.items():
                branch.clauses.append(((("absent", name),), (("required", name), ("pos", inner, closed))))
            for name, needed in node.dependent.items():
                if needed:
                    together = (("required", name), *(("required", other) for other in needed))
                    branch.clauses.append(((("absent", name),), together))

    def refuse(self, branch: Branch, node: Node) -> bool:
        """Let ``node`` not hold in a branch; False where it must."""
        self.budget.spend()
        if node in branch.negative:
            return True
        if (node, True) in branch.positive or (node, False) in branch.positive:
            return False
        ways = ways_to_fail(node, branch.kind)
        if ways is None:
            return True
        branch.negative.add(node)
        if not ways:
            return False
        if len(ways) == 1:
            return self.learn(branch, ways[0])
        branch.clauses.append(tuple(ways))
        return True

    def _unlike(self, value: Any) -> Clause:
        """The ways in which an array or an object is not ``value``."""

        def other(inner: Any) -> State:
            same = Node(values=(inner,), frozen=frozenset({freeze(inner)}))
            return State(negative=frozenset({self.interner.kept(same)}))

        ways: list[Choice]
        if isinstance(value, dict):
            ways = [(("property", SomeProperty(State(), outside=frozenset(value))),)]
            ways += [(("absent", name),) for name in value]
            ways += [(("property", SomeProperty(other(inner), name)),) for name, inner in value.items()]
        else:
            ways = [(("min_items", len(value) + 1),)]
            ways += [(("max_items", len(value) - 1),)] if value else []
            ways += [(("item", SomeItem(other(inner), at, at)),) for at, inner in enumerate(value)]
        return tuple(ways)


def _others(choices: tuple[Node, ...], number: int) -> Iterator[Step]:
    """The other choices of a oneOf do not hold, as they are written: also of a writer, which is closed beside that."""
    yield from (("neg", inner) for place, inner in enumerate(choices) if place != number)


def _declared_within(node: Node) -> frozenset[str]:
    return frozenset(name for part in possibly_evaluated(node) for name in part.declared)
