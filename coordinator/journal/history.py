"""History in the journal: what happened to each run, for good."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from sqlalchemy import func, select

from handoffs.contracts.errors import InvalidData
from handoffs.contracts.text import printable
from handoffs.coordinator.history import checked, unreadable
from handoffs.coordinator.journal.actions import action_of, tell
from handoffs.coordinator.journal.columns import fitted, json_text, json_value
from handoffs.coordinator.journal.database import Database
from handoffs.coordinator.journal.namespace import Namespace
from handoffs.coordinator.journal.tables import history

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
        """Write history entries, each given with a unique source; gives how many were new. What a person did to a run is an operator's
        action as well, and is written with the same transaction: once, however often the entry comes."""
        given = list(entries)
        rows = [
            fitted(
                history,
                {
                    "source": source,
                    "run": entry.get("run", ""),
                    "flow": entry.get("flow", ""),
                    "kind": entry.get("kind", ""),
                    "at": entry.get("at", ""),
                    "namespace": self._namespace.name,
                    "entry": json_text(entry),
                },
            )
            for source, entry in given
        ]
        if not rows:
            return 0
        sources = history.c.source.in_([row["source"] for row in rows])
        with self._database.begin() as connection:
            known = set(connection.scalars(select(history.c.source).where(sources)))
            insert = self._database.insert(history).on_conflict_do_nothing()
            by_people = {
                row["source"]: action
                for row, (_, entry) in zip(rows, given, strict=True)
                if (action := action_of(entry)) is not None and row["source"] not in known
            }
            for is_action, some in groupby(rows, key=lambda row: row["source"] in by_people):
                together = list(some)  # in the order in which they came
                if not is_action:
                    connection.execute(insert, together)
                    continue
                for row in together:  # another process may write the same at this moment
                    added = connection.scalar(insert.values(row).returning(history.c.id))
                    if added is not None:
                        tell(connection, self._namespace, by_people[row["source"]])
        return len(rows) - len(known)

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
