"""Differences: each place where a reader may refuse what a writer emits, said for people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

from handoffs.contracts.compatibility import arrays, objects
from handoffs.contracts.compatibility.branch import Branch
from handoffs.contracts.compatibility.budget import Exhausted
from handoffs.contracts.compatibility.document import escaped
from handoffs.contracts.compatibility.node import TRUE, Node
from handoffs.contracts.compatibility.solver import Solver
from handoffs.contracts.compatibility.state import Answer, Positive, State
from handoffs.contracts.compatibility.values import as_json, freeze
from handoffs.contracts.compatibility.verdict import Difference
from handoffs.contracts.text import printable

_MOST = 40
_DEEPEST = 12
_TEXT = 120


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
        found[Difference("schema", "", _shown(whole.value), "something else", True)] = None
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
        for keyword, part, wanted in _parts(reader):
            answer = self.solver.solve(State(positive, frozenset({part})))
            if answer.status != "none":
                yield from self._within(positive, keyword, part, wanted, path, answer, depth)
        for inner in (*reader.all_of, *((reader.reference,) if reader.reference is not None else ())):
            yield from self.of(positive, inner, path, depth + 1)

    def _within(
        self,
        positive: frozenset[Positive],
        keyword: str,
        part: Node,
        wanted: str,
        path: str,
        answer: Answer,
        depth: int,
    ) -> Iterator[Difference]:
        deeper: list[Difference] = []
        if part.properties and keyword == "properties":
            [(name, inner)] = part.properties.items()
            branch = self._branch(positive, "object")
            if branch is not None and objects.may_have(branch, name):
                state = objects.value_state(branch, name)
                if (state.positive, inner) in self.seen:
                    return
                deeper = list(self.of(state.positive, inner, f"{path}/{escaped(name)}", depth + 1))
        elif keyword == "items" and part.items is not None:
            branch = self._branch(positive, "array")
            if branch is not None:
                state = arrays.item_state(branch, self.solver, len(part.prefix))
                if (state.positive, part.items) in self.seen:
                    return
                deeper = list(self.of(state.positive, part.items, f"{path}/*", depth + 1))
        elif keyword == "prefixItems":
            branch = self._branch(positive, "array")
            if branch is not None:
                at = len(part.prefix) - 1
                state = arrays.item_state(branch, self.solver, at)
                deeper = list(self.of(state.positive, part.prefix[at], f"{path}/{at}", depth + 1))
        elif keyword in ("anyOf", "oneOf") and answer.status == "found":
            deeper = list(self._alternative(positive, part, path, answer.value, depth))
        if deeper:
            yield from deeper
        else:
            step, value = _place(keyword, part, answer.value)
            yield self._difference(keyword, path + step, replace(answer, value=value), wanted)

    def _alternative(
        self, positive: frozenset[Positive], part: Node, path: str, value: Any, depth: int
    ) -> Iterator[Difference]:
        """The differences to the one alternative that has the same constants (the tag) as ``value``."""
        if not isinstance(value, dict):
            return
        for inner in part.any_of or part.one_of or ():
            shown = inner
            while shown.reference is not None or (len(shown.all_of) == 1 and not shown.properties):
                shown = shown.reference or shown.all_of[0]
            tags = {
                name: node for name, node in (shown.properties or {}).items() if len(node.values or ()) == 1
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
            keyword, path, _shown(answer.value) if certain else "something else", wanted, certain
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


def _shown(value: Any) -> str:
    return printable(json.dumps(value, ensure_ascii=False), _TEXT)


def _parts(node: Node) -> Iterator[tuple[str, Node, str]]:
    """Each keyword by itself: its name, a schema of it alone, and what it wants in words."""
    if node.types is not None:
        yield "type", Node(types=node.types), " or ".join(sorted(node.types))
    if node.values is not None:
        wanted = ", ".join(_shown(value) for value in node.values[:6]) + (
            ", ..." if len(node.values) > 6 else ""
        )
        yield (
            "enum",
            Node(values=node.values, frozen=node.frozen),
            ("one of " if len(node.values) > 1 else "") + wanted,
        )
    if node.format is not None:
        yield "format", Node(format=node.format), f"the format {printable(node.format, 60)}"
    yield from _bounds(node)
    yield from _of_objects(node)
    yield from _of_arrays(node)
    yield from _combined(node)
    for what in node.opaque:
        yield (
            what.partition(" ")[0],
            Node(opaque=(what,)),
            f"what {printable(what, 80)} says, which is not followed",
        )


def _bounds(node: Node) -> Iterator[tuple[str, Node, str]]:
    if node.lower is not None:
        number, strict = node.lower
        yield (
            "exclusiveMinimum" if strict else "minimum",
            Node(lower=node.lower),
            f"a number {'above' if strict else 'from'} {_number(number)}",
        )
    if node.upper is not None:
        number, strict = node.upper
        yield (
            "exclusiveMaximum" if strict else "maximum",
            Node(upper=node.upper),
            f"a number {'below' if strict else 'up to'} {_number(number)}",
        )
    if node.multiple is not None:
        yield "multipleOf", Node(multiple=node.multiple), f"a multiple of {_number(node.multiple)}"
    if node.shortest:
        yield "minLength", Node(shortest=node.shortest), f"at least {node.shortest} characters"
    if node.longest is not None:
        yield "maxLength", Node(longest=node.longest), f"at most {node.longest} characters"
    if node.pattern is not None:
        yield "pattern", Node(pattern=node.pattern), f"the pattern {printable(node.pattern, 80)}"
    if node.min_items:
        yield "minItems", Node(min_items=node.min_items), f"at least {node.min_items} items"
    if node.max_items is not None:
        yield "maxItems", Node(max_items=node.max_items), f"at most {node.max_items} items"
    if node.fewest:
        yield "minProperties", Node(fewest=node.fewest), f"at least {node.fewest} properties"
    if node.most is not None:
        yield "maxProperties", Node(most=node.most), f"at most {node.most} properties"


def _of_objects(node: Node) -> Iterator[tuple[str, Node, str]]:
    for name in node.required:
        yield "required", Node(required=(name,)), f"the property {_shown(name)}"
    for name, inner in (node.properties or {}).items():
        yield "properties", Node(properties={name: inner}), "another value here"
    for pattern, inner in node.patterns.items():
        text = f"other values where a name has the pattern {printable(pattern, 80)}"
        yield "patternProperties", Node(patterns={pattern: inner}), text
    if node.additional is not None:
        known = dict.fromkeys(node.properties or (), TRUE)
        text = (
            "no further properties"
            if node.additional.always is False
            else "further properties of another kind"
        )
        part = Node(properties=known, patterns=dict.fromkeys(node.patterns, TRUE), additional=node.additional)
        yield "additionalProperties", part, text
    if node.names is not None:
        yield "propertyNames", Node(names=node.names), "other names of properties"
    for name, needed in node.dependent.items():
        text = f"{', '.join(map(_shown, needed))} beside {_shown(name)}"
        yield "dependentRequired", Node(dependent={name: needed}), text
    for name, inner in node.dependent_schemas.items():
        yield (
            "dependentSchemas",
            Node(dependent_schemas={name: inner}),
            f"something else beside {_shown(name)}",
        )
    if node.unevaluated_properties is not None:
        yield "unevaluatedProperties", node, "no such further properties"


def _of_arrays(node: Node) -> Iterator[tuple[str, Node, str]]:
    for at, inner in enumerate(node.prefix):
        yield "prefixItems", Node(prefix=((TRUE,) * at + (inner,))), f"another item at index {at}"
    if node.items is not None:
        text = "no further items" if node.items.always is False else "other items"
        yield "items", Node(prefix=(TRUE,) * len(node.prefix), items=node.items), text
    if node.contains is not None:
        part = Node(contains=node.contains, min_contains=node.min_contains, max_contains=node.max_contains)
        most = "" if node.max_contains is None else f" and at most {node.max_contains}"
        yield "contains", part, f"at least {node.min_contains}{most} of certain items"
    if node.unique:
        yield "uniqueItems", Node(unique=True), "items that are all different"
    if node.unevaluated_items is not None:
        yield "unevaluatedItems", node, "no such further items"


def _combined(node: Node) -> Iterator[tuple[str, Node, str]]:
    if node.any_of is not None:
        yield "anyOf", Node(any_of=node.any_of), f"at least one of {len(node.any_of)} alternatives"
    if node.one_of is not None:
        yield "oneOf", Node(one_of=node.one_of), f"exactly one of {len(node.one_of)} alternatives"
    if node.negated is not None:
        yield "not", Node(negated=node.negated), "what its 'not' lets pass"
    if node.condition is not None:
        part = Node(condition=node.condition, then=node.then, otherwise=node.otherwise)
        yield "if", part, "what its 'then' or 'else' says"


def _number(number: Fraction) -> str:
    value = as_json(number)
    return str(number if value is None else value)
