"""Chain: each entry of the journal has the digest of the one before it, so that none is changed, removed or inserted unnoticed. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from handoffs.contracts import strictjson

RUNS, ACTIONS = "run", "actions"
"""The kinds of chains: one of each run's history, and one of all operator actions."""

STARTS = "start"
"""The kind of what is no chain: after which number of a table its entries are chained. Those before are of an older release."""

CONTENT: dict[str, tuple[str, ...]] = {
    RUNS: ("source", "run", "flow", "kind", "at", "entry", "namespace"),
    ACTIONS: ("at", "who", "action", "run", "letter", "note", "namespace"),
}
"""The columns that an entry's digest is of, by the kind of its chain; besides, its place and the digest before it."""

_FIRST = ""


class Head(NamedTuple):
    """Where a chain ends: how many entries it has, and the digest of the last (SHA-256, 64 hexadecimal digits; empty of none)."""

    sequence: int = 0
    digest: str = _FIRST


def linked(row: Mapping[str, Any], head: Head) -> tuple[dict[str, Any], Head]:
    """A row, of its content and nothing else, with its place in the chain after ``head``; and the chain's new head."""
    placed = {**row, "sequence": head.sequence + 1, "previous": head.digest}
    placed["digest"] = made = _digest(placed)
    return placed, Head(head.sequence + 1, made)


def digest(kind: str, row: Mapping[Any, Any]) -> str:
    """The digest of an entry: the SHA-256 of its content, its place and the digest before it, as an object in canonical JSON (sorted
    names, no blanks, UTF-8). Empty where a column holds what no entry has."""
    content = {name: row[name] for name in (*CONTENT[kind], "sequence", "previous")}
    if not all(isinstance(value, int if name == "sequence" else str) for name, value in content.items()):
        return ""
    return _digest(content)


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(strictjson.canonical(content).encode("utf-8", "surrogatepass")).hexdigest()
