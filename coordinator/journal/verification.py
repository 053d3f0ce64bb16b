"""Verification: whether the journal is as it was written, by its chains."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, select

from handoffs.coordinator.journal.chain import ACTIONS, RUNS, Head
from handoffs.coordinator.journal.database import Database
from handoffs.coordinator.journal.faults import Fault, Reading
from handoffs.coordinator.journal.heads import alone, heads_of, starts
from handoffs.coordinator.journal.namespace import Namespace
from handoffs.coordinator.journal.pages import pages
from handoffs.coordinator.journal.tables import actions, chains, history, runs

_ALL = ""
"""What the one chain of all actions is called."""
_CHAINS_AT_ONCE = 200

MOST_FAULTS = 1_000
"""How many faults are named; all are counted."""

Progress = Callable[[int], object]


@dataclass(slots=True)
class Verified:
    """What was found: how many ``runs``, ``entries`` of their histories and ``actions`` were followed; how many rows ``before`` the chain,
    of an older release, prove nothing; and the first fault of each chain, :data:`MOST_FAULTS` of them by name. ``count`` is of all."""

    runs: int = 0
    entries: int = 0
    actions: int = 0
    before: int = 0
    count: int = 0
    faults: tuple[Fault, ...] = ()

    def add(self, fault: Fault | None) -> None:
        """One more fault, where there is one."""
        if fault is not None:
            self.count += 1
            if self.count <= MOST_FAULTS:
                self.faults += (fault,)


class Verification:
    """Proves the journal of one installation, while it is written to. A page of rows is held at a time.

    Every method raises :class:`~handoffs.coordinator.errors.ServerError` where the database cannot be used.
    """

    def __init__(self, database: Database, namespace: Namespace) -> None:
        self._database = database
        self._namespace = namespace
        self._own = history.c.namespace == namespace.name

    def count(self) -> int:
        """How many rows :meth:`all` follows."""
        with self._database.begin() as connection:
            return sum(
                int(
                    connection.scalar(
                        select(func.count())
                        .select_from(table)
                        .where(table.c.namespace == self._namespace.name)
                    )
                    or 0
                )
                for table in (history, actions)
            )

    def all(self, progress: Progress = lambda _: None) -> Verified:
        """All chains; ``progress`` is called with how many rows more were followed."""
        found = Verified()
        with self._database.begin() as connection:
            start = starts(connection)
        for heads in self._heads():
            self._page(heads, start.get(RUNS, 0), found, progress)
        self._strays(start, found)
        self._actions(start.get(ACTIONS, 0), found, progress)
        return found

    def newest(self, most: int = 3, entries: int = 50) -> Verified:
        """The chains of some runs that the newest ``entries`` are about, ``most`` at most. Nobody who writes is held up for it, as long as
        they are sound."""
        found = Verified()
        newest = select(history.c.run).where(self._own).order_by(history.c.id.desc()).limit(entries)
        with self._database.begin() as connection:
            names = list(dict.fromkeys(connection.scalars(newest)))[:most]
            heads = heads_of(connection, self._namespace, RUNS, names)
            start = starts(connection).get(RUNS, 0)
        self._page({name: heads[name] for name in names if name in heads}, start, found, lambda _: None)
        return found

    def of(self, run: str) -> Verified:
        """The chain of one run."""
        found = Verified(runs=1)
        reading = self._exactly(run)
        found.entries, found.before = reading.entries, reading.before
        found.add(reading.fault)
        return found

    def _page(self, heads: Mapping[str, Head], start: int, found: Verified, progress: Progress) -> None:
        """The chains of some runs."""
        without = set(heads)
        for run, rows in groupby(self._rows(history.c.run.in_(list(heads))), key=lambda row: str(row["run"])):
            without.discard(run)
            reading = Reading(RUNS, heads[run], start, name=run)
            if reading.follow(rows) or reading.later:  # it may have been written to meanwhile
                reading = self._exactly(run)
            _count(found, reading, progress)
        for run in sorted(without):
            _count(found, self._exactly(run), progress)

    def _exactly(self, run: str) -> Reading:
        """The chain of a run, while nobody adds to it."""
        with self._database.begin() as connection:
            alone(connection, self._namespace, RUNS)
            head = heads_of(connection, self._namespace, RUNS, [run]).get(run, Head())
            reading = Reading(RUNS, head, starts(connection).get(RUNS, 0), name=run, exact=True)
            reading.follow(self._rows(history.c.run == run, connection))
        return reading

    def _strays(self, start: Mapping[str, int], found: Verified) -> None:
        """What is in no chain: rows of runs that have none, and runs of which nothing is left."""
        named = and_(
            chains.c.namespace == self._namespace.name, chains.c.kind == RUNS, chains.c.name == history.c.run
        )
        unchained = self._own & ~select(1).where(named).exists()
        before = (history.c.sequence == 0) & (history.c.id <= start.get(RUNS, 0))
        told = (
            select(1)
            .where((history.c.namespace == runs.c.namespace) & (history.c.run == runs.c.run))
            .exists()
        )
        noted = (runs.c.namespace == self._namespace.name) & (runs.c.id > start.get("noted", 0)) & ~told
        with self._database.begin() as connection:
            found.before += int(
                connection.scalar(select(func.count()).select_from(history).where(unchained & before)) or 0
            )
            stray = list(
                connection.scalars(
                    select(history.c.run).where(unchained & ~before).distinct().limit(MOST_FAULTS)
                )
            )
            gone = connection.execute(
                select(runs.c.run, runs.c.started).where(noted).limit(MOST_FAULTS)
            ).all()
        for run in stray:
            reading = self._exactly(run)
            found.runs, found.entries = found.runs + 1, found.entries + reading.entries
            found.add(reading.fault)
        for run, at in gone:
            known = self._exactly(run)
            if not known.entries and known.fault is None:
                found.add(Fault(RUNS, run, 1, at, "removed", "nothing is left of its history"))

    def _actions(self, start: int, found: Verified, progress: Progress) -> None:
        with self._database.begin() as connection:
            head = heads_of(connection, self._namespace, ACTIONS, [_ALL]).get(_ALL, Head())
        reading = Reading(ACTIONS, head, start)
        if reading.follow(self._acted(None)) or reading.later:  # something may have been recorded meanwhile
            with self._database.begin() as connection:
                alone(connection, self._namespace, ACTIONS)
                head = heads_of(connection, self._namespace, ACTIONS, [_ALL]).get(_ALL, Head())
                reading = Reading(ACTIONS, head, start, exact=True)
                reading.follow(self._acted(connection))
        found.actions, found.before = reading.entries, found.before + reading.before
        found.add(reading.fault)
        progress(reading.entries + reading.before)

    def _acted(self, connection: Connection | None) -> Iterator[RowMapping]:
        """All actions."""
        query = select(actions).where(actions.c.namespace == self._namespace.name)
        for page in pages(self._database, query, (actions.c.id,), connection=connection):
            yield from page

    def _heads(self) -> Iterator[dict[str, Head]]:
        """The heads of the runs, some at a time."""
        own = (chains.c.namespace == self._namespace.name) & (chains.c.kind == RUNS)
        query = select(chains.c.name, chains.c.sequence, chains.c.digest).where(own)
        for page in pages(self._database, query, (chains.c.name,), _CHAINS_AT_ONCE):
            yield {row["name"]: Head(row["sequence"], row["digest"]) for row in page}

    def _rows(
        self, wanted: ColumnElement[bool], connection: Connection | None = None
    ) -> Iterator[RowMapping]:
        """The rows of some runs, one run after the other."""
        query = select(history).where(self._own & wanted)
        for page in pages(self._database, query, (history.c.run, history.c.id), connection=connection):
            yield from page


def _count(found: Verified, reading: Reading, progress: Progress) -> None:
    found.runs += 1
    found.entries += reading.entries
    found.before += reading.before
    found.add(reading.fault)
    progress(reading.entries + reading.before)
