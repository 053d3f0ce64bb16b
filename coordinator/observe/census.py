"""Census: how many of the runs that live are in which status. Each is looked at, some at a time. Stories are none: no flow began them."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from handoffs.coordinator.continuation.path import is_story
from handoffs.coordinator.history import EntryKind
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.observe.pending import Pending
from handoffs.coordinator.observe.standing import status_in_redis
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.run_state import ENDED

_PAGE = 200
"""Of how many runs Redis is asked at once."""
_MOST_PENDING = 500
"""How many entries may be on their way to the journal, that the runs are looked for which only they tell of."""

STATUSES = ("running", "waiting", "parked", "paused", "compensating", "scheduled", "unknown")
"""How a run that lives can be shown."""


@dataclass(frozen=True, slots=True)
class RunCounts:
    """How many runs live, and how many of those that were looked at are in each status.

    live
        All that have not ended, as far as the journal knows.
    looked_at
        Of how many the statuses are; less than ``live`` until all were looked at once, or where none could be.
    complete
        Whether these are all, at one moment. Where there are many, some are looked at at a time, and the statuses are those of the last
        time that each was looked at.
    by_status
        ``running``, ``waiting`` (for a signal), ``parked``, ``paused``, ``compensating``, ``scheduled``, ``unknown``
        (Redis does not know it any more).
    """

    live: int
    looked_at: int
    complete: bool
    by_status: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "live": self.live,
            "looked_at": self.looked_at,
            "complete": self.complete,
            **{status: self.by_status.get(status, 0) for status in STATUSES},
        }


class Census:
    """Looks at the runs that live, page by page, and goes on where it was.

    Not safe for threads. Raises :class:`~handoffs.coordinator.errors.ServerError` where Redis or the journal cannot be used.
    """

    def __init__(self, services: Services, journal: Journal) -> None:
        self._services = services
        self._journal = journal
        self._pending = Pending(services)
        self._after = 0
        self._counts: Counter[str] = Counter()
        self._last: Counter[str] | None = None

    def look(self, seconds: float, entries: int) -> RunCounts:
        """Look at runs for so many ``seconds``, or at all of them; ``entries`` are on their way to the journal."""
        until, pages, whole = time.monotonic() + seconds, 0, False
        began = self._after == 0
        while pages == 0 or time.monotonic() < until:
            pages += 1
            if self._page():
                whole = True
                break
        if whole:
            self._counts.update(self._not_told(entries))
            self._last, self._counts, self._after = self._counts, Counter(), 0
        shown = self._last if self._last is not None else self._counts
        looked_at = sum(shown.values())
        complete = whole and began and entries <= _MOST_PENDING
        live = looked_at if complete else max(self._journal.recent.living(), looked_at if whole else 0)
        return RunCounts(live, looked_at, complete, dict(shown))

    def _page(self) -> bool:
        """Count the next page; gives whether it was the last one."""
        rows = self._journal.runs.living(self._after, _PAGE)
        self._counts.update(self._statuses([row.run for row in rows if not is_story(row.flow)]))
        self._after = rows[-1].number if rows else 0
        return len(rows) < _PAGE

    def _not_told(self, entries: int) -> Counter[str]:
        """The runs of which the journal has not been told."""
        if not 0 < entries <= _MOST_PENDING:
            return Counter()
        told = self._pending.entries({EntryKind.STARTED})
        runs = list({str(entry["run"]) for entry in told if entry.get("run")})
        known = self._journal.runs.states(runs)
        return self._statuses([run for run in runs if run not in known])

    def _statuses(self, runs: list[str]) -> Counter[str]:
        found: Counter[str] = Counter()
        for record in self._services.runs.records(runs) if runs else ():
            status = status_in_redis(record) if record else "unknown"
            if status not in ENDED:
                found["waiting" if record and record.waits and status == "running" else status] += 1
        return found
