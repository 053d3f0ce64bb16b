"""Solver: finds an instance that some schemas accept and others refuse, or proves that there is none.

A tableau: for each JSON type the schemas are taken apart into what one instance must satisfy; disjunctions are tried in
turn, and what is left is decided by arithmetic, by automata, or by the same question about items and properties. A
question that comes back while it is being answered is answered "none" there: the smallest instance, if there is one,
does not contain another of its kind, so recursion ends (emptiness of tree automata).

Every question may be widened, never narrowed: "none" is a proof. An instance is given only when the validator agrees.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from handoffs.contracts.compatibility import arrays, numbers, objects, strings
from handoffs.contracts.compatibility.branch import Branch, Choice, Clause
from handoffs.contracts.compatibility.budget import Budget
from handoffs.contracts.compatibility.interner import Interner
from handoffs.contracts.compatibility.node import Node
from handoffs.contracts.compatibility.numbers import UNDECIDED
from handoffs.contracts.compatibility.patterns import found_in
from handoffs.contracts.compatibility.propagation import Propagation
from handoffs.contracts.compatibility.recall import Recall
from handoffs.contracts.compatibility.state import NONE, UNKNOWN, Answer, State
from handoffs.contracts.compatibility.tableau import Tableau
from handoffs.contracts.compatibility.validator import Found, Validator, everything, opposite
from handoffs.contracts.compatibility.values import TYPES

_TRIED = 12


class Solver:
    """Answers questions about states; remembers what it has answered. Raises :class:`Exhausted` beyond its budget."""

    def __init__(self, interner: Interner, budget: Budget, found: Found = found_in) -> None:
        """``found`` judges patterns in what is given as an instance: all readers together, or one of them."""
        self.interner = interner
        self.budget = budget
        self.validator = Validator(budget, found)
        self.tableau = Tableau(interner, budget)
        self.propagation = Propagation(self, self.tableau)
        self._recall = Recall()

    def solve(self, state: State) -> Answer:
        """An instance that every positive schema accepts and every negative one refuses."""
        if any(node.always for node in state.negative) or any(
            node.always is False for node, _ in state.positive
        ):
            return NONE
        if any(node in state.negative for node, _ in state.positive):
            return NONE
        return self._recall.answer(state, self._any_type)

    def _any_type(self, state: State) -> Answer:
        doubt = False
        for kind in TYPES:
            answer = self.typed(state, kind)
            if answer.status == "found":
                return answer
            doubt |= answer.status == "unknown"
        return UNKNOWN if doubt else NONE

    def typed(self, state: State, kind: str) -> Answer:
        """The same of one JSON type."""
        self.budget.spend()
        if not all(node.allows(kind) for node, _ in state.positive):
            return NONE
        if kind in ("null", "boolean"):
            return self._tried(state, [None] if kind == "null" else [True, False], complete=True)
        branch = Branch(kind)
        for node, closed in state.positive:
            if not self.tableau.accept(branch, node, closed):
                return NONE
        for node in state.negative:
            if not self.tableau.refuse(branch, node):
                return NONE
        return self._search(branch, state)

    def holds(self, state: State, value: Any) -> bool | None:
        """Whether ``value`` is in ``state``."""
        valid = self.validator.valid
        answer = everything(opposite(valid(node, value)) for node in state.negative)
        if answer is not False:
            answer = everything(
                [answer, *(self.validator.fits(node, value, closed) for node, closed in state.positive)]
            )
        closed_nodes = [node for node, closed in state.positive if closed]
        if answer is not False and closed_nodes and isinstance(value, dict):
            answer = everything([answer, self.validator.emitted(closed_nodes, value)])
        return answer

    def _tried(self, state: State, candidates: Iterable[Any], *, complete: bool) -> Answer:
        """The first candidate that is in ``state``; ``complete`` says that there are no others."""
        doubt = not complete
        for value in candidates:
            answer = self.holds(state, value)
            if answer:
                return Answer("found", value)
            doubt |= answer is None
        return UNKNOWN if doubt else NONE

    def _search(self, branch: Branch, state: State) -> Answer:
        self.budget.spend()
        if branch.values is None and not self.propagation.propagate(branch):
            return NONE
        if branch.values is not None:
            return self._tried(state, branch.values, complete=True)
        clause = self._next(branch)
        if clause is None:
            return self._leaf(branch, state)
        doubt = False
        for choice in clause:
            further = branch.copy()
            if not self.tableau.learn(further, choice):
                continue
            answer = self._search(further, state)
            if answer.status == "found":
                return answer
            doubt |= answer.status == "unknown"
        return UNKNOWN if doubt else NONE

    def _next(self, branch: Branch) -> Clause | None:
        """Take the next disjunction: those of the accepting side first, then the shortest."""
        if branch.clauses:
            best = min(
                branch.clauses,
                key=lambda clause: (not any(step[0] == "pos" for step in clause[0]), len(clause)),
            )
            branch.clauses.remove(best)
            return best
        if branch.either:
            return self._not_one(branch, branch.either.pop())
        return None

    def _not_one(self, branch: Branch, choices: tuple[Node, ...]) -> Clause:
        """The ways to fail a oneOf: none of the choices holds, or two of those that can hold at all."""
        possible = [inner for inner in choices if self.propagation.possible(branch, (("pos", inner, False),))]
        ways: list[Choice] = [tuple(("neg", inner) for inner in possible)]
        for number, first in enumerate(possible):
            ways += [(("pos", first, False), ("pos", second, False)) for second in possible[number + 1 :]]
            self.budget.spend(len(possible))
        return tuple(ways)

    def _leaf(self, branch: Branch, state: State) -> Answer:
        if branch.kind == "number":
            candidates = numbers.candidates(branch, self.budget)
        elif branch.kind == "string":
            candidates = strings.candidates(branch, self.budget)
        elif branch.kind == "array":
            candidates = arrays.candidates(branch, self)
        else:
            candidates = objects.candidates(branch, self)
        doubt = False
        for tried, value in enumerate(candidates):
            doubt = True
            if value is not UNDECIDED and self.holds(state, value):
                return Answer("found", value)
            if tried > _TRIED:
                break
        return UNKNOWN if doubt else NONE
