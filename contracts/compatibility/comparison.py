"""Comparison: whether every instance that a writer may emit is valid for a reader."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from handoffs.contracts.compatibility.budget import Budget, Exhausted
from handoffs.contracts.compatibility.differences import differences
from handoffs.contracts.compatibility.node import Node
from handoffs.contracts.compatibility.schema import Schemas
from handoffs.contracts.compatibility.solver import Solver
from handoffs.contracts.compatibility.state import State
from handoffs.contracts.compatibility.verdict import Difference, Verdict


def compare(
    writer: dict[str, Any] | bool,
    reader: dict[str, Any] | bool,
    *,
    containment: bool = False,
    budget: Budget | None = None,
) -> Verdict:
    """Say whether ``reader`` can read whatever ``writer`` writes. Both are JSON Schema documents.

    By default the writer is closed: an object schema with ``properties`` that says nothing of further ones
    (``additionalProperties``, ``patternProperties``, ``unevaluatedProperties``) emits those that it and the schemas
    around it (``allOf``, ``$ref``, the chosen branch of a union) declare, and no others. The reader is as written. With
    ``containment`` both are as written.

    Raises :class:`~handoffs.contracts.errors.InvalidSchema` for a document that is not a schema. What costs more than
    ``budget`` is "unknown".
    """
    spent = budget or Budget()
    schemas = Schemas()
    try:
        given, wanted = schemas.read(writer), schemas.read(reader)
        if _circular(given) or _circular(wanted):
            return _given_up("a reference that leads back to itself")
        solver = Solver(schemas.interner, spent)
        state = State(frozenset({(given, not containment)}), frozenset({wanted}))
        answer = solver.solve(state)
    except Exhausted as error:
        return _given_up(str(error))
    except RecursionError:
        return _given_up("schemas nested too deep")
    if answer.status == "none":
        return Verdict("compatible")
    found = differences(solver, state.positive, wanted, answer)
    if answer.status == "found":
        return Verdict("incompatible", found, answer.value)
    doubts = tuple(replace(difference, certain=False) for difference in found)
    return Verdict(
        "unknown", doubts or _given_up("combinations that are not followed to the end").differences
    )


def _given_up(reason: str) -> Verdict:
    return Verdict("unknown", (Difference("limit", "", reason, "a comparison within its limits", False),))


def _circular(root: Node) -> bool:
    """Whether a schema applies itself to the same instance without end (core 2020-12, section 9.4.1)."""
    done: set[Node] = set()
    for start in _reachable(root):
        path: list[tuple[Node, list[Node]]] = [] if start in done else [(start, list(start.applied()))]
        on_path = {start}
        while path:
            node, pending = path[-1]
            if not pending:
                path.pop()
                on_path.discard(node)
                done.add(node)
                continue
            inner = pending.pop()
            if inner in on_path:
                return True
            if inner not in done:
                on_path.add(inner)
                path.append((inner, list(inner.applied())))
    return False


def _reachable(root: Node) -> list[Node]:
    found: dict[Node, None] = {root: None}
    pending = [root]
    while pending:
        node = pending.pop()
        for inner in (*node.applied(), *node.within()):
            if inner not in found:
                found[inner] = None
                pending.append(inner)
    return list(found)
