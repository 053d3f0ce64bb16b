"""Facets: how many of the runs that are listed are how, of which flow, and when they were accepted. However many runs there are, no more
than the newest of them are counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from handoffs.config import clock
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.observe.listing import Listing
from handoffs.coordinator.observe.run_query import RunQuery, written
from handoffs.coordinator.observe.run_summary import told_at

COUNTED = 10_000
"""So many of the newest runs that have ended are counted by status and flow."""

ASKED = 1_000
"""So many of the newest that have not ended, for Redis is asked how they are."""

CHARTED = 50_000
"""So many of the newest runs are counted by when they were accepted."""

_DAY = timedelta(days=1)
_PARTS = (
    (16, timedelta(minutes=1)),
    (15, timedelta(minutes=10)),
    (13, timedelta(hours=1)),
    (10, _DAY),
)
"""How long a part of the chart may be, and by how many first characters of a moment it is told."""
_MOST_PARTS = 150


@dataclass(frozen=True, slots=True)
class StartedRuns:
    """How many runs were accepted from ``at`` on, for as long as a part of the chart is."""

    at: datetime
    runs: int


@dataclass(frozen=True, slots=True)
class RunFacets:
    """What there is to say of the runs of a list.

    total, more
        How many were counted, and whether there are more: the newest ten thousand of those that have ended are counted, and the newest
        thousand of the others.
    statuses, flows
        How many of them are how, as tables call it (``waiting``), and of which flow, the most first.
    started, part
        When they were accepted, the oldest first, by parts of a minute, ten minutes, an hour or a day, 150 at most; and how long one is. It
        goes from ``since``, a day ago where that was not given, to ``until`` or now. It is what the journal knows: those on their way
        there are not in it, and where a list is narrowed down by what Redis knows, it has all that have not ended.
    counted_since
        From when on the chart has all of them; None where it is whole. It has fifty thousand runs at most.
    """

    total: int
    more: bool
    statuses: Mapping[str, int]
    flows: Mapping[str, int]
    started: tuple[StartedRuns, ...]
    part: timedelta
    counted_since: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON values; moments in ISO 8601, times in seconds."""
        return {
            "total": self.total,
            "more": self.more,
            "statuses": dict(self.statuses),
            "flows": dict(self.flows),
            "started": [{"at": told_at(one.at), "runs": one.runs} for one in self.started],
            "part_seconds": round(self.part.total_seconds()),
            "counted_since": told_at(self.counted_since),
        }


class Facets:
    """Counts runs. Raises :class:`~handoffs.coordinator.errors.ServerError` where Redis or the journal cannot be used."""

    def __init__(self, journal: Journal, listing: Listing) -> None:
        self._journal = journal
        self._listing = listing

    def of(self, query: RunQuery) -> RunFacets:
        """What there is to say of the runs that ``query`` lets pass, wherever in the list it begins."""
        query = replace(query, before=None)
        living = list(islice(self._listing.rows(replace(query.stored(), living=True), ASKED + 1), ASKED + 1))
        statuses, flows = Counter[str](), Counter[str]()
        for run in self._listing.summaries(living[:ASKED]):
            if query.passes(run):
                statuses[run.shown] += 1
                flows[run.flow] += 1
        more = len(living) > ASKED
        if not query.asks_redis:
            ended = self._journal.runs.ended_by_flow(query.stored(), COUNTED + 1)
            more = more or sum(ended.values()) > COUNTED
            for (status, flow), count in ended.items():
                statuses[status] += count
                flows[flow] += count
        total = sum(statuses.values())
        started, part, since = self._chart(query)
        return RunFacets(total, more, _most_first(statuses), _most_first(flows), started, part, since)

    def _chart(self, query: RunQuery) -> tuple[tuple[StartedRuns, ...], timedelta, datetime | None]:
        until = (query.until or clock.now()).astimezone(UTC)
        since = min((query.since or until - _DAY).astimezone(UTC), until)
        characters, part = next((one for one in _PARTS if (until - since) / one[1] < _MOST_PARTS), _PARTS[-1])
        since = max(since, until - part * (_MOST_PARTS - 1))
        chosen = replace(query, since=since, until=until).stored()
        counts, oldest = self._journal.runs.started_in(chosen, characters, CHARTED)
        parts, at = [], _floor(since, part)
        while at < until:
            parts.append(StartedRuns(at, counts.get(written(at)[:characters], 0)))
            at += part
        return tuple(parts), part, datetime.fromisoformat(oldest) if oldest else None


def _floor(moment: datetime, part: timedelta) -> datetime:
    begin = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return begin + (moment - begin) // part * part


def _most_first(found: Counter[str]) -> dict[str, int]:
    return dict(sorted(found.items(), key=lambda one: (-one[1], one[0])))
