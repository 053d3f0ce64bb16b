"""Drain: moves the history from Redis into the journal. What is no entry becomes a letter, and holds up nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from handoffs.contracts.errors import InvalidData
from handoffs.contracts.text import printable
from handoffs.coordinator.errors import Refused, passes
from handoffs.coordinator.handoff.failure import describe
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.letters.desk import Desk
from handoffs.coordinator.letters.unfit import unfit_letter
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.history_stream import Kept, read

_log = logging.getLogger(__name__)

_SHARDS = 16
_COUNT = 50
"""So many entries at most of so many shards are moved together: a transaction and a few round trips for all of them."""

Entry = dict[str, Any]


class Drain:
    """Drains the shards of one installation, each by itself.

    ``tell`` hears of the entries that are written down, once more where something else could not deal with one of them; ``count`` hears of
    each once. Raises :class:`~handoffs.coordinator.errors.ServerError` where Redis or the
    journal cannot be used; of a shard that holds something else, once the others are drained.
    """

    def __init__(
        self,
        services: Services,
        journal: Journal,
        desk: Desk,
        tell: Callable[[Sequence[Entry]], None],
        count: Callable[[Sequence[Entry]], None],
    ) -> None:
        self._services = services
        self._journal = journal
        self._desk = desk
        self._tell = tell
        self._count = count

    def run(self) -> None:
        """Move what there is: written and committed first, then dropped. What comes meanwhile is left for the next time."""
        refused: Refused | None = None
        shards = range(self._services.settings.shards)
        for first in range(0, len(shards), _SHARDS):
            full = list(shards[first : first + _SHARDS])
            while full:
                found = self._services.entries.oldest_of(full, count=_COUNT)
                there = {
                    shard: kept for shard, kept in found.items() if kept and not isinstance(kept, Refused)
                }
                refused = refused or next(
                    (kept for kept in found.values() if isinstance(kept, Refused)), None
                )
                try:
                    self._move(there)
                except Refused as error:  # one of them cannot be dropped: the others go on the next time
                    refused = refused or error
                    break
                full = [shard for shard, kept in there.items() if len(kept) == _COUNT]
        if refused is not None:
            raise refused

    def _move(self, there: Mapping[int, Kept]) -> None:
        found: list[tuple[str, Entry]] = []
        for shard, kept in there.items():
            prefix = f"{self._services.settings.prefix}{shard}/"
            for number, text in kept:
                try:
                    found.append((prefix + number, read(number, text)))
                except InvalidData as error:
                    self._put_aside(prefix + number, text, error.cause)
        if found:
            self._record(found)
            entries = [entry for _, entry in found]
            self._count(entries)
            self._follow(entries)
        self._services.entries.forget_all(
            {shard: [number for number, _ in kept] for shard, kept in there.items()}
        )

    def _record(self, found: Sequence[tuple[str, Entry]]) -> None:
        try:
            self._journal.history.record(found)
        except Refused:
            if len(found) > 1:
                for one in found:
                    self._record([one])
                return
            [(source, entry)] = found
            self._put_aside(source, repr(entry), "the journal refuses it")

    def _follow(self, told: Sequence[Entry]) -> None:
        """Have all that goes by the history hear of these entries; one at a time where one of them cannot be dealt with."""
        for hear in (self._tell, self._desk.close):
            try:
                hear(told)
            except Exception as error:  # what is of no use must not be read for ever
                if passes(error):
                    raise
                if len(told) == 1:
                    run = printable(told[0].get("run"), 200)
                    _log.warning(
                        "run=%s: an entry of its history is passed over: %s: %s", run, *describe(error)
                    )
                for one in told if len(told) > 1 else ():
                    self._follow([one])

    def _put_aside(self, source: str, text: str, why: str) -> None:
        """Keep what is no entry as a letter."""
        said = f"an entry of the history cannot be read: {why}"
        _log.warning("history=%s is kept as a letter: %s", printable(source, 200), printable(said, 300))
        self._journal.letters.add(unfit_letter(f"history:{source}", said, {"entry": text}))
