"""Histories: what happened to runs, from the journal and from what is still on its way there."""

from __future__ import annotations

import contextlib
from typing import Any

from handoffs.contracts.errors import InvalidData
from handoffs.contracts.text import is_plain
from handoffs.coordinator.history import EntryKind
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.history_stream import read

_MOST_PENDING = 100_000
"""The most entries of one shard that are looked at on their way to the journal."""


class Histories:
    """Reads the histories of runs."""

    def __init__(self, services: Services, journal: Journal) -> None:
        self._services = services
        self._journal = journal

    def of(self, run_id: str) -> list[dict[str, Any]]:
        """The entries of a run, oldest first; none of a run that is not known. See :class:`~handoffs.coordinator.history.Entry`.

        Raises :class:`~handoffs.coordinator.errors.ServerError` where Redis or the journal cannot be used.
        """
        if not is_plain(run_id):
            return []  # no run is called that, and no server could be asked for it
        services = self._services
        shard = services.store.keys.shard(run_id)
        prefix = f"{services.settings.prefix}{shard}/"
        found: dict[str, dict[str, Any]] = {}
        for entry_id, text in services.entries.oldest(shard, count=_MOST_PENDING):
            with contextlib.suppress(InvalidData):  # it becomes a letter
                entry = read(entry_id, text)
                if entry.get("run") == run_id:
                    found[prefix + entry_id] = entry
        told = (self._journal.history.of(run_id) | found).values()
        return [entry if entry.get("kind") else {**entry, "kind": EntryKind.UNREADABLE} for entry in told]
