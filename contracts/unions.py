"""Unions: how many members of one lead back to it, so that Pydantic tries several at each level of what is nested in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

_OBJECTS = frozenset({"model", "model-fields", "typed-dict", "dataclass", "dataclass-args", "dict"})
_ARRAYS = frozenset({"list", "set", "frozenset", "tuple", "generator"})
_INNER = ("schema", "json_schema", "lax_schema")
_NO_SCHEMAS = frozenset(
    {"cls", "config", "default", "metadata", "ref", "serialization", "strict_schema", "python_schema"}
)


class Ambiguity(NamedTuple):
    """How often an object, and an array, may be tried at each level; 1 where no union leads back to itself more than once."""

    objects: int = 1
    arrays: int = 1


def ambiguity(schema: Any) -> Ambiguity:
    """The ambiguity of a core schema of Pydantic's: of the union in it that is tried most often."""
    definitions = dict(_definitions(schema))
    reached = _reached(definitions)
    most = Ambiguity()
    for name, definition in definitions.items():
        for union in _parts(definition, "union"):
            kinds = [
                _kind(choice, definitions) for choice in _choices(union) if _leads(choice, name, reached)
            ]
            most = Ambiguity(
                max(most.objects, sum(kind != "array" for kind in kinds)),
                max(most.arrays, sum(kind != "object" for kind in kinds)),
            )
    return most


def _definitions(schema: Any) -> Iterator[tuple[str, Any]]:
    for part in _nodes(schema):
        if part.get("type") == "definitions":
            yield from ((str(inner["ref"]), inner) for inner in part["definitions"] if "ref" in inner)


def _nodes(schema: Any) -> Iterator[Mapping[str, Any]]:
    """Every schema in a schema, itself among them."""
    pending = [schema]
    while pending:
        part = pending.pop()
        if isinstance(part, Mapping):
            yield part
            pending += [inner for word, inner in part.items() if word not in _NO_SCHEMAS]
        elif isinstance(part, (list, tuple)):
            pending += part


def _parts(schema: Any, kind: str) -> Iterator[Mapping[str, Any]]:
    return (part for part in _nodes(schema) if part.get("type") == kind)


def _named(schema: Any) -> set[str]:
    """The definitions that a schema refers to."""
    return {str(part["schema_ref"]) for part in _parts(schema, "definition-ref")}


def _reached(definitions: Mapping[str, Any]) -> dict[str, set[str]]:
    """To which definitions each leads, at whatever distance."""
    reached = {name: _named(definition) for name, definition in definitions.items()}
    grown = True
    while grown:
        grown = False
        for name, names in reached.items():
            further = names.union(*(reached.get(one, ()) for one in names))
            grown = grown or further != names
            reached[name] = further
    return reached


def _choices(union: Mapping[str, Any]) -> Iterator[Any]:
    """The members of a union, those of unions directly in it among them."""
    for choice in union["choices"]:
        inner = choice[0] if isinstance(choice, tuple) else choice
        if inner.get("type") == "union":
            yield from _choices(inner)
        else:
            yield inner


def _leads(choice: Any, name: str, reached: Mapping[str, set[str]]) -> bool:
    named = _named(choice)
    return name in named or any(name in reached.get(one, ()) for one in named)


def _kind(choice: Any, definitions: Mapping[str, Any]) -> str:
    """Whether only an object, or only an array, can be a value of a schema; empty where both can, or nobody knows."""
    seen: set[str] = set()
    while isinstance(choice, Mapping):
        kind = str(choice.get("type"))
        if kind in _OBJECTS or kind == "tagged-union":
            return "object"
        if kind in _ARRAYS:
            return "array"
        if kind == "definition-ref":
            name = str(choice["schema_ref"])
            if name in seen:
                return ""
            seen.add(name)
            choice = definitions.get(name)
        elif kind == "chain":
            choice = choice["steps"][0]
        else:
            choice = next((choice[word] for word in _INNER if word in choice), None)
    return ""
