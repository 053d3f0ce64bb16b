"""Redaction: marks in a schema what a registry says is sensitive."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any

from handoffs.coordinator.docs.schema_words import branches

Schema = dict[str, Any]


def marked(schema: Schema, pointers: Iterable[str]) -> Schema:
    """A copy of ``schema`` in which each place that a JSON pointer (``*`` for any item) leads to says ``x-sensitive``.

    A definition that is sensitive in one place is so in all.
    """
    made = copy.deepcopy(schema)
    for pointer in pointers:
        steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
        for place in _places(made, steps, made.get("$defs", {}), frozenset()):
            place["x-sensitive"] = True
    return made


def _places(part: Any, steps: list[str], definitions: Schema, above: frozenset[str]) -> Iterator[Schema]:
    if not isinstance(part, dict):
        return
    reference = part.get("$ref")
    if isinstance(reference, str) and reference not in above:
        target = definitions.get(reference.removeprefix("#/$defs/"))
        yield from _places(target, steps, definitions, above | {reference})
    elif not steps:
        yield part
    for inner in (*branches(part), *part.get("allOf", ())):
        yield from _places(inner, steps, definitions, above)
    if steps:
        for inner in _inner(part, steps[0]):
            yield from _places(inner, steps[1:], definitions, frozenset())


def _inner(part: Schema, step: str) -> Iterator[Any]:
    """The schemas of what stands at one step of a pointer."""
    if step in part.get("properties", {}):
        yield part["properties"][step]
    if step == "*":
        yield part.get("items")
        yield part.get("additionalProperties")
        yield from part.get("prefixItems", ())
    elif step.isdecimal() and int(step) < len(part.get("prefixItems", ())):
        yield part["prefixItems"][int(step)]
