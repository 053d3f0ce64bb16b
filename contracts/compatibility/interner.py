"""Interner: one node for equal schemas."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Final

from handoffs.contracts.compatibility.node import FALSE, TRUE, Node


class Interner:
    """Keeps one node for equal schemas, of whichever document, so that they are recognised by identity."""

    def __init__(self) -> None:
        self._nodes: dict[tuple[Any, ...], Node] = {}

    def kept(self, node: Node) -> Node:
        """The first node that is equal to ``node``."""
        if node.always is not None:
            return TRUE if node.always else FALSE
        key = tuple(_hashable(name, getattr(node, name)) for name in _KEY)
        if node.values == ():
            return FALSE
        if key == _BARE:
            return TRUE
        return self._nodes.setdefault(key, node)


_KEY: Final = tuple(part.name for part in fields(Node) if part.name != "values")


def _hashable(name: str, value: Any) -> Any:
    if name == "reference":
        return None if value is None else id(value)
    if isinstance(value, dict):
        return frozenset(value.items())
    if name == "properties" and value is None:
        return None
    return value


_BARE: Final = tuple(_hashable(name, getattr(Node(), name)) for name in _KEY)
