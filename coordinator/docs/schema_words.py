"""Schema words: the type and the bounds of a JSON Schema, as a person would say them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from handoffs.contracts.text import printable

_TYPES = {
    "string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "null": "nothing",
    "array": "list", "object": "object",
}  # fmt: skip
_FORMATS = {
    "date-time": "date and time", "date": "date", "time": "time of day", "duration": "duration", "uuid": "UUID",
    "email": "e-mail address", "uri": "URI", "password": "text", "binary": "bytes", "byte": "bytes, base64",
    "ipv4": "IPv4 address", "ipv6": "IPv6 address",
}  # fmt: skip
_MOST_VALUES = 40
_DEEPEST = 6


_EXACT = r"^[-+]?[0-9]+(\.[0-9]+)?$"
"""What :data:`handoffs.contracts.numbers.ExactDecimal` looks like in a schema."""


def resolved(schema: Any, definitions: Mapping[str, Any]) -> dict[str, Any]:
    """The schema that a ``$ref`` into ``$defs`` leads to, with what stands beside the ``$ref``; itself where there is
    none, and empty where it is no object."""
    seen: set[str] = set()
    while isinstance(schema, Mapping) and isinstance(schema.get("$ref"), str) and schema["$ref"] not in seen:
        seen.add(schema["$ref"])
        target = definitions.get(schema["$ref"].removeprefix("#/$defs/"), {})
        beside = {word: value for word, value in schema.items() if word != "$ref"}
        schema = {**target, **beside} if isinstance(target, Mapping) else beside
    return dict(schema) if isinstance(schema, Mapping) else {}


def branches(schema: Mapping[str, Any]) -> list[Any]:
    """The schemas of which an instance fits one, or none where there is no choice."""
    found = schema.get("anyOf") or schema.get("oneOf") or []
    return found if isinstance(found, list) else []


def kind(schema: Any, definitions: Mapping[str, Any], *, hidden: bool = False, depth: int = 0) -> str:
    """The type in words. ``hidden``: show no value of an enumeration."""
    found = resolved(schema, definitions)
    if depth > _DEEPEST:
        return "any value"
    if "const" in found or "enum" in found:
        return _one_of([found["const"]] if "const" in found else found["enum"], hidden)
    types = found.get("type")
    choice = branches(found)
    if not choice and isinstance(types, list):
        choice = [{**found, "type": one} for one in types]
    if choice:
        return _either([kind(part, definitions, hidden=hidden, depth=depth + 1) for part in choice])
    inner = found.get("items" if types == "array" else "additionalProperties")
    if types in ("array", "object") and isinstance(inner, Mapping) and "prefixItems" not in found:
        whole = "list of" if types == "array" else "object: by name,"
        return f"{whole} {kind(inner, definitions, hidden=hidden, depth=depth + 1)}"
    return _plain(found)


def bounds(schema: Any, definitions: Mapping[str, Any]) -> tuple[str, ...]:
    """What an instance must be besides its type, each in a few words; a pattern as ``matches PATTERN``."""
    found = resolved(schema, definitions)
    limits: list[str] = []
    for part in branches(found):
        limits += bounds(part, definitions)
    limits += _span(found.get("minLength"), found.get("maxLength"), "character")
    limits += _span(found.get("minItems"), found.get("maxItems"), "entry")
    limits += _span(found.get("minProperties"), found.get("maxProperties"), "name")
    limits += _range(found)
    if "multipleOf" in found:
        limits.append(f"a multiple of {found['multipleOf']}")
    if found.get("uniqueItems") is True:
        limits.append("no two alike")
    if isinstance(found.get("pattern"), str) and found["pattern"] != _EXACT:
        limits.append(f"matches {printable(found['pattern'], 300)}")
    return tuple(dict.fromkeys(limits))


def compact(value: Any) -> str:
    """A value as JSON in one line that is safe to print."""
    return printable(json.dumps(value, ensure_ascii=False, default=str), 200)


def _plain(found: Mapping[str, Any]) -> str:
    """A type that has none within it."""
    text_format = found.get("format")
    if "prefixItems" in found:
        return f"list of {len(found['prefixItems'])} given places"
    if found.get("pattern") == _EXACT:
        return "decimal number, as text"
    if found.get("type") == "string" and isinstance(text_format, str):
        return _FORMATS.get(text_format, f"text ({printable(text_format, 40)})")
    return _TYPES.get(str(found.get("type")), "any value")


def _one_of(values: list[Any], hidden: bool) -> str:
    if hidden:
        return "one of a few values"
    shown = [compact(value) for value in values[:_MOST_VALUES]]
    if len(values) > _MOST_VALUES:
        shown.append(f"{len(values) - _MOST_VALUES} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} or {shown[-1]}"


def _either(kinds: list[str]) -> str:
    known = list(dict.fromkeys(kinds))
    known.sort(key=lambda word: word == "nothing")
    return " or ".join(known)


def _span(least: Any, most: Any, noun: str) -> list[str]:
    nouns = {"entry": "entries"}.get(noun, f"{noun}s")
    if least and most is not None:
        return [f"{least} {noun if least == 1 else nouns}" if least == most else f"{least} to {most} {nouns}"]
    if least:
        return [f"at least {least} {noun if least == 1 else nouns}"]
    return [] if most is None else [f"at most {most} {noun if most == 1 else nouns}"]


def _range(found: Mapping[str, Any]) -> list[str]:
    if "minimum" in found and "maximum" in found:
        return [f"{found['minimum']} to {found['maximum']}"]
    words = {
        "minimum": "at least", "exclusiveMinimum": "more than", "maximum": "at most", "exclusiveMaximum": "less than",
    }  # fmt: skip
    return [f"{word} {found[keyword]}" for keyword, word in words.items() if keyword in found]
