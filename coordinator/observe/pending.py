"""Pending: the history that is not in the journal yet, of all runs: what was accepted a moment ago, or while nobody drained it."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from typing import Any

from handoffs.contracts.errors import InvalidData
from handoffs.coordinator.errors import Refused
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.history_stream import read

_MOST = 20_000
"""The most entries of one shard that are looked at, the newest ones: more wait only where no coordinator process has run for long."""

_SHARDS = 8


class Pending:
    """Reads the history that is on its way to the journal. Raises :class:`~handoffs.coordinator.errors.ServerError` where Redis cannot
    be used."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def entries(self, kinds: Collection[str], *, with_word: str = "") -> list[dict[str, Any]]:
        """The entries of these kinds, and that have this field, the newest first. What is no entry is passed over: it becomes a letter."""
        found: list[tuple[str, dict[str, Any]]] = []
        for number, text in self._kept():
            if f'"{with_word}' in text and any(f'"{kind}"' in text for kind in kinds):
                # most are others, and need not be read
                with contextlib.suppress(InvalidData):
                    entry = read(number, text)
                    if entry["kind"] in kinds:
                        found.append((str(entry.get("at", "")), entry))
        return [entry for _, entry in sorted(found, key=lambda one: one[0], reverse=True)]

    def _kept(self) -> Iterator[tuple[str, str]]:
        entries, shards = self._services.entries, range(self._services.settings.shards)
        for first in range(0, len(shards), _SHARDS):
            for kept in entries.newest_of(shards[first : first + _SHARDS], count=_MOST).values():
                if not isinstance(kept, Refused):  # the coordinator process tells of it
                    yield from kept
