"""Chain: each entry of the journal has the digest of the one before it, so that none is changed, removed or inserted unnoticed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from json.encoder import encode_basestring
from typing import Any, NamedTuple

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


def linked(kind: str, row: Mapping[str, Any], head: Head) -> tuple[dict[str, Any], Head]:
    """A row with its place in the chain after ``head``, and the chain's new head."""
    placed = {**row, "sequence": head.sequence + 1, "previous": head.digest}
    placed["digest"] = made = _digest(kind, placed)
    return placed, Head(head.sequence + 1, made)


def digest(kind: str, row: Mapping[Any, Any]) -> str:
    """The digest of an entry: the SHA-256 of its content, its place and the digest before it, as an object in canonical JSON (sorted
    names, no blanks, UTF-8). Empty where a column holds what no entry has."""
    texts = all(isinstance(row[name], str) for name in (*CONTENT[kind], "previous"))
    return _digest(kind, row) if texts and type(row["sequence"]) is int else ""


def _digest(kind: str, row: Mapping[Any, Any]) -> str:
    """The digest of a row. The object is put together here and not by :mod:`json`, which takes several times as long."""
    names, form = _FORMS[kind]
    text = form.format(*[encode_basestring(row[name]) for name in names], sequence=row["sequence"])
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _form(kind: str) -> tuple[tuple[str, ...], str]:
    """The columns that are texts, in the order in which they stand in the object; and the object, with a place for each."""
    names = sorted((*CONTENT[kind], "previous", "sequence"))
    members = ",".join(f'"{name}":{{{"sequence" if name == "sequence" else ""}}}' for name in names)
    return tuple(name for name in names if name != "sequence"), f"{{{{{members}}}}}"


_FORMS = {kind: _form(kind) for kind in CONTENT}
