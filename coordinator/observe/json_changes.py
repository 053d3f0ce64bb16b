"""JSON changes: in which places two JSON values differ. Pure, and bounded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import Any, Literal

MOST = 100
"""So many changes are told."""

_DEEPEST = 60
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Change:
    """A place (``lines.3.price``; empty: the whole) where they differ: it was ``added``, ``removed``, or ``changed``."""

    path: str
    kind: Literal["added", "removed", "changed"]
    left: Any = None
    right: Any = None

    def to_json(self) -> dict[str, Any]:
        """As JSON values, without the side that has nothing."""
        told: dict[str, Any] = {"path": self.path, "kind": self.kind}
        told |= {"left": self.left} if self.kind != "added" else {}
        return told | ({"right": self.right} if self.kind != "removed" else {})


def changes(left: Any, right: Any, most: int = MOST) -> tuple[Change, ...]:
    """Where ``left`` and ``right`` differ, in the order of ``left``; the first ``most`` places."""
    return tuple(islice(_changes(left, right, "", 0), most))


def _changes(left: Any, right: Any, path: str, depth: int) -> Iterator[Change]:
    if left is _ABSENT:
        yield Change(path, "added", right=right)
    elif right is _ABSENT:
        yield Change(path, "removed", left)
    elif depth < _DEEPEST and isinstance(left, Mapping) and isinstance(right, Mapping):
        for name in dict.fromkeys((*left, *right)):
            yield from _changes(left.get(name, _ABSENT), right.get(name, _ABSENT), _in(path, name), depth + 1)
    elif depth < _DEEPEST and isinstance(left, list) and isinstance(right, list):
        for number, (one, other) in enumerate(zip_longest(left, right, fillvalue=_ABSENT)):
            yield from _changes(one, other, _in(path, number), depth + 1)
    elif left != right or isinstance(left, bool) != isinstance(right, bool):
        yield Change(path, "changed", left, right)


def _in(path: str, name: object) -> str:
    return f"{path}.{name}" if path else str(name)
