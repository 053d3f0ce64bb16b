"""Judgeable: whether all that a schema says can be judged where there is no class: by itself, and by an engine that never backtracks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from handoffs.contracts.compatibility.document import escaped
from handoffs.contracts.compatibility.engine import judges
from handoffs.contracts.schema import Schema
from handoffs.contracts.text import printable

_NAMED = frozenset({"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"})
_VALUES = frozenset({"const", "default", "enum", "examples"})
_ELSEWHERE = frozenset(
    {"$anchor", "$dynamicAnchor", "$dynamicRef", "$id", "$recursiveAnchor", "$recursiveRef", "$schema"}
)


def unjudged(schema: Schema) -> Iterator[str]:
    """What in a schema cannot be judged, in a line each, with its place as a JSON pointer."""
    pending: list[tuple[str, Any]] = [("", schema)]
    while pending:
        place, part = pending.pop()
        if isinstance(part, list):
            pending += [(f"{place}/{number}", inner) for number, inner in enumerate(part)]
        elif isinstance(part, dict):
            yield from (f"{place}/{escaped(word)} {why}" for word, why in _wrong(schema, part))
            for word, inner in part.items():
                if word in _NAMED and isinstance(inner, dict):
                    pending += [(f"{place}/{word}/{escaped(name)}", below) for name, below in inner.items()]
                elif word not in _VALUES:
                    pending.append((f"{place}/{escaped(word)}", inner))


def _wrong(whole: Schema, part: dict[str, Any]) -> Iterator[tuple[str, str]]:
    reference = part.get("$ref")
    if isinstance(reference, str) and not _is_within(whole, reference):
        yield (
            "$ref",
            f"refers to {printable(reference, 120)}, which is not in the schema, and nothing is fetched",
        )
    for word in sorted(_ELSEWHERE & part.keys()):
        yield word, "is resolved by rules that readers do not share"
    patterns = [
        ("pattern", part.get("pattern")),
        *(("patternProperties", name) for name in part.get("patternProperties", {})),
    ]
    for word, pattern in patterns:
        if isinstance(pattern, str) and not judges(pattern):
            yield word, f"has {printable(pattern, 120)}, which Pydantic's engine (Rust's regex) does not take"
    if "unevaluatedProperties" in part and "patternProperties" in str(whole):
        yield "unevaluatedProperties", "is not judged together with patternProperties"


def _is_within(whole: Any, reference: str) -> bool:
    if reference != "#" and not reference.startswith("#/"):
        return False
    for token in reference.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(whole, list) and name.isdecimal() and int(name) < len(whole):
            whole = whole[int(name)]
        elif isinstance(whole, dict) and name in whole:
            whole = whole[name]
        else:
            return False
    return True
