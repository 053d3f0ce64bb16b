"""History in the journal: what happened to each run, for good."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import func, select

from handoffs.coordinator.journal.database import Database
from handoffs.coordinator.journal.tables import history


class HistoryTable:
    """The entries of all runs, numbered in the order in which they were written.

    Every method raises :class:`~handoffs.coordinator.errors.ServerError` where the database cannot be used.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, entries: Iterable[tuple[str, dict[str, Any]]]) -> int:
        """Write history entries, each given with a unique source; gives how many were new."""
        rows = [
            {
                "source": source,
                "run": entry.get("run", ""),
                "flow": entry.get("flow", ""),
                "kind": entry.get("kind", ""),
                "at": entry.get("at", ""),
                "entry": json.dumps(entry, ensure_ascii=False),
            }
            for source, entry in entries
        ]
        if not rows:
            return 0
        sources = history.c.source.in_([row["source"] for row in rows])
        with self._database.begin() as connection:
            known = set(connection.scalars(select(history.c.source).where(sources)))
            connection.execute(self._database.insert(history).on_conflict_do_nothing(), rows)
        return len(rows) - len(known)

    def of(self, run: str) -> dict[str, dict[str, Any]]:
        """The entries of a run by their source, oldest first."""
        query = select(history.c.source, history.c.entry).where(history.c.run == run).order_by(history.c.id)
        with self._database.begin() as connection:
            return {source: json.loads(text) for source, text in connection.execute(query)}

    def newest(self) -> int:
        """The number of the newest entry; 0 where there is none."""
        with self._database.begin() as connection:
            return int(connection.scalar(select(func.max(history.c.id))) or 0)

    def since(self, number: int, limit: int = 5_000) -> list[tuple[int, dict[str, Any]]]:
        """The entries of all runs that were written after the one of that number, oldest first, with their numbers; ``limit``
        at most, so ask again from the last one until there are none.

        Where several coordinator processes write at once, one that is late can be missed.
        """
        query = (
            select(history.c.id, history.c.entry)
            .where(history.c.id > number)
            .order_by(history.c.id)
            .limit(limit)
        )
        with self._database.begin() as connection:
            return [(found, json.loads(text)) for found, text in connection.execute(query)]

    def recent_runs(self, limit: int = 50) -> list[dict[str, Any]]:
        """The entries with which the newest runs began, newest first."""
        query = (
            select(history.c.entry)
            .where(history.c.kind == "started")
            .order_by(history.c.id.desc())
            .limit(limit)
        )
        with self._database.begin() as connection:
            return [json.loads(text) for text in connection.scalars(query)]
