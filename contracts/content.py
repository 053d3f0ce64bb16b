"""Content: what data says, in one spelling for equal values, where there is only the schema of its version and no class.

:meth:`handoffs.contracts.contract.Contract.to_comparable` is the same for the class. Both give the same for what our writers write, so
that workers of two builds agree on whether a message says something else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from handoffs.contracts import spelling, strictjson
from handoffs.contracts.numbers import EXACT_PATTERN
from handoffs.contracts.schema import Schema

_TELLING = ('"uniqueItems":true', '"format":', EXACT_PATTERN.replace("\\", "\\\\"), '"type":"number"')
_DEEPEST = 64

Fits = Callable[[Schema, Any], bool]
"""Whether data is valid for a part of the schema."""


class Content:
    """The content of data of one version. Safe for threads."""

    def __init__(self, reads: Schema, fits: Fits) -> None:
        """``reads`` is in normal form."""
        self._schema = reads
        self._definitions: dict[str, Schema] = reads.get("$defs", {})
        self._fits = fits
        text = strictjson.canonical(reads)
        self._telling = any(word in text for word in _TELLING) or "{}" in text

    def of(self, data: dict[str, Any]) -> Any:
        """The same data, with members of sets in order, moments in UTC, exact decimals without the zeros that say nothing."""
        return self._part(self._schema, data, 0) if self._telling else data

    def _part(self, schema: Any, data: Any, depth: int) -> Any:
        while isinstance(schema, dict) and "$ref" in schema:
            schema = self._definitions.get(str(schema["$ref"]).removeprefix("#/$defs/"))
        if depth > _DEEPEST or not isinstance(schema, dict):
            return data
        if not schema:
            return _loose(data)
        for inner in schema.get("allOf", ()):
            data = self._part(inner, data, depth + 1)
        branches = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
        if branches:
            return self._branch(branches, data, depth)
        if isinstance(data, list):
            return self._list(schema, data, depth)
        if isinstance(data, dict):
            return self._object(schema, data, depth)
        return _scalar(schema, data)

    def _branch(self, branches: list[Any], data: Any, depth: int) -> Any:
        if isinstance(data, (int, float)) and not isinstance(data, bool):
            kinds = {branch.get("type") for branch in branches if isinstance(branch, dict)}
            return _loose(data) if {"integer", "number"} <= kinds else _scalar({}, data)
        fitting = (branch for branch in branches if self._fits(branch, data))
        return self._part(next(fitting, None), data, depth + 1)

    def _list(self, schema: Schema, data: list[Any], depth: int) -> list[Any]:
        prefix = schema.get("prefixItems", ())
        items = schema.get("items", None if prefix or "items" in schema else {})
        made = [
            self._part(prefix[number] if number < len(prefix) else items, item, depth + 1)
            for number, item in enumerate(data)
        ]
        if schema.get("uniqueItems") is not True:
            return made
        texts = {strictjson.canonical(item): item for item in made}
        return [texts[text] for text in sorted(texts)]

    def _object(self, schema: Schema, data: dict[str, Any], depth: int) -> dict[str, Any]:
        declared = schema.get("properties", {})
        further = schema.get("additionalProperties", {} if "properties" not in schema else None)
        names = schema.get("propertyNames", {})
        return {
            (name if name in declared else str(_scalar(names, name))): self._part(
                declared.get(name, further), inner, depth + 1
            )
            for name, inner in data.items()
        }


def _scalar(schema: Schema, data: Any) -> Any:
    if isinstance(data, str):
        if schema.get("pattern") == EXACT_PATTERN:
            return spelling.decimal(data)
        spelt = spelling.BY_FORMAT.get(str(schema.get("format", "")))
        return spelt(data) if spelt is not None else data
    if isinstance(data, float):
        return data or 0.0
    return float(data) if schema.get("type") == "number" and type(data) is int else data


def _loose(data: Any) -> Any:
    """Where nothing is said of the type, 1 is 1.0."""
    if isinstance(data, list):
        return [_loose(item) for item in data]
    if isinstance(data, dict):
        return {name: _loose(inner) for name, inner in data.items()}
    return spelling.number(data)
