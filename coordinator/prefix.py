"""Prefix: one of many ids by how it begins, as people type it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from handoffs.contracts.errors import CoordinationError
from handoffs.contracts.text import is_plain, printable
from handoffs.coordinator.errors import AmbiguousId

LEAST = 4
"""With how many characters an id must at least be begun."""

_SHOWN = 5
"""How many candidates an error names."""


def the_one(
    noun: str,
    prefix: str,
    beginning_with: Callable[[str, int], Iterable[str]],
    unknown: type[CoordinationError],
    command: str,
) -> str:
    """The one id that begins with ``prefix``, of the ids of what is called ``noun``. ``beginning_with`` gives the ids that begin so, at most
    as many as it is told; ``command`` lists them all.

    Raises :class:`~handoffs.coordinator.errors.AmbiguousId` where several do, and ``unknown`` where none does, or ``prefix`` has fewer than
    four characters. Both name candidates.
    """
    shown, remedy = printable(prefix, 80), f"list them: {command}"
    if not is_plain(prefix) or len(prefix) < LEAST:
        short = is_plain(prefix) and len(prefix) < LEAST
        more = f"give at least {LEAST} characters of its id, or {remedy}" if short else remedy
        raise unknown(f"there is no {noun} {shown!r}", remedy=more)
    found = list(beginning_with(prefix, _SHOWN + 1))
    if prefix in found:
        return prefix
    if len(found) > 1:
        raise AmbiguousId(
            f"{shown!r} begins the ids of several {noun}s: {_names(found)}",
            remedy="give more of its characters",
        )
    if not found:
        near = list(beginning_with(prefix[:LEAST], _SHOWN + 1)) if len(prefix) > LEAST else []
        said = f"these begin with {prefix[:LEAST]!r}: {_names(near)}" if near else ""
        raise unknown(f"there is no {noun} {shown!r}", said, remedy)
    return found[0]


def _names(found: Sequence[str]) -> str:
    more = ", ..." if len(found) > _SHOWN else ""
    return ", ".join(printable(one, 80) for one in found[:_SHOWN]) + more
