"""Runs in the journal: which of them live, and how those ended that Redis may have forgotten since."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from heapq import merge
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, case, func, select, true, tuple_, update

from handoffs.coordinator.history import now
from handoffs.coordinator.journal.columns import fitted
from handoffs.coordinator.journal.database import Database
from handoffs.coordinator.journal.namespace import Namespace
from handoffs.coordinator.journal.run_filter import ENDED, LIVE, LOST, ListedRun, RunFilter, passes
from handoffs.coordinator.journal.tables import runs

_AT_ONCE = 500

_LOOKED_THROUGH = 1_000
"""Of so many keys that begin alike the newest are told."""

_LISTED = [runs.c[name] for name in ListedRun.__slots__]


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


class RunTable:
    """The runs of one installation, each once. It is written by the coordinator process, a moment later than Redis.

    Every method raises :class:`~handoffs.coordinator.errors.ServerError` where the database cannot be used.
    """

    def __init__(self, database: Database, namespace: Namespace) -> None:
        self._database = database
        self._namespace = namespace
        self._own = runs.c.namespace == namespace.name
        self._by_id = database.octets(runs.c.run)
        self._newest = (runs.c.started.desc(), self._by_id.desc())

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
        """The runs that ``chosen`` lets pass, the newest first, those of one moment by their ids: all of them, read ``limit`` at a time as
        they are asked for. Stories, which no flow began, are not among them."""
        streams = [self._stream(chosen, state, limit) for state in chosen.states() or ("",)]
        if len(streams) == 1:
            return streams[0]
        return merge(*streams, key=lambda one: (one.started, one.run), reverse=True)

    def _stream(self, chosen: RunFilter, state: str, limit: int) -> Iterator[ListedRun]:
        """Those in one state; in whichever where it is empty. Each state by itself is read in order from an index, and no run of another."""
        condition = self._own & (runs.c.started != "") & passes(chosen, self._namespace)
        if state:
            condition &= runs.c.state == state
        query = select(*_LISTED).where(condition)
        after = self._older(*chosen.before) if chosen.before is not None else true()
        while True:
            with self._database.begin() as connection:
                rows = self._ordered(query.where(after), chosen).limit(limit)
                page = [ListedRun(*found) for found in connection.execute(rows)]
            yield from page
            if len(page) < limit:
                return
            after = self._older(page[-1].started, page[-1].run)

    def _ordered(self, query: Select[Any], chosen: RunFilter) -> Select[Any]:
        """Rows in the order of a list. Where their ids are given they are looked up first, and then put in order: PostgreSQL would rather
        read all runs in order until it has met enough of them."""
        if chosen.runs is None:
            return query.order_by(*self._newest)
        named = query.offset(0).subquery()
        return select(named).order_by(named.c.started.desc(), self._database.octets(named.c.run).desc())

    def _older(self, started: str, run: str) -> ColumnElement[bool]:
        """That a row comes after a run in a list that has the newest first."""
        first = runs.c.started <= started  # which an index has, whatever its next column is
        return first & (tuple_(runs.c.started, self._by_id) < (started, run))

    def count(self, most: int | None = None) -> int:
        """How many runs of flows were accepted, as far as the journal goes back; counted up to ``most``."""
        one = select(runs.c.id).where(self._own & (runs.c.started != "")).limit(most)
        with self._database.begin() as connection:
            return int(connection.scalar(select(func.count()).select_from(one.subquery())) or 0)

    def ended_by_flow(self, chosen: RunFilter, most: int) -> dict[tuple[str, str], int]:
        """How many of those that have ended, by the status with which they did and their flow: of the newest ``most``."""
        states = [chosen.ended] if chosen.ended else list(ENDED)
        own = self._own & (runs.c.started != "") & passes(chosen, self._namespace) & runs.c.state.in_(states)
        newest = (
            select(runs.c.state, runs.c.flow)
            .where(own)
            .order_by(runs.c.started.desc())
            .limit(most)
            .subquery()
        )
        by = (newest.c.state, newest.c.flow)
        with self._database.begin() as connection:
            found = connection.execute(select(*by, func.count()).group_by(*by))
            return {(str(state), str(flow)): int(count) for state, flow, count in found}

    def started_in(self, chosen: RunFilter, characters: int, most: int) -> tuple[dict[str, int], str]:
        """How many of the newest ``most`` runs were accepted when, by so many first characters of the moment (13: the hour); and the moment
        of the oldest of them where there are more, or else an empty one."""
        condition = self._own & (runs.c.started != "") & passes(chosen, self._namespace)
        if states := chosen.states():
            condition &= runs.c.state.in_(states)
        newest = (
            select(runs.c.started).where(condition).order_by(runs.c.started.desc()).limit(most).subquery()
        )
        part = func.substr(newest.c.started, 1, characters)
        query = select(part, func.count(), func.min(newest.c.started)).group_by(part)
        with self._database.begin() as connection:
            found = connection.execute(query).all()
        counts = {str(moment): int(count) for moment, count, _ in found}
        return counts, min(oldest for *_, oldest in found) if sum(counts.values()) >= most else ""

    def keyed(self, key: str, limit: int) -> list[ListedRun]:
        """The runs that were accepted under this key, as it is shown, and then those whose key begins so; the newest first, at most
        ``limit`` of each."""
        begins = self._database.goes_on(runs.c.key, key)
        exact = select(*_LISTED).where(self._own & (runs.c.key == key) & (runs.c.started != ""))
        others = select(*_LISTED).where(self._own & begins & (runs.c.started != "")).limit(_LOOKED_THROUGH)
        with self._database.begin() as connection:
            same = [ListedRun(*row) for row in connection.execute(exact.order_by(*self._newest).limit(limit))]
            found = [ListedRun(*row) for row in connection.execute(others)]
        return same + sorted(found, key=lambda one: (one.started, one.run), reverse=True)[:limit]

    def found(self, wanted: Iterable[str]) -> dict[str, ListedRun]:
        """Those of these runs that the journal knows; stories are among them."""
        names, rows = list(wanted), list[ListedRun]()
        with self._database.begin() as connection:
            for first in range(0, len(names), _AT_ONCE):
                page = runs.c.run.in_(names[first : first + _AT_ONCE])
                rows += [
                    ListedRun(*row) for row in connection.execute(select(*_LISTED).where(self._own & page))
                ]
        return {row.run: row for row in rows}

    def beginning_with(self, prefix: str, limit: int) -> list[str]:
        """The ids of runs that begin with ``prefix``, sorted, at most ``limit`` (of the first thousand that are found); stories are among
        them."""
        found = self._own & self._database.begins(runs.c.run, prefix)
        return self._database.first(runs.c.run, found, limit)

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
