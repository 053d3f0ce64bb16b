"""Upkeep: the coordinator process looks after the runs that live. None of them expires, however long it waits."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from handoffs.coordinator.history import EntryKind
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.journal.run_filter import LIVE
from handoffs.coordinator.journal.runs import Noted, RunRow
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.run_state import ENDED, RunState

_PAGE = 500
"""How many runs are looked at in one pass. There may be any number: each pass goes on from the last one."""

_TOUCHES_IN_A_LIFE = 4
_TOUCH_AT_MOST_EVERY = timedelta(hours=1)


class Upkeep:
    """Looks at the runs that live, a page a pass, from the first to the last and then again.

    The journal says which live, and Redis how they are. Raises :class:`~handoffs.coordinator.errors.ServerError`.
    """

    def __init__(self, services: Services, journal: Journal) -> None:
        self._services = services
        self._journal = journal
        self._after = 0
        self._every = min(
            services.settings.run_ttl / _TOUCHES_IN_A_LIFE, _TOUCH_AT_MOST_EVERY
        ).total_seconds()
        self._touched = -math.inf
        self._touching = False

    def pause(self, longest: float) -> float:
        """How long to wait between passes, in seconds: ``longest``, or less where runs are kept for a moment only."""
        return min(longest, self._every)

    def tell(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Write down the runs of which there is something new in the history, and how they stand by now."""
        told = [entry for entry in entries if entry.get("run") and entry.get("flow")]
        flows = {str(entry["run"]): str(entry["flow"]) for entry in told}
        begun = {str(entry["run"]): entry for entry in told if entry.get("kind") == EntryKind.STARTED}
        records = self._services.runs.states(list(flows)) if flows else []
        states = {run: _state(record) for run, record in zip(flows, records, strict=True)}
        forgotten = [run for run, record in zip(flows, records, strict=True) if record is None]
        known = self._journal.runs.states(forgotten) if forgotten else {}
        over = {run for run, state in known.items() if state in ENDED}  # and what comes late is no news of it
        noted = {run: _noted(flow, states[run], begun.get(run)) for run, flow in flows.items()}
        noted |= {run: noted[run]._replace(state=known[run]) for run in over}
        self._journal.runs.note({run: one for run, one in noted.items() if run in begun or run not in over})

    def look(self) -> list[tuple[RunRow, RunState | None]]:
        """Look at the next page: write down which of them have ended, and keep the others. Gives those that have not."""
        if self._after == 0:
            self._touching = time.monotonic() - self._touched >= self._every
            if self._touching:
                self._services.runs.touch_shared()
        rows = self._journal.runs.living(self._after, _PAGE)
        records = self._services.runs.states([row.run for row in rows]) if rows else []
        both = list(zip(rows, records, strict=True))
        ended = {
            row.run: Noted(row.flow, record.status)
            for row, record in both
            if record and record.status in ENDED
        }
        self._journal.runs.note(ended)
        if self._touching:
            living = [record for row, record in both if record and row.run not in ended]
            self._services.runs.touch(record.id for record in living)
            self._services.runs.keep_lives(record.life for record in living if record.life)
        self._after = rows[-1].number if len(rows) == _PAGE else 0
        if self._after == 0 and self._touching:
            self._touched = time.monotonic()
        return [(row, record) for row, record in both if row.run not in ended]


def _noted(flow: str, state: str, begun: Mapping[str, Any] | None) -> Noted:
    """What is written down of a run; ``begun`` is the entry of its start, where that is among what is told."""
    return (
        Noted(flow, state, str(begun.get("at", "")), str(begun.get("key", "")))
        if begun
        else Noted(flow, state)
    )


def _state(record: RunState | None) -> str:
    return record.status if record and record.status in ENDED else LIVE
