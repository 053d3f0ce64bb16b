"""Solver: finds an instance that some schemas accept and others refuse, or proves that there is none.

A tableau: for each JSON type the schemas are taken apart into what one instance must satisfy; disjunctions are tried in
turn, and what is left is decided by arithmetic, by automata, or by the same question about items and properties. A
question that comes back while it is being answered is answered "none" there: the smallest instance, if there is one,
does not contain another of its kind, so recursion ends (emptiness of tree automata).

Every question may be widened, never narrowed: "none" is a proof. An instance is given only when the validator agrees.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from handoffs.contracts.compatibility import arrays, numbers, objects, strings
from handoffs.contracts.compatibility.branch import (
    Branch,
    Choice,
    Clause,
    SomeItem,
    SomeProperty,
    State,
    Step,
)
from handoffs.contracts.compatibility.budget import Budget, Exhausted
from handoffs.contracts.compatibility.failing import ONE, possibly_evaluated, ways_to_fail
from handoffs.contracts.compatibility.formats import speaks_of
from handoffs.contracts.compatibility.node import Node
from handoffs.contracts.compatibility.numbers import UNDECIDED
from handoffs.contracts.compatibility.schema import Interner
from handoffs.contracts.compatibility.validator import Validator, everything, opposite
from handoffs.contracts.compatibility.values import TYPES, freeze, type_of

Status = Literal["found", "none", "unknown"]
_DEEPEST = 50
_TRIED = 12
_BOUNDS = frozenset({
    "lower", "upper", "multiple", "not_multiple", "shortest", "longest", "min_items", "max_items", "unique", "repeated",
    "at_least", "fewest", "most", "not_pattern", "not_format", "not_opaque",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether an instance was found (``value``), there is none, or neither could be shown."""

    status: Status
    value: Any = None


NONE = Answer("none")
UNKNOWN = Answer("unknown")


class Solver:
    """Answers questions about states; remembers what it has answered. Raises :class:`Exhausted` beyond its budget."""

    def __init__(self, interner: Interner, budget: Budget) -> None:
        self.interner = interner
        self.budget = budget
        self.validator = Validator(budget)
        self._known: dict[State, Answer] = {}
        self._provisional: dict[State, int] = {}
        self._open: dict[State, int] = {}
        self._lowest: list[int] = []

    def solve(self, state: State) -> Answer:
        """An instance that every positive schema accepts and every negative one refuses."""
        if any(node.always for node in state.negative) or any(
            node.always is False for node, _ in state.positive
        ):
            return NONE
        if any(node in state.negative for node, _ in state.positive):
            return NONE
        found = self._known.get(state)
        if found is not None:
            return found
        if state in self._provisional:
            self._depends_on(self._provisional[state])
            return NONE
        if state in self._open:
            self._depends_on(self._open[state])
            return NONE
        return self._answered(state)

    def _depends_on(self, depth: int) -> None:
        if self._lowest:
            self._lowest[-1] = min(self._lowest[-1], depth)

    def _answered(self, state: State) -> Answer:
        depth = len(self._open)
        if depth > _DEEPEST:
            raise Exhausted(f"instances nested more than {_DEEPEST} deep")
        self._open[state] = depth
        self._lowest.append(depth)
        before = len(self._provisional)
        try:
            answer = self._any_type(state)
        finally:
            lowest = self._lowest.pop()
            del self._open[state]
        if answer.status != "none":
            self._forget(before)
            if answer.status == "found" or lowest >= depth:
                self._known[state] = answer
            else:
                self._depends_on(lowest)
            return answer
        if lowest < depth:
            self._provisional[state] = lowest
            for assumed in list(self._provisional)[before:]:
                self._provisional[assumed] = min(self._provisional[assumed], lowest)
            self._depends_on(lowest)
        else:
            for settled in list(self._provisional)[before:]:
                self._known[settled] = NONE
            self._forget(before)
            self._known[state] = NONE
        return answer

    def _forget(self, before: int) -> None:
        while len(self._provisional) > before:
            self._provisional.popitem()

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
            if not self.accept(branch, node, closed):
                return NONE
        for node in state.negative:
            if not self._refuse(branch, node):
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

    # Taking schemas apart

    def learn(self, branch: Branch, choice: Choice) -> bool:
        """Let each step of a choice hold in a branch; False where one cannot."""
        for step in choice:
            name = step[0]
            if name == "pos":
                good = self.accept(branch, step[1], step[2])
            elif name == "neg":
                good = self._refuse(branch, step[1])
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
        """Let ``node`` hold in a branch; False where it cannot."""
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
            all(branch.learn(step) for step in _atoms(node, branch.kind))
            and all(self.accept(branch, inner, closed) for inner in parts)
            and (node.negated is None or self._refuse(branch, node.negated))
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

    def _refuse(self, branch: Branch, node: Node) -> bool:
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

    # Disjunctions

    def _search(self, branch: Branch, state: State) -> Answer:
        self.budget.spend()
        if branch.values is None and not self.propagate(branch):
            return NONE
        if branch.values is not None:
            return self._tried(state, branch.values, complete=True)
        clause = self._next(branch)
        if clause is None:
            return self._leaf(branch, state)
        doubt = False
        for choice in clause:
            further = branch.copy()
            if not self.learn(further, choice):
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
        possible = [inner for inner in choices if self.possible(branch, (("pos", inner, False),))]
        ways: list[Choice] = [tuple(("neg", inner) for inner in possible)]
        for number, first in enumerate(possible):
            ways += [(("pos", first, False), ("pos", second, False)) for second in possible[number + 1 :]]
            self.budget.spend(len(possible))
        return tuple(ways)

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

    def possible(self, branch: Branch, choice: Choice) -> bool:
        """False where ``choice`` surely cannot hold in the branch; a cheap look, not a proof to the end."""
        further = branch.copy()
        further.waiting = [*branch.waiting, *branch.clauses]
        further.clauses, further.either = [], []
        if not self.learn(further, choice) or not self.propagate(further):
            return False
        if further.kind == "object":
            return all(self._child(further, name).status != "none" for name in sorted(further.required))
        return further.values is None or bool(further.values)

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
                self.budget.spend()
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
                    if not self.learn(branch, left[0]):
                        return False
                    if branch.values is not None:
                        branch.clauses += clauses[position + 1 :]
                        return True
        return True

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
        if self.solve(known.with_(demand.state)).status == "none":
            return False
        if demand.name in branch.required and not demand.state.positive and len(demand.state.negative) == 1:
            [node] = demand.state.negative
            if self.solve(known.with_(State(positive=frozenset({(node, False)})))).status == "none":
                return True
        return None

    def _child(self, branch: Branch, name: str) -> Answer:
        return self.solve(objects.value_state(branch, name))

    # What is left

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


def _others(choices: tuple[Node, ...], number: int) -> Iterator[Step]:
    """The other choices of a oneOf do not hold, as they are written: also of a writer, which is closed beside that."""
    yield from (("neg", inner) for place, inner in enumerate(choices) if place != number)


def _look_refuse(branch: Branch, node: Node) -> bool | None:
    if node in branch.negative or node.always is False or not node.allows(branch.kind):
        return True
    known = any((node, closed) in branch.positive for closed in (True, False))
    return False if node.always or known else None


def _declared_within(node: Node) -> frozenset[str]:
    return frozenset(name for part in possibly_evaluated(node) for name in part.declared)


def _atoms(node: Node, kind: str) -> Iterator[Step]:
    """What a schema that holds says of an instance itself, apart from its items, properties and combinations."""
    if node.format is not None and speaks_of(node.format, kind):
        yield ("format", node.format)
    for what in node.opaque:
        yield ("opaque", what)
    yield from _ATOMS[kind](node)


def _number_atoms(node: Node) -> Iterator[Step]:
    if node.integral:
        yield ("multiple", ONE)
    if node.multiple is not None:
        yield ("multiple", node.multiple)
    if node.lower is not None:
        yield ("lower", *node.lower)
    if node.upper is not None:
        yield ("upper", *node.upper)


def _string_atoms(node: Node) -> Iterator[Step]:
    yield ("shortest", node.shortest)
    if node.longest is not None:
        yield ("longest", node.longest)
    if node.pattern is not None:
        yield ("pattern", node.pattern)


def _object_atoms(node: Node) -> Iterator[Step]:
    yield ("fewest", node.fewest)
    if node.most is not None:
        yield ("most", node.most)
    for name in node.required:
        yield ("required", name)


def _array_atoms(node: Node) -> Iterator[Step]:
    yield ("min_items", node.min_items)
    if node.max_items is not None:
        yield ("max_items", node.max_items)
    if node.unique:
        yield ("unique",)
    if node.contains is not None:
        if node.min_contains:
            yield ("at_least", node.min_contains, node.contains)
        if node.max_contains is not None:
            yield ("at_most", node.max_contains, node.contains)


_ATOMS = {"number": _number_atoms, "string": _string_atoms, "array": _array_atoms, "object": _object_atoms}
