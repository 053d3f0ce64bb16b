"""Propagation: what follows at a glance from what a branch has learnt already, before a disjunction is tried."""

from __future__ import annotations

from handoffs.contracts.compatibility import objects
from handoffs.contracts.compatibility.branch import Branch, Choice, SomeProperty, Step
from handoffs.contracts.compatibility.node import Node
from handoffs.contracts.compatibility.state import Answer, Solving, State
from handoffs.contracts.compatibility.tableau import Tableau
from handoffs.contracts.compatibility.validator import opposite
from handoffs.contracts.compatibility.values import freeze

_BOUNDS = frozenset({
    "lower", "upper", "multiple", "not_multiple", "shortest", "longest", "min_items", "max_items", "unique", "repeated",
    "at_least", "fewest", "most", "not_pattern", "not_format", "not_opaque",
})  # fmt: skip


class Propagation:
    """Looks at the disjunctions of branches. Its methods raise
    :class:`~handoffs.contracts.compatibility.budget.Exhausted` beyond the budget."""

    def __init__(self, solving: Solving, tableau: Tableau) -> None:
        self._solving = solving
        self._tableau = tableau

    def propagate(self, branch: Branch) -> bool:
        """Drop choices that cannot be and clauses that hold already; learn what remains alone. False where nothing does."""
        aside = branch.waiting
        good = self._propagated(branch)
        branch.waiting = aside
        return good

    def _propagated(self, branch: Branch) -> bool:
        again, aside = True, branch.waiting
        while again:
            again = False
            clauses, branch.clauses = branch.clauses, []
            branch.waiting = [*aside, *clauses]
            for position, clause in enumerate(clauses):
                self._solving.budget.spend()
                left: list[Choice] = []
                for choice in clause:
                    looks = [self._look(branch, step) for step in choice]
                    if False in looks:
                        continue
                    if all(looks):
                        break
                    left.append(choice)
                else:
                    if not left:
                        return False
                    if len(left) > 1:
                        branch.clauses.append(tuple(left) if len(left) < len(clause) else clause)
                        continue
                    again = True
                    if not self._tableau.learn(branch, left[0]):
                        return False
                    if branch.values is not None:
                        branch.clauses += clauses[position + 1 :]
                        return True
        return True

    def possible(self, branch: Branch, choice: Choice) -> bool:
        """False where ``choice`` surely cannot hold in the branch; a cheap look, not a proof to the end."""
        further = branch.copy()
        further.waiting = [*branch.waiting, *branch.clauses]
        further.clauses, further.either = [], []
        if not self._tableau.learn(further, choice) or not self.propagate(further):
            return False
        if further.kind == "object":
            return all(self._child(further, name).status != "none" for name in sorted(further.required))
        return further.values is None or bool(further.values)

    def _look(self, branch: Branch, step: Step) -> bool | None:
        """True where ``step`` holds already, False where it cannot; None where neither shows at a glance."""
        name = step[0]
        if name == "pos":
            return self._look_accept(branch, step[1], step[2])
        if name == "neg":
            return _look_refuse(branch, step[1])
        if name == "property":
            return self._look_property(branch, step[1])
        if name in ("required", "absent"):
            answer = self._look_name(branch, step[1])
            return opposite(answer) if name == "absent" else answer
        return False if name in _BOUNDS and not branch.copy().learn(step) else None

    def _look_accept(self, branch: Branch, node: Node, closed: bool) -> bool | None:
        if node.always is not None:
            return node.always
        if (node, closed) in branch.positive or (not closed and (node, True) in branch.positive):
            return True
        if node in branch.negative or not node.allows(branch.kind):
            return False
        if node.values is not None and branch.values is not None:
            return None if any(freeze(value) in node.frozen for value in branch.values) else False
        return None

    def _look_name(self, branch: Branch, name: str) -> bool | None:
        """Whether there is a property of this name."""
        if name in branch.required:
            return True
        if name in branch.absent or not objects.may_have(branch, name):
            return False
        return False if self._child(branch, name).status == "none" else None

    def _look_property(self, branch: Branch, demand: SomeProperty) -> bool | None:
        if demand.name is None:
            return None
        if demand.name in branch.absent or not objects.may_have(branch, demand.name):
            return False
        known = objects.value_state(branch, demand.name)
        if self._solving.solve(known.with_(demand.state)).status == "none":
            return False
        if demand.name in branch.required and not demand.state.positive and len(demand.state.negative) == 1:
            [node] = demand.state.negative
            if self._solving.solve(known.with_(State(positive=frozenset({(node, False)})))).status == "none":
                return True
        return None

    def _child(self, branch: Branch, name: str) -> Answer:
        return self._solving.solve(objects.value_state(branch, name))


def _look_refuse(branch: Branch, node: Node) -> bool | None:
    if node in branch.negative or node.always is False or not node.allows(branch.kind):
        return True
    known = any((node, closed) in branch.positive for closed in (True, False))
    return False if node.always or known else None
