"""Ids: a run or a letter by the beginning of its id, as people type it."""

from __future__ import annotations

from collections.abc import Iterable

from handoffs.coordinator.errors import UnknownLetter, UnknownRun
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.observe.listing import Listing
from handoffs.coordinator.prefix import the_one


class Ids:
    """Finds ids by how they begin. Raises :class:`~handoffs.coordinator.errors.ServerError` where Redis or the journal cannot be used."""

    def __init__(self, journal: Journal, listing: Listing) -> None:
        self._journal = journal
        self._listing = listing

    def run(self, prefix: str) -> str:
        """The id of the one run, or story, that begins so.

        Raises :class:`~handoffs.coordinator.errors.AmbiguousId` where several do, and :class:`~handoffs.coordinator.errors.UnknownRun`
        where none does, or ``prefix`` has fewer than four characters. Both name candidates.
        """
        return the_one("run", prefix, self._runs, UnknownRun, "coordinator runs list")

    def letter(self, prefix: str) -> str:
        """The same of a letter, with :class:`~handoffs.coordinator.errors.UnknownLetter`."""
        letters = self._journal.letters.beginning_with
        return the_one("dead letter", prefix, letters, UnknownLetter, "coordinator dead-letters list")

    def _runs(self, prefix: str, limit: int) -> Iterable[str]:
        pending = {row.run for row in self._listing.pending()} | self._listing.pending_stories()
        begun_so = {run for run in pending if run.startswith(prefix)}
        return sorted(begun_so | set(self._journal.runs.beginning_with(prefix, limit)))[:limit]
