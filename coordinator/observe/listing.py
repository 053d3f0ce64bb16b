"""Listing: runs as operators look for them, by what the journal has, what is on its way there, and how Redis knows them now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from heapq import merge
from itertools import islice

from handoffs.contracts.searchable import kept
from handoffs.coordinator.history import EntryKind
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.journal.run_filter import LIVE, ListedRun, RunFilter
from handoffs.coordinator.journal.search import marks_of
from handoffs.coordinator.observe.current import contract_of, moment_of
from handoffs.coordinator.observe.pending import Pending
from handoffs.coordinator.observe.run_query import RunQuery, passes_pending
from handoffs.coordinator.observe.run_summary import ParkedStep, RunSummary, SignalWait
from handoffs.coordinator.observe.standing import Standings, Status, status_in_redis
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.run_state import ENDED, RunRecord, waits_for_person

_AT_ONCE = 500
_MARKED = frozenset(EntryKind)
"""Entries of any kind may say by which values a run is found."""

_LARGEST_PAGE = 500
"""Of how many runs Redis is asked at once."""


class Listing:
    """Lists runs. Raises :class:`~handoffs.coordinator.errors.ServerError` where Redis or the journal cannot be used."""

    def __init__(self, services: Services, journal: Journal, standings: Standings) -> None:
        self._services = services
        self._journal = journal
        self._standings = standings
        self._pending = Pending(services)

    def newest(self, query: RunQuery, limit: int | None) -> list[RunSummary]:
        """The runs that ``query`` lets pass, the newest first, those of one moment by their ids: at most ``limit``, None: all of them."""
        few = limit is not None and limit < _LARGEST_PAGE and not query.asks_redis
        at_once = limit if few and limit else _LARGEST_PAGE
        return list(islice(self.each(query, at_once), limit)) if limit != 0 else []

    def each(self, query: RunQuery, at_once: int = _LARGEST_PAGE) -> Iterator[RunSummary]:
        """The same one after the other: of some at a time it is asked how they are, as they are taken."""
        rest = self.rows(query.stored(), at_once if at_once < _LARGEST_PAGE else _AT_ONCE)
        while rows := list(islice(rest, at_once)):
            yield from (run for run in self.summaries(rows) if query.passes(run))

    def summaries(self, rows: Iterable[ListedRun]) -> list[RunSummary]:
        """How these runs are now."""
        listed = list(rows)
        states = {row.run: row.state for row in listed}
        statuses = self._standings.statuses([row.run for row in listed], states)
        known = [
            row.run for row, status in zip(listed, statuses, strict=True) if status not in {"unknown", *ENDED}
        ]
        records = dict(zip(known, self._services.runs.records(known), strict=True)) if known else {}
        return [
            _summary(row, records.get(row.run), status) for row, status in zip(listed, statuses, strict=True)
        ]

    def live(self, run_id: str, key: str = "") -> RunSummary | None:
        """How a run is now that Redis knows, with the ``key`` that it is shown with; None where it has ended."""
        record = self._services.runs.get(run_id)
        if record is None:
            return None
        started = moment_of(record.started)
        row = ListedRun(0, run_id, record.flow, LIVE, started.isoformat() if started else "", key)
        return _summary(row, record, status_in_redis(record))

    def pending(self) -> list[ListedRun]:
        """The runs that were accepted and are not in the journal yet, the newest first."""
        found = []
        for entry in self._pending.entries({EntryKind.STARTED}):
            run, flow, at, key = (str(entry.get(name, "")) for name in ("run", "flow", "at", "key"))
            if run:
                found.append(ListedRun(0, run, flow, LIVE, at, key))
        return sorted(found, key=_place, reverse=True)

    def pending_marks(self) -> dict[str, dict[str, list[str]]]:
        """By which values runs are found that are not in the journal yet: by run, and by the name of the field."""
        found: dict[str, dict[str, list[str]]] = {}
        for entry in self._pending.entries(_MARKED, with_word="marks"):
            for name, value in marks_of(entry):
                found.setdefault(str(entry.get("run", "")), {}).setdefault(name, []).append(value)
        return found

    def pending_stories(self) -> set[str]:
        """The stories, and runs that have emitted an event, that are not in the journal yet, by their ids."""
        return {str(entry["run"]) for entry in self._pending.entries({EntryKind.EMITTED}) if entry.get("run")}

    def rows(self, chosen: RunFilter, at_once: int = _AT_ONCE) -> Iterator[ListedRun]:
        """Each run once, the newest first, by what is written down of it; so many are read at once."""
        pending = [row for row in self.pending() if passes_pending(row, chosen)]
        if pending and chosen.where:
            marks = self.pending_marks()
            pending = [row for row in pending if _has(marks.get(row.run, {}), chosen)]
        if pending and chosen.error:
            letters = self._journal.letters.waiting([row.run for row in pending])
            failed = {one.run for one in letters if chosen.error in (one.error, one.kind)}
            pending = [row for row in pending if row.run in failed]
        seen: set[str] = set()
        stored = self._journal.runs.listed(chosen, at_once)
        for row in merge(pending, stored, key=_place, reverse=True):
            if row.run not in seen:
                seen.add(row.run)
                yield row


def waits_of(record: RunRecord) -> tuple[SignalWait, ...]:
    """The signals that a run waits for, in the order of its steps' paths."""
    waiting = {one.partition(" ")[0] for one in record.waits}
    return tuple(
        SignalWait(
            str(wait["signal"]), contract_of(wait.get("schema")), moment_of(wait.get("since", 0) / 1000), path
        )
        for path, wait in sorted(record.awaited.items())
        if path in waiting
    )


def _summary(row: ListedRun, record: RunRecord | None, status: Status) -> RunSummary:
    started = _read(row.started)
    cursor = f"{row.started} {row.run}"
    if record is None:  # it has ended, or nobody knows
        return RunSummary(row.run, row.flow, row.key, status, started, cursor=cursor)
    status = status_in_redis(record)  # it may have gone on in between
    parked = (
        ParkedStep(step, *(str(reason.get(name, "")) for name in ("agent", "kind", "error")))
        for step, reason in sorted(record.parked.items())
        if waits_for_person(step, reason)
    )
    return RunSummary(
        row.run, row.flow, row.key, status, started, moment_of(record.due), waits_of(record), tuple(parked), cursor
    )  # fmt: skip


def _has(marks: Mapping[str, list[str]], chosen: RunFilter) -> bool:
    return all(kept(value) in marks.get(name, ()) for name, value in chosen.where)


def _place(row: ListedRun) -> tuple[str, str]:
    return row.started, row.run


def _read(text: str) -> datetime:
    """When a run was accepted; the beginning of all time where the journal has there what is no moment."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
