"""Backtracking: whether Pydantic would give a pattern of a model to Python's own engine, which a short text can keep busy for years."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_RUST = "rust-regex"
_NO_SCHEMAS = frozenset({"cls", "config", "default", "metadata", "ref", "serialization"})


def backtracking(schema: Any) -> Iterator[str]:
    """The patterns in a core schema of Pydantic's that are for an engine that backtracks: those that were compiled with ``re``, and
    those of a model whose ``regex_engine`` is ``python-re``."""
    for part, engine in _parts(schema):
        pattern = part["pattern"]
        if isinstance(pattern, re.Pattern):
            yield pattern.pattern
        elif part.get("regex_engine", engine) != _RUST:
            yield pattern


def texts_of(schema: Any) -> Iterator[tuple[str, int | None]]:
    """The patterns in a core schema that are for Pydantic's usual engine, each with the longest text that it is asked about; None:
    any."""
    for part, engine in _parts(schema):
        if isinstance(part["pattern"], str) and part.get("regex_engine", engine) == _RUST:
            yield part["pattern"], part.get("max_length")


def _parts(schema: Any) -> Iterator[tuple[Mapping[str, Any], str]]:
    """The schemas that have a pattern, each with the engine of the model that it is in."""
    pending: list[tuple[Any, str]] = [(schema, _RUST)]
    while pending:
        part, engine = pending.pop()
        if isinstance(part, Mapping):
            engine = (part.get("config") or {}).get("regex_engine", _RUST) if "config" in part else engine
            if isinstance(part.get("pattern"), (str, re.Pattern)):
                yield part, engine
            pending += [(inner, engine) for word, inner in part.items() if word not in _NO_SCHEMAS]
        elif isinstance(part, (list, tuple)):
            pending += [(inner, engine) for inner in part]
