"""Failing: the ways in which an instance of one JSON type can fail a schema."""

from __future__ import annotations

from fractions import Fraction

from handoffs.contracts.compatibility.branch import Choice, SomeItem, SomeProperty
from handoffs.contracts.compatibility.formats import speaks_of
from handoffs.contracts.compatibility.node import Node
from handoffs.contracts.compatibility.state import State
from handoffs.contracts.compatibility.values import freeze, type_of

ONE = Fraction(1)
_ALL = 10**9


def not_(node: Node) -> State:
    """Instances that ``node`` refuses."""
    return State(negative=frozenset({node}))


def ways_to_fail(node: Node, kind: str) -> list[Choice] | None:
    """Choices of which one must hold where ``node`` refuses an instance of type ``kind``: none where it cannot refuse.

    None stands for a node that refuses every such instance. The choices may cover more instances than fail, never fewer.
    """
    if node.always is not None:
        return [] if node.always else None
    if not node.allows(kind):
        return None
    ways: list[Choice] = []
    if node.values is not None:
        members = tuple(value for value in node.values if type_of(value) == kind)
        if not members:
            return None
        simple = ("excluded", frozenset(freeze(value) for value in members))
        ways.append((("unlike", members) if kind in ("array", "object") else simple,))
    if node.format is not None and speaks_of(node.format, kind):
        ways.append((("not_format", node.format),))
    ways += [(("not_opaque", what),) for what in node.opaque]
    ways += _BY_KIND[kind](node)
    ways += _combined(node)
    return ways


def _combined(node: Node) -> list[Choice]:
    ways: list[Choice] = [(("neg", inner),) for inner in node.all_of]
    if node.reference is not None:
        ways.append((("neg", node.reference),))
    if node.negated is not None:
        ways.append((("pos", node.negated, False),))
    if node.any_of is not None:
        ways.append(tuple(("neg", inner) for inner in node.any_of))
    if node.one_of is not None:
        ways.append((("not_one", node.one_of),))
    if node.condition is not None and node.then is not None and node.otherwise is not None:
        ways.append((("pos", node.condition, False), ("neg", node.then)))
        ways.append((("neg", node.condition), ("neg", node.otherwise)))
    return ways


def _number(node: Node) -> list[Choice]:
    ways: list[Choice] = []
    if node.integral:
        ways.append((("not_multiple", ONE),))
    if node.lower is not None:
        ways.append((("upper", node.lower[0], not node.lower[1]),))
    if node.upper is not None:
        ways.append((("lower", node.upper[0], not node.upper[1]),))
    if node.multiple is not None:
        ways.append((("not_multiple", node.multiple),))
    return ways


def _string(node: Node) -> list[Choice]:
    ways: list[Choice] = []
    if node.shortest:
        ways.append((("longest", node.shortest - 1),))
    if node.longest is not None:
        ways.append((("shortest", node.longest + 1),))
    if node.pattern is not None:
        ways.append((("not_pattern", node.pattern),))
    return ways


def _array(node: Node) -> list[Choice]:
    ways: list[Choice] = []
    if node.min_items:
        ways.append((("max_items", node.min_items - 1),))
    if node.max_items is not None:
        ways.append((("min_items", node.max_items + 1),))
    if node.unique:
        ways.append((("repeated",),))
    ways += [
        (("item", SomeItem(not_(inner), at, at)),) for at, inner in enumerate(node.prefix) if not inner.always
    ]
    if node.items is not None and not node.items.always:
        ways.append((("item", SomeItem(not_(node.items), len(node.prefix))),))
    if node.contains is not None:
        if node.min_contains:
            ways.append((("at_most", node.min_contains - 1, node.contains),))
        if node.max_contains is not None:
            ways.append((("at_least", node.max_contains + 1, node.contains),))
    if node.unevaluated_items is not None and not node.unevaluated_items.always:
        first = surely_evaluated_items(node)
        if first < _ALL:
            ways.append((("item", SomeItem(not_(node.unevaluated_items), first)),))
    return ways


def _object(node: Node) -> list[Choice]:
    ways: list[Choice] = [(("absent", name),) for name in node.required]
    if node.fewest:
        ways.append((("most", node.fewest - 1),))
    if node.most is not None:
        ways.append((("fewest", node.most + 1),))
    ways += _properties(node)
    for name, needed in node.dependent.items():
        ways += [(("required", name), ("absent", other)) for other in needed]
    ways += [(("required", name), ("neg", inner)) for name, inner in node.dependent_schemas.items()]
    if node.unevaluated_properties is not None and not node.unevaluated_properties.always:
        surely = surely_evaluated_names(node)
        if surely is not None:
            rest = SomeProperty(not_(node.unevaluated_properties), unmatched=surely[1], outside=surely[0])
            ways.append((("property", rest),))
    return ways


def _properties(node: Node) -> list[Choice]:
    """A property, or its name, is not as it must be."""
    ways: list[Choice] = [
        (("property", SomeProperty(not_(inner), name)),)
        for name, inner in (node.properties or {}).items()
        if not inner.always
    ]
    for pattern, inner in node.patterns.items():
        if not inner.always:
            ways.append((("property", SomeProperty(not_(inner), matching=(pattern,))),))
    if node.additional is not None and not node.additional.always:
        further = SomeProperty(
            not_(node.additional), unmatched=tuple(node.patterns), outside=frozenset(node.properties or ())
        )
        ways.append((("property", further),))
    if node.names is not None and not node.names.always:
        ways.append((("property", SomeProperty(State(), naming=not_(node.names))),))
    return ways


def _scalar(_node: Node) -> list[Choice]:
    return []


_BY_KIND = {
    "null": _scalar, "boolean": _scalar, "number": _number, "string": _string, "array": _array, "object": _object,
}  # fmt: skip


def surely_evaluated_names(node: Node) -> tuple[frozenset[str], tuple[str, ...]] | None:
    """Names and patterns that a node evaluates whatever else the instance holds; None where it evaluates all."""
    names, patterns = set(node.properties or ()), list(node.patterns)
    if node.additional is not None:
        return None
    for inner in (*node.all_of, *((node.reference,) if node.reference is not None else ())):
        more = surely_evaluated_names(inner)
        if more is None or inner.unevaluated_properties is not None:
            return None
        names |= more[0]
        patterns += more[1]
    return frozenset(names), tuple(patterns)


def surely_evaluated_items(node: Node) -> int:
    """How many of the first items a node evaluates whatever else the instance holds."""
    count = _ALL if node.items is not None else len(node.prefix)
    for inner in (*node.all_of, *((node.reference,) if node.reference is not None else ())):
        count = max(count, _ALL if inner.unevaluated_items is not None else surely_evaluated_items(inner))
    return count


def possibly_evaluated(node: Node) -> list[Node]:
    """A node and every schema within it that may evaluate properties or items of the same instance."""
    found, pending = [], [node]
    while pending:
        current = pending.pop()
        if current not in found:
            found.append(current)
            pending.extend(inner for inner in current.applied() if inner is not current.negated)
    return found
