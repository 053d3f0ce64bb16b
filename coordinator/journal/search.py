"""Search: by what runs are found, the values of the searchable fields of what they were given and have made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, select

from handoffs.contracts.searchable import LONGEST, beginning, fitting, kept
from handoffs.coordinator.history import EntryKind
from handoffs.coordinator.journal.columns import fitted
from handoffs.coordinator.journal.database import Database
from handoffs.coordinator.journal.namespace import Namespace
from handoffs.coordinator.journal.tables import search

STORY = "@story"
"""The name under which a run that an event has started is found by the story of that event. No field is called so."""

_LOOKED_THROUGH = 1_000
"""Of so many values that begin alike the newest are told."""


class Marked(NamedTuple):
    """A value by which a run is found: the name of its field, the value, the run, and when that was written (ISO 8601 in UTC)."""

    name: str
    value: str
    run: str
    at: str


class SearchTable:
    """What is searchable of the runs of one installation. It is written with the history
    (:meth:`~handoffs.coordinator.journal.history.HistoryTable.record`).

    Every method raises :class:`~handoffs.coordinator.errors.ServerError` where the database cannot be used.
    """

    def __init__(self, database: Database, namespace: Namespace) -> None:
        self._database = database
        self._own = search.c.namespace == namespace.name

    def exact(self, text: str, limit: int) -> list[Marked]:
        """The runs that have exactly this value in whichever field, the newest first of each field, at most ``limit``. An index is read
        backwards for that: half of all runs may have the value."""
        query = self._listed(search.c.value == kept(text)).order_by(search.c.name.desc(), search.c.at.desc())
        return self._read(query.limit(limit))

    def beginning_with(self, text: str, limit: int) -> list[Marked]:
        """Those with a longer value that begins so: the newest of the first thousand, at most ``limit``."""
        longer = self._database.goes_on(search.c.value, beginning(text))
        same = kept(text)
        found = [one for one in self._read(self._listed(longer).limit(_LOOKED_THROUGH)) if one.value != same]
        return sorted(found, key=lambda one: (one.at, one.run), reverse=True)[:limit]

    def of(self, run: str) -> list[Marked]:
        """By what a run is found, sorted by the names of its fields."""
        return self._read(self._listed(search.c.run == run[:LONGEST]).order_by(search.c.name, search.c.value))

    def _listed(self, condition: ColumnElement[bool]) -> Select[Any]:
        columns = (search.c[name] for name in Marked._fields)
        return select(*columns).where(self._own & condition)

    def _read(self, query: Select[Any]) -> list[Marked]:
        with self._database.begin() as connection:
            return [Marked(*found) for found in connection.execute(query)]


def found_by(namespace: Namespace, name: str, value: str) -> Select[Any]:
    """The runs that have exactly this value in the field of that name, as a query of their ids."""
    own = search.c.namespace == namespace.name
    return select(search.c.run).where(own & (search.c.name == name) & (search.c.value == kept(value)))


def marks_of(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What an entry of the history says is searchable, as pairs of name and value."""
    yield from fitting(entry.get("marks"))
    story = entry.get("story")
    if entry.get("kind") == EntryKind.STARTED and isinstance(story, str) and story:
        yield STORY, kept(story)


def rows_of(namespace: Namespace, entries: Iterable[Mapping[str, Any]]) -> Sequence[dict[str, Any]]:
    """The rows of what entries of the history say is searchable, in one order, whoever else writes them."""
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for entry in entries:
        run = entry.get("run")
        for name, value in marks_of(entry) if run else ():
            row = {"namespace": namespace.name, "run": run, "name": name, "value": value}
            row = fitted(search, {**row, "at": entry.get("at", "")})
            rows.setdefault((row["run"], row["name"], row["value"]), row)
    return [rows[key] for key in sorted(rows)]
