"""Demands: what a schema wants, keyword by keyword, and in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from handoffs.contracts.compatibility.node import TRUE, Node
from handoffs.contracts.compatibility.values import as_json
from handoffs.contracts.text import printable

_TEXT = 120


@dataclass(frozen=True, slots=True)
class Demand:
    """One keyword of a schema: its name, a schema of it alone, and what it wants in words."""

    keyword: str
    part: Node
    wanted: str


def shown(value: Any) -> str:
    """A value as JSON text, cut to what a person reads."""
    return printable(json.dumps(value, ensure_ascii=False), _TEXT)


def demands(node: Node) -> Iterator[Demand]:
    """What a schema demands, keyword by keyword."""
    if node.types is not None:
        yield Demand("type", Node(types=node.types), " or ".join(sorted(node.types)))
    if node.values is not None:
        wanted = ", ".join(shown(value) for value in node.values[:6]) + (
            ", ..." if len(node.values) > 6 else ""
        )
        yield Demand(
            "enum",
            Node(values=node.values, frozen=node.frozen),
            ("one of " if len(node.values) > 1 else "") + wanted,
        )
    if node.format is not None:
        yield Demand("format", Node(format=node.format), f"the format {printable(node.format, 60)}")
    yield from _of_numbers(node)
    yield from _of_strings(node)
    yield from _of_counts(node)
    yield from _of_objects(node)
    yield from _of_arrays(node)
    yield from _combined(node)
    for what in node.opaque:
        yield Demand(
            what.partition(" ")[0],
            Node(opaque=(what,)),
            f"what {printable(what, 80)} says, which is not followed",
        )


def _of_numbers(node: Node) -> Iterator[Demand]:
    if node.lower is not None:
        number, strict = node.lower
        yield Demand(
            "exclusiveMinimum" if strict else "minimum",
            Node(lower=node.lower),
            f"a number {'above' if strict else 'from'} {_number(number)}",
        )
    if node.upper is not None:
        number, strict = node.upper
        yield Demand(
            "exclusiveMaximum" if strict else "maximum",
            Node(upper=node.upper),
            f"a number {'below' if strict else 'up to'} {_number(number)}",
        )
    if node.multiple is not None:
        yield Demand("multipleOf", Node(multiple=node.multiple), f"a multiple of {_number(node.multiple)}")


def _of_strings(node: Node) -> Iterator[Demand]:
    if node.shortest:
        yield Demand("minLength", Node(shortest=node.shortest), f"at least {node.shortest} characters")
    if node.longest is not None:
        yield Demand("maxLength", Node(longest=node.longest), f"at most {node.longest} characters")
    if node.pattern is not None:
        yield Demand("pattern", Node(pattern=node.pattern), f"the pattern {printable(node.pattern, 80)}")


def _of_counts(node: Node) -> Iterator[Demand]:
    if node.min_items:
        yield Demand("minItems", Node(min_items=node.min_items), f"at least {node.min_items} items")
    if node.max_items is not None:
        yield Demand("maxItems", Node(max_items=node.max_items), f"at most {node.max_items} items")
    if node.fewest:
        yield Demand("minProperties", Node(fewest=node.fewest), f"at least {node.fewest} properties")
    if node.most is not None:
        yield Demand("maxProperties", Node(most=node.most), f"at most {node.most} properties")


def _of_objects(node: Node) -> Iterator[Demand]:
    for name in node.required:
        yield Demand("required", Node(required=(name,)), f"the property {shown(name)}")
    for name, inner in (node.properties or {}).items():
        yield Demand("properties", Node(properties={name: inner}), "another value here")
    for pattern, inner in node.patterns.items():
        text = f"other values where a name has the pattern {printable(pattern, 80)}"
        yield Demand("patternProperties", Node(patterns={pattern: inner}), text)
    if node.additional is not None:
        known = dict.fromkeys(node.properties or (), TRUE)
        text = (
            "no further properties"
            if node.additional.always is False
            else "further properties of another kind"
        )
        part = Node(properties=known, patterns=dict.fromkeys(node.patterns, TRUE), additional=node.additional)
        yield Demand("additionalProperties", part, text)
    if node.names is not None:
        yield Demand("propertyNames", Node(names=node.names), "other names of properties")
    for name, needed in node.dependent.items():
        text = f"{', '.join(map(shown, needed))} beside {shown(name)}"
        yield Demand("dependentRequired", Node(dependent={name: needed}), text)
    for name, inner in node.dependent_schemas.items():
        yield Demand(
            "dependentSchemas",
            Node(dependent_schemas={name: inner}),
            f"something else beside {shown(name)}",
        )
    if node.unevaluated_properties is not None:
        yield Demand("unevaluatedProperties", node, "no such further properties")


def _of_arrays(node: Node) -> Iterator[Demand]:
    for at, inner in enumerate(node.prefix):
        yield Demand("prefixItems", Node(prefix=((TRUE,) * at + (inner,))), f"another item at index {at}")
    if node.items is not None:
        text = "no further items" if node.items.always is False else "other items"
        yield Demand("items", Node(prefix=(TRUE,) * len(node.prefix), items=node.items), text)
    if node.contains is not None:
        part = Node(contains=node.contains, min_contains=node.min_contains, max_contains=node.max_contains)
        most = "" if node.max_contains is None else f" and at most {node.max_contains}"
        yield Demand("contains", part, f"at least {node.min_contains}{most} of certain items")
    if node.unique:
        yield Demand("uniqueItems", Node(unique=True), "items that are all different")
    if node.unevaluated_items is not None:
        yield Demand("unevaluatedItems", node, "no such further items")


def _combined(node: Node) -> Iterator[Demand]:
    if node.any_of is not None:
        yield Demand("anyOf", Node(any_of=node.any_of), f"at least one of {len(node.any_of)} alternatives")
    if node.one_of is not None:
        yield Demand("oneOf", Node(one_of=node.one_of), f"exactly one of {len(node.one_of)} alternatives")
    if node.negated is not None:
        yield Demand("not", Node(negated=node.negated), "what its 'not' lets pass")
    if node.condition is not None:
        part = Node(condition=node.condition, then=node.then, otherwise=node.otherwise)
        yield Demand("if", part, "what its 'then' or 'else' says")


def _number(number: Fraction) -> str:
    value = as_json(number)
    return str(number if value is None else value)
