"""Draft 7: JSON Schema 2020-12, as Pydantic writes it, in the dialect of AsyncAPI's Schema Object."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from handoffs.coordinator.docs.fields import is_sensitive
from handoffs.coordinator.docs.text import line, prose

_ONE = frozenset({"additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then"})
_MANY = frozenset({"allOf", "anyOf", "oneOf"})
_NAMED = frozenset({"patternProperties", "properties"})
_VALUES = frozenset(
    {
        "exclusiveMaximum", "exclusiveMinimum", "format", "maxItems", "maxLength", "maxProperties", "maximum", "minItems",
        "minLength", "minProperties", "minimum", "multipleOf", "pattern", "required", "type", "uniqueItems",
        "x-key", "x-sensitive", "x-untrusted",
    }
)  # fmt: skip
_SHOWN = frozenset({"const", "enum"})
"""Values that a sensitive field keeps to itself. Examples are never shown."""


def components(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema as components: itself as ``name``, each of its definitions as ``name.<definition>``.

    Only what the dialect knows is kept. What it has another word for is rewritten, and of a sensitive field no value is
    shown: no default, no example, no constant.
    """
    definitions = schema.get("$defs", {})
    made = {name: _walked(schema, name)}
    made.update(
        {
            _inner(name, word): _walked(part, name)
            for word, part in definitions.items()
            if isinstance(part, Mapping)
        }
    )
    return dict(sorted(made.items()))


def _inner(name: str, definition: str) -> str:
    return f"{name}.{re.sub(r'[^A-Za-z0-9_.-]', '_', definition)}"


def _walked(part: Any, name: str) -> Any:
    """A schema in the dialect. One case a kind of keyword: a table of them would be no clearer."""
    if not isinstance(part, Mapping):
        return part if isinstance(part, bool) else True
    reference = part.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/$defs/"):
        target = {"$ref": f"#/components/schemas/{_inner(name, reference.removeprefix('#/$defs/'))}"}
        beside = _walked({word: value for word, value in part.items() if word != "$ref"}, name)
        return (
            {"allOf": [target], **beside} if beside else target
        )  # draft 7 ignores what stands beside a $ref
    made: dict[str, Any] = {}
    secret = is_sensitive(part)
    for word, value in part.items():
        if word in _VALUES or (word in _SHOWN and not secret):
            made[word] = value
        elif word in _ONE and not (word == "items" and "prefixItems" in part):
            made[word] = _walked(value, name)
        elif word in _MANY:
            made[word] = [_walked(one, name) for one in value]
        elif word in _NAMED:
            made[word] = {key: _walked(one, name) for key, one in value.items()}
        elif word == "prefixItems":
            made["items"] = [_walked(one, name) for one in value]
            made["additionalItems"] = _walked(part.get("items", True), name)
        elif word == "title":
            made[word] = line(value)
        elif word == "description":
            made[word] = prose(line(value))
        elif word == "default" and not secret and _plain(value):
            made[word] = value
    return dict(sorted(made.items()))


def _plain(value: Any) -> bool:
    """Whether a default is one value: what is within an object or a list may be sensitive."""
    return value is None or isinstance(value, (str, int, float)) or value in ([], {})
