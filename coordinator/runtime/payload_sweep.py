"""Payload sweep: the coordinator process removes payloads that were kept elsewhere, once nothing has need of them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice

from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.payloads.objects import Kept
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.run_state import ENDED

_PAGE = 500
_MOST = 100_000
"""Of how many runs the payloads are removed in one sweep."""


class PayloadSweep:
    """Removes payloads that were sent longer ago than they are kept, whose run has ended or is forgotten, and of which no dead letter waits or
    is put away.

    Only what two sweeps in a row find so is removed: what came back in between, when a process had been away, has its letters in the
    journal by then. Raises :class:`~handoffs.coordinator.errors.ServerError`.
    """

    def __init__(self, services: Services, journal: Journal) -> None:
        self._services = services
        self._journal = journal
        self._ended: frozenset[str] = (
            frozenset()
        )  # the runs of which the last sweep found that they need nothing

    @property
    def pause(self) -> float:
        """How long to wait between sweeps, in seconds; 0 where messages carry their payloads themselves."""
        kept = self._services.payloads.kept
        return kept.fresh_for if kept else 0.0

    def run(self, stopping: threading.Event | None = None) -> int:
        """Look at all payloads once; gives how many were removed."""
        kept = self._services.payloads.kept
        if kept is None:
            return 0
        before = self._services.server.now() - kept.retention
        old = (one for one in kept.objects.each() if one.run and one.at < before)
        found: set[str] = set()
        removed = 0
        for page in _pages(old):
            if stopping is not None and stopping.is_set():
                return removed
            ended = self._without_need({one.run for one in page})
            for one in page:
                if one.run in ended and one.run in self._ended:
                    removed += self._remove(one, before)
            found |= ended - self._ended
            if len(found) >= _MOST:
                break
        self._ended = frozenset(found)
        return removed

    def _without_need(self, runs: set[str]) -> set[str]:
        names = sorted(runs)
        states = zip(names, self._services.runs.states(names), strict=True)
        ended = {run for run, state in states if state is None or state.status in ENDED}
        if not ended:
            return ended
        # what Redis has lost may be put back of what the journal has
        lives = {run for run, state in self._journal.runs.states(sorted(ended)).items() if state not in ENDED}
        return ended - lives - self._journal.letters.kept_runs(ended)

    def _remove(self, one: Kept, before: datetime) -> int:
        """Remove a payload, unless it was sent again right now: whoever replays a letter has done that before the letter is closed."""
        kept = self._services.payloads.kept
        at = kept.objects.at(one.name) if kept else None
        if kept is None or at is None or at >= before:
            return 0
        kept.objects.remove(one.name)
        return 1


def _pages(found: Iterable[Kept]) -> Iterator[list[Kept]]:
    rest = iter(found)
    while page := list(islice(rest, _PAGE)):
        yield page
