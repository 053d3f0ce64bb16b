"""Validator: whether one instance is valid, in three values: True, False, and None where readers may differ.

None comes from what is not followed (remote references), from formats, from patterns that dialects read differently and
from ``multipleOf`` where binary fractions give another answer than decimal ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import product
from typing import Any

from handoffs.contracts.compatibility.budget import Budget
from handoffs.contracts.compatibility.formats import speaks_of, surely
from handoffs.contracts.compatibility.node import Node
from handoffs.contracts.compatibility.patterns import found_in
from handoffs.contracts.compatibility.values import exact, freeze, type_of

Answer = bool | None
Found = Callable[[str, str], Answer]
"""Whether a pattern is found in a text; None where readers differ or it cannot be judged."""
Shape = frozenset[str] | None
"""The names that an object may have; None where any."""
_MOST_SHAPES = 64
_SURE = 2**53


def everything(answers: Iterable[Answer]) -> Answer:
    """The conjunction of answers."""
    found: Answer = True
    for answer in answers:
        if answer is False:
            return False
        if answer is None:
            found = None
    return found


def anything(answers: Iterable[Answer]) -> Answer:
    """The disjunction of answers."""
    return opposite(everything(opposite(answer) for answer in answers))


def opposite(answer: Answer) -> Answer:
    """The negation of an answer."""
    return None if answer is None else not answer


class Validator:
    """Validates instances against nodes; recursion is bounded by the budget and the interpreter's own limit."""

    def __init__(self, budget: Budget, found: Found = found_in) -> None:
        """``found`` judges patterns: all readers together, or one of them."""
        self.budget = budget
        self._found = found

    def valid(self, node: Node, value: Any, closed: bool = False) -> Answer:
        """Whether ``value`` is valid; for a closed node, whether a writer that is bound to it may emit ``value``."""
        answer = self.fits(node, value, closed)
        if closed and answer is not False and isinstance(value, dict):
            return everything((answer, self.emitted([node], value)))
        return answer

    def emitted(self, nodes: Iterable[Node], value: dict[str, Any]) -> Answer:
        """Whether the names of an object are among those that closed nodes, taken together, declare."""
        combined = list(product(*(self._shapes(node, value) for node in nodes)))
        names = frozenset(value)
        for choice in combined:
            if any(opens for _, _, opens in choice) or not any(has for _, has, _ in choice):
                return True
            if names <= frozenset().union(*(declared for declared, _, _ in choice)):
                return True
        return False if len(combined) < _MOST_SHAPES else None

    def _shapes(self, node: Node, value: dict[str, Any]) -> list[tuple[frozenset[str], bool, bool]]:
        """Each way in which a closed node declares names: the names, whether it has properties, whether it is open."""
        self.budget.spend()
        found = [(node.declared, node.properties is not None, node.opens)]
        parts: list[list[Node]] = [[inner] for inner in (*node.all_of, node.reference) if inner is not None]
        parts += [
            [inner for inner in choices if self.fits(inner, value, True) is not False]
            for choices in (node.any_of, node.one_of)
            if choices is not None
        ]
        if node.condition is not None and node.then is not None and node.otherwise is not None:
            met = self.fits(node.condition, value, False)
            if met is not False:
                parts += [[node.condition], [node.then]]
            else:
                parts.append([node.otherwise])
        parts += [[inner] for name, inner in node.dependent_schemas.items() if name in value]
        for part in parts:
            options = [shape for inner in part for shape in self._shapes(inner, value)]
            found = [
                (one[0] | other[0], one[1] or other[1], one[2] or other[2])
                for one, other in product(found, dict.fromkeys(options))
            ][:_MOST_SHAPES]
        return found

    def fits(self, node: Node, value: Any, closed: bool) -> Answer:
        """The same, whatever names the writer declares beside."""
        self.budget.spend()
        if node.always is not None:
            return node.always
        return everything(self._answers(node, value, closed))

    def _answers(self, node: Node, value: Any, closed: bool) -> Iterator[Answer]:
        kind = type_of(value)
        if node.types is not None:
            yield node.allows(kind) and not (
                kind == "number" and node.integral and exact(value).denominator != 1
            )
        if node.values is not None:
            yield freeze(value) in node.frozen
        if node.format is not None and speaks_of(node.format, kind):
            yield True if closed or surely(node.format, value) else None
        if node.opaque:
            yield None
        if kind == "number":
            yield from _number(node, value)
        elif kind == "string":
            yield node.shortest <= len(value) and (node.longest is None or len(value) <= node.longest)
            if node.pattern is not None:
                yield self._found(node.pattern, value)
        elif kind == "array":
            yield from self._array(node, value, closed)
        elif kind == "object":
            yield from self._object(node, value, closed)
        yield from self._combined(node, value, closed)

    def _combined(self, node: Node, value: Any, closed: bool) -> Iterator[Answer]:
        for inner in node.all_of:
            yield self.fits(inner, value, closed)
        if node.reference is not None:
            yield self.fits(node.reference, value, closed)
        if node.any_of is not None:
            yield anything(self.fits(inner, value, closed) for inner in node.any_of)
        if node.one_of is not None:
            yield self._one(node.one_of, value, closed)
        if node.negated is not None:
            yield opposite(self.fits(node.negated, value, False))
        if node.condition is not None and node.then is not None and node.otherwise is not None:
            met = self.fits(node.condition, value, False)
            if met is not None:
                yield self.fits(node.then if met else node.otherwise, value, closed)
            else:
                both = {self.fits(inner, value, closed) for inner in (node.then, node.otherwise)}
                yield both.pop() if len(both) == 1 else None

    def _one(self, choices: tuple[Node, ...], value: Any, closed: bool) -> Answer:
        answers = [self.fits(inner, value, False) for inner in choices]
        certain, possible = answers.count(True), answers.count(None)
        if certain > 1 or certain + possible == 0:
            return False
        if certain != 1 or possible:
            return None
        return self.fits(choices[answers.index(True)], value, True) if closed else True

    def _array(self, node: Node, value: list[Any], closed: bool) -> Iterator[Answer]:
        yield node.min_items <= len(value) and (node.max_items is None or len(value) <= node.max_items)
        if node.unique:
            yield len({freeze(item) for item in value}) == len(value)
        for schema, item in zip(node.prefix, value, strict=False):
            yield self.valid(schema, item, closed)
        if node.items is not None:
            for item in value[len(node.prefix) :]:
                yield self.valid(node.items, item, closed)
        if node.contains is not None:
            answers = [self.valid(node.contains, item) for item in value]
            certain, possible = answers.count(True), answers.count(True) + answers.count(None)
            most = len(value) if node.max_contains is None else node.max_contains
            if possible < node.min_contains or certain > most:
                yield False
            else:
                yield True if certain >= node.min_contains and possible <= most else None
        if node.unevaluated_items is not None:
            met, uncertain = self._evaluated_items(node, value)
            for number, item in enumerate(value):
                if number not in met:
                    answer = self.valid(node.unevaluated_items, item, closed)
                    yield None if answer is False and uncertain else answer

    def _object(self, node: Node, value: dict[str, Any], closed: bool) -> Iterator[Answer]:
        yield node.fewest <= len(value) and (node.most is None or len(value) <= node.most)
        yield all(name in value for name in node.required)
        for name, needed in node.dependent.items():
            yield name not in value or all(other in value for other in needed)
        for name, inner in node.dependent_schemas.items():
            if name in value:
                yield self.fits(inner, value, closed)
        for name, item in value.items():
            if node.names is not None:
                yield self.valid(node.names, name)
            yield from self._property(node, name, item, closed)
        if node.unevaluated_properties is not None:
            met, uncertain = self._evaluated_names(node, value)
            for name, item in value.items():
                if name not in met:
                    answer = self.valid(node.unevaluated_properties, item, closed)
                    yield None if answer is False and uncertain else answer

    def _property(self, node: Node, name: str, item: Any, closed: bool) -> Iterator[Answer]:
        further: Answer = not (node.properties and name in node.properties)
        if node.properties and name in node.properties:
            yield self.valid(node.properties[name], item, closed)
        for pattern, schema in node.patterns.items():
            found = self._found(pattern, name)
            if found is not False:
                answer = self.valid(schema, item, closed)
                yield answer if found or answer else None
                further = False if found else further and None
        if node.additional is not None and further is not False:
            answer = self.valid(node.additional, item, closed)
            yield answer if further or answer else None

    def _evaluated_names(self, node: Node, value: dict[str, Any]) -> tuple[set[str], bool]:
        """The names that a schema and those within it have evaluated (core 2020-12, section 11.3), and any doubt."""
        met = {name for name in value if node.properties and name in node.properties}
        answers = {(name, pattern): self._found(pattern, name) for name in value for pattern in node.patterns}
        met |= {name for (name, _), found in answers.items() if found}
        uncertain = None in answers.values()
        if node.additional is not None:
            return set(value), False
        for inner in self._passed(node, value):
            if inner is None:
                uncertain = True
            else:
                more, doubt = self._evaluated_names(inner, value)
                if inner.unevaluated_properties is not None:
                    more = set(value)
                met |= more
                uncertain |= doubt
        return met, uncertain

    def _evaluated_items(self, node: Node, value: list[Any]) -> tuple[set[int], bool]:
        met = set(range(len(value) if node.items is not None else min(len(node.prefix), len(value))))
        uncertain = False
        if node.contains is not None and node.contains_evaluates:
            answers = [self.valid(node.contains, item) for item in value]
            met |= {number for number, answer in enumerate(answers) if answer}
            uncertain = None in answers
        for inner in self._passed(node, value):
            if inner is None:
                uncertain = True
            else:
                more, doubt = self._evaluated_items(inner, value)
                if inner.unevaluated_items is not None:
                    more = set(range(len(value)))
                met |= more
                uncertain |= doubt
        return met, uncertain

    def _passed(self, node: Node, value: Any) -> Iterator[Node | None]:
        """The schemas within a node whose annotations count: those that ``value`` is valid for. None for a doubt."""
        yield from node.all_of
        if node.opaque:
            yield None
        candidates = [*(node.any_of or ()), *(node.one_of or ())]
        if node.reference is not None:
            candidates.append(node.reference)
        if isinstance(value, dict):
            candidates += [inner for name, inner in node.dependent_schemas.items() if name in value]
        for inner in candidates:
            answer = self.fits(inner, value, False)
            if answer is not False:
                yield inner if answer else None
        if node.condition is not None:
            met = self.fits(node.condition, value, False)
            if met is None:
                yield None
            elif met:
                yield node.condition
                yield node.then
            else:
                yield node.otherwise


def _number(node: Node, value: Any) -> Iterator[Answer]:
    number = exact(value)
    if node.lower is not None:
        yield number > node.lower[0] if node.lower[1] else number >= node.lower[0]
    if node.upper is not None:
        yield number < node.upper[0] if node.upper[1] else number <= node.upper[0]
    if node.multiple is not None:
        yield _is_multiple(value, node)


def _is_multiple(value: Any, node: Node) -> Answer:
    assert node.multiple is not None
    answer = (exact(value) / node.multiple).denominator == 1
    if isinstance(value, int) and node.multiple.denominator == 1:
        return answer
    if abs(exact(value) / node.multiple) > _SURE:
        return None
    binary = float(value) / float(node.multiple)
    return answer if (binary == int(binary)) == answer else None
