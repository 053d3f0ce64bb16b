"""Differences: each place where a reader may refuse what a writer emits, in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from handoffs.contracts.compatibility import arrays, objects
from handoffs.contracts.compatibility.branch import Branch
from handoffs.contracts.compatibility.budget import Exhausted
from handoffs.contracts.compatibility.demands import Demand, demands, shown
from handoffs.contracts.compatibility.document import escaped
from handoffs.contracts.compatibility.node import Node
from handoffs.contracts.compatibility.solver import Solver
from handoffs.contracts.compatibility.state import Answer, Positive, State
from handoffs.contracts.compatibility.values import freeze
from handoffs.contracts.compatibility.verdict import Difference

_MOST = 40
_DEEPEST = 12


def differences(
    solver: Solver, positive: frozenset[Positive], reader: Node, whole: Answer
) -> tuple[Difference, ...]:
    """What keeps ``reader`` from reading what is in ``positive``: at most 40 places, the first ones found.

    ``whole`` is the answer for the documents as a whole. It is shown itself where no single place is at fault.
    """
    found: dict[Difference, None] = {}
    try:
        for difference in _Places(solver).of(positive, reader, "", 0):
            found[difference] = None
            if len(found) >= _MOST:
                break
    except (Exhausted, RecursionError):
        pass
    if not any(difference.certain for difference in found) and whole.status == "found":
        found[Difference("schema", "", shown(whole.value), "something else", True)] = None
    return tuple(found)


class _Places:
    def __init__(self, solver: Solver) -> None:
        self.solver = solver
        self.seen: set[tuple[frozenset[Positive], Node]] = set()

    def of(self, positive: frozenset[Positive], reader: Node, path: str, depth: int) -> Iterator[Difference]:
        """The differences at ``path`` and below."""
        mark = (positive, reader)
        if mark in self.seen or depth > _DEEPEST:
            return
        self.seen.add(mark)
        yield from self._of(positive, reader, path, depth)
        self.seen.discard(mark)

    def _of(self, positive: frozenset[Positive], reader: Node, path: str, depth: int) -> Iterator[Difference]:
        whole = self.solver.solve(State(positive, frozenset({reader})))
        if whole.status == "none":
            return
        if reader.always is False:
            yield self._difference("false", path, whole, "nothing")
            return
        for demand in demands(reader):
            answer = self.solver.solve(State(positive, frozenset({demand.part})))
            if answer.status != "none":
                yield from self._within(positive, demand, path, answer, depth)
        for inner in (*reader.all_of, *((reader.reference,) if reader.reference is not None else ())):
            yield from self.of(positive, inner, path, depth + 1)

    def _within(
        self, positive: frozenset[Positive], demand: Demand, path: str, answer: Answer, depth: int
    ) -> Iterator[Difference]:
        """The differences below ``path`` that a keyword is about, or else the one at ``path``."""
        keyword, part = demand.keyword, demand.part
        deeper: list[Difference] = []
        if keyword in ("properties", "items", "prefixItems"):
            inner = self._inner(positive, demand, path)
            if inner is not None:
                state, node, place = inner
                if keyword != "prefixItems" and (state.positive, node) in self.seen:
                    return
                deeper = list(self.of(state.positive, node, place, depth + 1))
        elif keyword in ("anyOf", "oneOf") and answer.status == "found":
            deeper = list(self._alternative(positive, part, path, answer.value, depth))
        if deeper:
            yield from deeper
        else:
            step, value = _place(keyword, part, answer.value)
            yield self._difference(keyword, path + step, replace(answer, value=value), demand.wanted)

    def _inner(
        self, positive: frozenset[Positive], demand: Demand, path: str
    ) -> tuple[State, Node, str] | None:
        """What holds of the property or item that a keyword is about, its schema, and its path; None where that depends
        on which alternative the instance is."""
        part = demand.part
        branch = self._branch(positive, "object" if demand.keyword == "properties" else "array")
        if branch is None:
            return None
        if part.properties:
            [(name, inner)] = part.properties.items()
            if not objects.may_have(branch, name):
                return None
            return objects.value_state(branch, name), inner, f"{path}/{escaped(name)}"
        if part.items is not None:
            return arrays.item_state(branch, self.solver, len(part.prefix)), part.items, f"{path}/*"
        at = len(part.prefix) - 1
        return arrays.item_state(branch, self.solver, at), part.prefix[at], f"{path}/{at}"

    def _alternative(
        self, positive: frozenset[Positive], part: Node, path: str, value: Any, depth: int
    ) -> Iterator[Difference]:
        """The differences to the one alternative that has the same constants (the tag) as ``value``."""
        if not isinstance(value, dict):
            return
        for inner in part.any_of or part.one_of or ():
            bare = inner
            while bare.reference is not None or (len(bare.all_of) == 1 and not bare.properties):
                bare = bare.reference or bare.all_of[0]
            tags = {
                name: node for name, node in (bare.properties or {}).items() if len(node.values or ()) == 1
            }
            if tags and all(
                name in value and freeze(value[name]) in node.frozen for name, node in tags.items()
            ):
                tag = self.solver.interner.kept(
                    Node(types=frozenset({"object"}), properties=tags, required=tuple(sorted(tags)))
                )
                yield from self.of(positive | {(tag, False)}, inner, path, depth + 1)

    def _branch(self, positive: frozenset[Positive], kind: str) -> Branch | None:
        """What holds of every instance; None where that depends on which alternative it is."""
        branch = Branch(kind)
        for node, closed in positive:
            if not self.solver.tableau.accept(branch, node, closed):
                return None
        again = True
        while again and self.solver.propagation.propagate(branch):
            again = False
            for clause in list(branch.clauses):
                left = [choice for choice in clause if self.solver.propagation.possible(branch, choice)]
                if len(left) == 1:
                    branch.clauses.remove(clause)
                    again = self.solver.tableau.learn(branch, left[0])
                    break
        return branch if not branch.clauses and branch.values is None else None

    def _difference(self, keyword: str, path: str, answer: Answer, wanted: str) -> Difference:
        certain = answer.status == "found"
        return Difference(
            keyword, path, shown(answer.value) if certain else "something else", wanted, certain
        )


def _place(keyword: str, part: Node, value: Any) -> tuple[str, Any]:
    """Where within an instance the fault shows, and the value there."""
    if isinstance(value, dict) and keyword == "required":
        return f"/{escaped(part.required[0])}", value
    if isinstance(value, dict) and keyword == "properties" and part.properties:
        [name] = part.properties
        if name in value:
            return f"/{escaped(name)}", value[name]
    return "", value
