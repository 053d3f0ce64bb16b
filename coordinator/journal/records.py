"""Records: all that the journal has of runs, with its places in the chains, as it is handed to an auditor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, case, outerjoin, select, true

from handoffs.contracts.errors import InvalidData
from handoffs.coordinator.history import checked
from handoffs.coordinator.journal.chain import RUNS
from handoffs.coordinator.journal.columns import json_value
from handoffs.coordinator.journal.database import Database
from handoffs.coordinator.journal.namespace import Namespace
from handoffs.coordinator.journal.pages import pages
from handoffs.coordinator.journal.tables import actions, chains, history, runs


class RecordedRun(NamedTuple):
    """A run. ``state`` is the status with which it ended, or ``live`` or ``lost``; ``noted`` when that was written down. ``sequence`` and
    ``digest`` are the head of its chain. Times are ISO 8601 in UTC; ``started`` is empty of a story, which no flow began."""

    run: str
    flow: str
    key: str
    state: str
    started: str
    noted: str
    sequence: int
    digest: str


class RecordedEntry(NamedTuple):
    """An entry of a run's history. ``text`` is it as it was written, of which the digest is; ``value`` what that says, None where it is no
    entry."""

    run: str
    sequence: int
    previous: str
    digest: str
    source: str
    flow: str
    kind: str
    at: str
    namespace: str
    text: str
    value: dict[str, Any] | None


class RecordedAction(NamedTuple):
    """What a person did to a run, or the coordinator process by policy."""

    run: str
    sequence: int
    previous: str
    digest: str
    at: str
    who: str
    action: str
    letter: str
    note: str
    namespace: str


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """Which runs. What is empty lets everything pass. ``since`` and ``until`` are ISO 8601 in UTC: accepted then or later, and before; of a
    story, when its state was written down."""

    run: str = ""
    key: str = ""
    flow: str = ""
    since: str = ""
    until: str = ""


class Records:
    """Reads what is handed to an auditor, of one installation. A page of rows is held at a time.

    Every method raises :class:`~handoffs.coordinator.errors.ServerError` where the database cannot be used.
    """

    def __init__(self, database: Database, namespace: Namespace) -> None:
        self._database = database
        self._namespace = namespace

    def runs(self, chosen: RecordFilter) -> Iterator[RecordedRun]:
        """The runs, in the order in which the journal heard of them."""
        own = (runs.c.namespace == self._namespace.name) & _passes(chosen)
        head = and_(
            chains.c.namespace == runs.c.namespace, chains.c.kind == RUNS, chains.c.name == runs.c.run
        )
        names = ("run", "flow", "key", "state", "started", "at", "id")
        query = select(*(runs.c[name] for name in names), chains.c.sequence, chains.c.digest)
        query = query.select_from(outerjoin(runs, chains, head)).where(own)
        for page in pages(self._database, query, (runs.c.id,)):
            for row in page:
                yield RecordedRun(
                    row["run"], row["flow"], row["key"], row["state"], row["started"], row["at"],
                    row["sequence"] or 0, row["digest"] or "",
                )  # fmt: skip

    def entries(self, run: str) -> Iterator[RecordedEntry]:
        """The history of a run, in the order in which it was written."""
        query = select(history).where((history.c.namespace == self._namespace.name) & (history.c.run == run))
        for page in pages(self._database, query, (history.c.run, history.c.id)):
            for row in page:
                known = {name: row[name] for name in RecordedEntry._fields if name in row}
                yield RecordedEntry(**known, text=str(row["entry"]), value=_value(row["entry"]))

    def actions(self, run: str) -> Iterator[RecordedAction]:
        """What was done to a run, in the order in which it was recorded."""
        query = select(actions).where((actions.c.namespace == self._namespace.name) & (actions.c.run == run))
        for page in pages(self._database, query, (actions.c.run, actions.c.id)):
            for row in page:
                yield RecordedAction(**{name: row[name] for name in RecordedAction._fields})


def _passes(chosen: RecordFilter) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = true()
    for name in ("run", "key", "flow"):
        if wanted := getattr(chosen, name):
            condition &= runs.c[name] == wanted
    moment = case((runs.c.started != "", runs.c.started), else_=runs.c.at)
    if chosen.since:
        condition &= moment >= chosen.since
    return condition & (moment < chosen.until) if chosen.until else condition


def _value(text: str) -> dict[str, Any] | None:
    try:
        return checked(json_value(text))
    except (InvalidData, ValueError):
        return None
