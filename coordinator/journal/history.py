"""History in the journal: what happened to each run, for good."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, func, select

from handoffs.contracts.errors import InvalidData
from handoffs.contracts.text import printable
from handoffs.coordinator.history import checked, unreadable
from handoffs.coordinator.journal.actions import action_of, tell
from handoffs.coordinator.journal.bulk import insert_all
from handoffs.coordinator.journal.chain import RUNS, Head, linked
from handoffs.coordinator.journal.columns import fitted, json_text, json_value
from handoffs.coordinator.journal.database import Database
from handoffs.coordinator.journal.heads import alone, heads_of, move
from handoffs.coordinator.journal.namespace import Namespace
from handoffs.coordinator.journal.search import rows_of
from handoffs.coordinator.journal.tables import history, search

_TOLD = (history.c.run, history.c.at, history.c.entry)


class HistoryTable:
    """The entries of all runs of one installation, numbered in the order in which they were written.

    Every method raises :class:`~handoffs.coordinator.errors.ServerError` where the database cannot be used.
    """

    def __init__(self, database: Database, namespace: Namespace) -> None:
        self._database = database
        self._namespace = namespace
        self._own = history.c.namespace == namespace.name

    def record(self, entries: Iterable[tuple[str, dict[str, Any]]]) -> int:
        """Write history entries, each given with a unique source; gives how many were new. Each is added to the chain of its run
        (:mod:`~handoffs.coordinator.journal.chain`), in the order in which they come. What a person did to a run is an operator's action
        as well, and by what the run can be found (its marks) is written down too, with the same transaction: once, however often the
        entry comes."""
        rows: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
        for row, entry in map(self._row, entries):
            rows.setdefault(row["source"], (row, entry))
        if not rows:
            return 0
        known_sources = select(history.c.source).where(history.c.source.in_(list(rows)))
        with self._database.begin() as connection:
            alone(connection, self._namespace, RUNS)
            for source in connection.scalars(known_sources):
                del rows[source]
            if rows:
                self._append(connection, [row for row, _ in rows.values()])
                marked = rows_of(self._namespace, (entry for _, entry in rows.values()))
                insert_all(connection, self._database.insert(search).on_conflict_do_nothing(), marked)
            by_people = [action for _, entry in rows.values() if (action := action_of(entry)) is not None]
            if by_people:
                tell(connection, self._namespace, by_people)
        return len(rows)

    def _row(self, told: tuple[str, dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
        source, entry = told
        values = {name: entry.get(name, "") for name in ("run", "flow", "kind", "at")}
        whose = {"source": source, "namespace": self._namespace.name, "entry": json_text(entry)}
        return fitted(history, {**values, **whose}), entry

    def _append(self, connection: Connection, rows: list[dict[str, Any]]) -> None:
        """Add rows to the chains of their runs."""
        known = heads_of(connection, self._namespace, RUNS, {row["run"] for row in rows})
        heads, chained = dict(known), []
        for row in rows:
            made, heads[row["run"]] = linked(RUNS, row, heads.get(row["run"], Head()))
            chained.append(made)
        insert_all(connection, history, chained)
        moved = {run: heads[run] for run in sorted({row["run"] for row in rows})}
        move(connection, self._namespace, RUNS, known, moved)

    def of(self, run: str) -> dict[str, dict[str, Any]]:
        """The entries of a run by their source, oldest first."""
        own = self._own & (history.c.run == run)
        query = select(history.c.source, *_TOLD).where(own).order_by(history.c.id)
        with self._database.begin() as connection:
            return {source: _entry(*told) for source, *told in connection.execute(query)}

    def outcomes(self, run: str, kinds: Iterable[str]) -> list[dict[str, Any]]:
        """The entries of a run that are of these kinds, oldest first."""
        wanted = list(kinds)
        own = self._own & (history.c.run == run) & history.c.kind.in_(wanted)
        with self._database.begin() as connection:
            found = connection.execute(select(*_TOLD).where(own).order_by(history.c.id))
            entries = (_entry(*told) for told in found)
            return [entry for entry in entries if entry.get("kind") in wanted]

    def newest(self) -> int:
        """The number of the newest entry; 0 where there is none."""
        with self._database.begin() as connection:
            return int(connection.scalar(select(func.max(history.c.id)).where(self._own)) or 0)

    def since(self, number: int, limit: int = 5_000) -> list[tuple[int, dict[str, Any]]]:
        """The entries of all runs that were written after the one of that number, oldest first, with their numbers; ``limit``
        at most, so ask again from the last one until there are none.

        Where several coordinator processes write at once, one that is late can be missed.
        """
        query = (
            select(history.c.id, *_TOLD)
            .where(self._own & (history.c.id > number))
            .order_by(history.c.id)
            .limit(limit)
        )
        with self._database.begin() as connection:
            return [(found, _entry(*told)) for found, *told in connection.execute(query)]

    def recent_runs(self, limit: int = 50) -> list[dict[str, Any]]:
        """The entries with which the newest runs began, newest first."""
        query = (
            select(*_TOLD)
            .where(self._own & (history.c.kind == "started"))
            .order_by(history.c.id.desc())
            .limit(limit)
        )
        with self._database.begin() as connection:
            return [_entry(*told) for told in connection.execute(query)]

    def count_runs(self) -> int:
        """How many runs have begun, as far as the journal goes back."""
        query = select(func.count()).select_from(history).where(self._own & (history.c.kind == "started"))
        with self._database.begin() as connection:
            return int(connection.scalar(query) or 0)


def _entry(run: str, at: str, text: str) -> dict[str, Any]:
    """The entry in a row; where that was changed by hand, what says so."""
    try:
        return checked(json_value(text))
    except (InvalidData, ValueError) as error:
        return unreadable(
            str(run), str(at), f"what the journal has there is no entry: {printable(error, 200)}"
        )
