"""Listing: runs as operators look for them, by what the journal has, what is on its way there, and how Redis knows them now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import merge
from itertools import islice
from typing import Any

from handoffs.contracts.text import printable
from handoffs.coordinator.history import EntryKind
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.journal.runs import LIVE, ListedRun, RunFilter
from handoffs.coordinator.observe.current import contract_of, moment_of
from handoffs.coordinator.observe.pending import Pending
from handoffs.coordinator.observe.standing import Standings, Status, status_in_redis
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.run_state import ENDED, RunRecord, waits_for_person

_LARGEST_PAGE = 200
"""Of how many runs Redis is asked at once."""


@dataclass(frozen=True, slots=True)
class SignalWait:
    """A signal that a run waits for: at the ``step`` of that path, of the ``contract`` (``name/version``), ``since`` then (UTC; None
    where that is not known)."""

    signal: str
    contract: str
    since: datetime | None
    step: str

    def words(self) -> str:
        """``signal "approval"``."""
        return f'signal "{printable(self.signal, 80)}"'


@dataclass(frozen=True, slots=True)
class ParkedStep:
    """A step that waits in the dead-letter queue: its path, its agent, and of which ``kind`` and ``error`` it failed."""

    step: str
    agent: str
    kind: str
    error: str


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run in a list.

    key
        The idempotency key under which it was accepted, sensitive values masked; empty where it has none, or where a release accepted it
        that did not write it down.
    status
        As :meth:`Run.status <handoffs.coordinator.client.run.Run.status>` has it.
    started, due
        When it was accepted; when it begins, or was to begin, where that was to be later. UTC.
    waiting
        The signals that it waits for; it may be ``running`` meanwhile, and goes on with the first that comes.
    parked
        Its steps that wait in the dead-letter queue.
    """

    id: str
    flow: str
    key: str
    status: Status
    started: datetime
    due: datetime | None = None
    waiting: tuple[SignalWait, ...] = ()
    parked: tuple[ParkedStep, ...] = ()

    @property
    def shown(self) -> str:
        """The status for people: ``waiting`` where a run that goes on waits for a signal."""
        return "waiting" if self.waiting and self.status == "running" else self.status

    def to_json(self) -> dict[str, Any]:
        """As JSON values; moments in ISO 8601."""
        return {
            "run": self.id,
            "flow": self.flow,
            "key": self.key or None,
            "status": self.status,
            "started": told_at(self.started),
            "due": told_at(self.due),
            "waiting": [wait_json(one) for one in self.waiting],
            "parked": [
                {"step": one.step, "agent": one.agent, "kind": one.kind, "error": one.error}
                for one in self.parked
            ],
        }


@dataclass(frozen=True, slots=True)
class RunQuery:
    """Which runs are listed; what is empty lets everything pass.

    ``since``: accepted then or later. ``waiting``: for a signal. ``failed_at``: a step (its path, or that of what it is in), or an agent,
    that is parked.
    """

    flow: str = ""
    status: str = ""
    key: str = ""
    since: datetime | None = None
    waiting: bool = False
    failed_at: str = ""

    def stored(self) -> RunFilter:
        """What the journal can say of it."""
        since = self.since.astimezone(UTC).isoformat(timespec="milliseconds") if self.since else ""
        lives = self.waiting or bool(self.failed_at) or self.status not in {"", "unknown", *ENDED}
        return RunFilter(
            self.flow, self.key, since, self.status if self.status in ENDED else "", living=lives
        )

    def passes(self, run: RunSummary) -> bool:
        """Whether a run is among them, by how it is now."""
        if self.status and run.status != self.status:
            return False
        if self.waiting and not run.waiting:
            return False
        return not self.failed_at or any(_is_at(one, self.failed_at) for one in run.parked)


class Listing:
    """Lists runs. Raises :class:`~handoffs.coordinator.errors.ServerError` where Redis or the journal cannot be used."""

    def __init__(self, services: Services, journal: Journal, standings: Standings) -> None:
        self._services = services
        self._journal = journal
        self._standings = standings
        self._pending = Pending(services)

    def newest(self, query: RunQuery, limit: int | None) -> list[RunSummary]:
        """The runs that ``query`` lets pass, the newest first: at most ``limit``, None: all of them."""
        return list(islice(self.each(query), limit)) if limit != 0 else []

    def each(self, query: RunQuery) -> Iterator[RunSummary]:
        """The same one after the other: of some at a time it is asked how they are, as they are taken."""
        rest, at_once = self._rows(query.stored()), _LARGEST_PAGE
        while rows := list(islice(rest, at_once)):
            yield from (run for run in self.summaries(rows) if query.passes(run))

    def summaries(self, rows: Iterable[ListedRun]) -> list[RunSummary]:
        """How these runs are now."""
        listed = list(rows)
        statuses = self._standings.statuses([row.run for row in listed])
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
        return [
            ListedRun(
                0,
                str(entry.get("run", "")),
                str(entry.get("flow", "")),
                LIVE,
                str(entry.get("at", "")),
                str(entry.get("key", "")),
            )
            for entry in self._pending.entries({EntryKind.STARTED})
            if entry.get("run")
        ]

    def pending_stories(self) -> set[str]:
        """The stories, and runs that have emitted an event, that are not in the journal yet, by their ids."""
        return {str(entry["run"]) for entry in self._pending.entries({EntryKind.EMITTED}) if entry.get("run")}

    def _rows(self, chosen: RunFilter) -> Iterator[ListedRun]:
        """Each run once, the newest first, by what is written down of it."""
        pending = [row for row in self.pending() if _passes(row, chosen)]
        seen: set[str] = set()
        stored = self._journal.runs.listed(chosen)
        for row in merge(pending, stored, key=lambda one: one.started, reverse=True):
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


def wait_json(wait: SignalWait) -> dict[str, Any]:
    """A wait as JSON values."""
    return {"signal": wait.signal, "contract": wait.contract, "since": told_at(wait.since), "step": wait.step}


def told_at(moment: datetime | None) -> str | None:
    """A moment in ISO 8601, to the millisecond."""
    return moment.isoformat(timespec="milliseconds") if moment else None


def _summary(row: ListedRun, record: RunRecord | None, status: Status) -> RunSummary:
    started = _read(row.started)
    if record is None:  # it has ended, or nobody knows
        return RunSummary(row.run, row.flow, row.key, status, started)
    status = status_in_redis(record)  # it may have gone on in between
    parked = (
        ParkedStep(step, *(str(reason.get(name, "")) for name in ("agent", "kind", "error")))
        for step, reason in sorted(record.parked.items())
        if waits_for_person(step, reason)
    )
    return RunSummary(
        row.run, row.flow, row.key, status, started, moment_of(record.due), waits_of(record), tuple(parked)
    )


def _passes(row: ListedRun, chosen: RunFilter) -> bool:
    given = (chosen.flow in ("", row.flow), chosen.key in ("", row.key), row.started >= chosen.since)
    return all(given)


def _is_at(parked: ParkedStep, where: str) -> bool:
    return where == parked.agent or f"{parked.step}.".startswith(f"{where}.")


def _read(text: str) -> datetime:
    """When a run was accepted; the beginning of all time where the journal has there what is no moment."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
