"""Ids: a run or a letter by the beginning of its id, as people type it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from handoffs.contracts.errors import CoordinationError
from handoffs.contracts.text import is_plain, printable
from handoffs.coordinator.errors import AmbiguousId, UnknownLetter, UnknownRun
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.observe.listing import Listing

LEAST = 4
"""With how many characters an id must at least be begun."""

_SHOWN = 5
"""How many candidates an error names."""


class Ids:
    """Finds ids by how they begin. Raises :class:`~handoffs.coordinator.errors.ServerError` where Redis or the journal cannot be used."""

    def __init__(self, journal: Journal, listing: Listing) -> None:
        self._journal = journal
        self._listing = listing

    def run(self, prefix: str) -> str:
        """The id of the one run that begins so.

        Raises :class:`~handoffs.coordinator.errors.AmbiguousId` where several do, and :class:`~handoffs.coordinator.errors.UnknownRun`
        where none does, or ``prefix`` has fewer than four characters. Both name candidates.
        """
        return one_of("run", prefix, self._runs, UnknownRun, "coordinator runs list")

    def letter(self, prefix: str) -> str:
        """The same of a letter, with :class:`~handoffs.coordinator.errors.UnknownLetter`."""
        letters = self._journal.letters.beginning_with
        return one_of("dead letter", prefix, letters, UnknownLetter, "coordinator dead-letters list")

    def _runs(self, prefix: str, limit: int) -> Iterable[str]:
        pending = {row.run for row in self._listing.pending() if row.run.startswith(prefix)}
        return sorted(pending | set(self._journal.runs.beginning_with(prefix, limit)))[:limit]


def one_of(
    noun: str,
    prefix: str,
    beginning_with: Callable[[str, int], Iterable[str]],
    unknown: type[CoordinationError],
    command: str,
) -> str:
    """The id of the one ``noun`` that begins with ``prefix``, as :class:`Ids` finds it; ``command`` lists them."""
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


def _names(found: list[str]) -> str:
    more = ", ..." if len(found) > _SHOWN else ""
    return ", ".join(printable(one, 80) for one in found[:_SHOWN]) + more
