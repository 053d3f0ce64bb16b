"""Runs in the journal: which of them live, and how those ended that Redis may have forgotten since."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import ColumnElement, case, func, select, true, tuple_, update

from handoffs.coordinator.history import now
from handoffs.coordinator.journal.columns import fitted
from handoffs.coordinator.journal.database import Database
from handoffs.coordinator.journal.namespace import Namespace
from handoffs.coordinator.journal.tables import runs

LIVE, LOST = "live", "lost"
"""The states of a run that has not ended: Redis knew it when it was looked at last, or did not know it any more."""

ENDED = ("completed", "cancelled")
"""The states of a run that has ended."""

_AT_ONCE = 500


class RunRow(NamedTuple):
    """A run that has not ended, with the number that it has in the journal."""

    number: int
    run: str
    flow: str
    state: str


class Noted(NamedTuple):
    """What is written down of a run: its flow, its state (:data:`LIVE`, :data:`LOST`, or the status with which it ended), and, where that
    is known, when it was accepted (ISO 8601 in UTC), and its key as people may see it."""

    flow: str
    state: str
    started: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class ListedRun:
    """A run as the journal lists it. ``key`` is empty where it has none, or was accepted by an older release; ``number`` is 0 where it is
    not in the journal yet."""

    number: int
    run: str
    flow: str
    state: str
    started: str
    key: str


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs are listed. An empty filter lets everything pass. ``since`` is ISO 8601 in UTC; ``ended`` is the status with which they
    ended: those that are not known to have ended pass as well, for Redis may know more."""

    flow: str = ""
    key: str = ""
    since: str = ""
    ended: str = ""
    living: bool = False


class RunTable:
    """The runs of one installation, each once. It is written by the coordinator process, a moment later than Redis.

    Every method raises :class:`~handoffs.coordinator.errors.ServerError` where the database cannot be used.
    """

    def __init__(self, database: Database, namespace: Namespace) -> None:
        self._database = database
        self._namespace = namespace
        self._own = runs.c.namespace == namespace.name

    def note(self, found: Mapping[str, Noted]) -> None:
        """Write down runs. When one was accepted and its key stay as they are where that is not told."""
        if not found:
            return
        statement = self._database.insert(runs)
        told = statement.excluded
        statement = statement.on_conflict_do_update(
            index_elements=["namespace", "run"],
            set_={
                "state": told.state,
                "at": told.at,
                "started": case((told.started != "", told.started), else_=runs.c.started),
                "key": case((told.started != "", told.key), else_=runs.c.key),
            },
            where=(runs.c.state != told.state) | ((told.started != "") & (runs.c.started == "")),
        )
        at = now()
        values = [
            fitted(runs, {"namespace": self._namespace.name, "run": run, "at": at, **noted._asdict()})
            for run, noted in sorted(found.items())  # in one order, whoever else writes them
        ]
        with self._database.begin() as connection:
            connection.execute(statement, values)

    def mark(self, run: str, state: str) -> None:
        """Put a run that is known into another state."""
        with self._database.begin() as connection:
            connection.execute(
                update(runs).where(self._own & (runs.c.run == run)).values(state=state, at=now())
            )

    def living(self, after: int = 0, limit: int = _AT_ONCE) -> list[RunRow]:
        """The runs that have not ended and whose number is above ``after``, in the order of their numbers, at most ``limit``."""
        query = (
            select(runs.c.id, runs.c.run, runs.c.flow, runs.c.state)
            .where(self._own & runs.c.state.in_([LIVE, LOST]) & (runs.c.id > after))
            .order_by(runs.c.id)
            .limit(limit)
        )
        with self._database.begin() as connection:
            return [RunRow(*found) for found in connection.execute(query)]

    def ended(
        self, since: str, after: tuple[str, int] = ("", 0), limit: int = _AT_ONCE
    ) -> list[tuple[str, RunRow]]:
        """The runs that ended ``since`` then (ISO 8601), and after the one that ended ``after`` (when, its number): when they did, and
        the runs, in that order, at most ``limit``."""
        at, number = after
        later = (runs.c.at > at) | ((runs.c.at == at) & (runs.c.id > number))
        query = (
            select(runs.c.at, runs.c.id, runs.c.run, runs.c.flow, runs.c.state)
            .where(self._own & (runs.c.at >= since) & later & runs.c.state.not_in([LIVE, LOST]))
            .order_by(runs.c.at, runs.c.id)
            .limit(limit)
        )
        with self._database.begin() as connection:
            return [(str(when), RunRow(*found)) for when, *found in connection.execute(query)]

    def listed(self, chosen: RunFilter, limit: int = _AT_ONCE) -> Iterator[ListedRun]:
        """The runs that ``chosen`` lets pass, the newest first: all of them, read ``limit`` at a time as they are asked for. Stories,
        which no flow began, are not among them."""
        columns = (runs.c.id, runs.c.run, runs.c.flow, runs.c.state, runs.c.started, runs.c.key)
        query = select(*columns).where(self._own & (runs.c.started != "") & _passes(chosen))
        query = query.order_by(runs.c.started.desc(), runs.c.id.desc()).limit(limit)
        after: ColumnElement[bool] = true()
        while True:
            with self._database.begin() as connection:
                page = [ListedRun(*found) for found in connection.execute(query.where(after))]
            yield from page
            if len(page) < limit:
                return
            after = tuple_(runs.c.started, runs.c.id) < (page[-1].started, page[-1].number)

    def count(self) -> int:
        """How many runs of flows were accepted, as far as the journal goes back."""
        query = select(func.count()).select_from(runs).where(self._own & (runs.c.started != ""))
        with self._database.begin() as connection:
            return int(connection.scalar(query) or 0)

    def beginning_with(self, prefix: str, limit: int) -> list[str]:
        """The ids of runs that begin with ``prefix``, sorted, at most ``limit``; stories are among them."""
        query = (
            select(runs.c.run)
            .where(self._own & self._database.begins(runs.c.run, prefix))
            .order_by(runs.c.run)
        )
        with self._database.begin() as connection:
            return [str(found) for found in connection.scalars(query.limit(limit))]

    def keys(self, wanted: Iterable[str]) -> dict[str, str]:
        """The keys of those of these runs that the journal knows, as people may see them."""
        return self._told(runs.c.key, wanted)

    def states(self, wanted: Iterable[str]) -> dict[str, str]:
        """The states of those of these runs that the journal knows."""
        return self._told(runs.c.state, wanted)

    def _told(self, column: ColumnElement[str], wanted: Iterable[str]) -> dict[str, str]:
        names = list(wanted)
        found: dict[str, str] = {}
        with self._database.begin() as connection:
            for first in range(0, len(names), _AT_ONCE):
                page = runs.c.run.in_(names[first : first + _AT_ONCE])
                query = select(runs.c.run, column).where(self._own & page)
                found |= {run: told for run, told in connection.execute(query)}  # noqa: C416 - rows are no pairs
        return found


def _passes(chosen: RunFilter) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = true()
    if chosen.flow:
        condition &= runs.c.flow == chosen.flow
    if chosen.key:
        condition &= runs.c.key == chosen.key
    if chosen.since:
        condition &= runs.c.started >= chosen.since
    if chosen.ended:
        condition &= runs.c.state.in_([chosen.ended, LIVE, LOST])
    return condition & runs.c.state.not_in(ENDED) if chosen.living else condition
