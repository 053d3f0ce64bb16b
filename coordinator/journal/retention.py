"""Retention: the runs that have ended and are older than they are to be kept are removed, and leave a tombstone each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, delete, false, func, or_, select, tuple_

from handoffs.coordinator.history import now
from handoffs.coordinator.journal.actions import ActionRow, tell
from handoffs.coordinator.journal.chain import RUNS, Head
from handoffs.coordinator.journal.database import Database
from handoffs.coordinator.journal.heads import alone, heads_of
from handoffs.coordinator.journal.namespace import Namespace
from handoffs.coordinator.journal.run_filter import ENDED
from handoffs.coordinator.journal.tables import chains, dead_letters, edits, history, runs, search
from handoffs.coordinator.journal.tombstones import PRUNE, words

BATCH = 50
"""How many runs are removed in one transaction: others who write wait meanwhile."""

_LISTED = 1_000


@dataclass(frozen=True, slots=True)
class Policy:
    """How long a run is kept after it has ended: by its flow, and ``otherwise``; None: for good."""

    otherwise: timedelta | None = None
    flows: Mapping[str, timedelta] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.otherwise is not None or bool(self.flows)


@dataclass(frozen=True, slots=True)
class Expired:
    """A run that is older than it is to be kept; ``ended``: when the journal heard of its end, ISO 8601 in UTC. ``number`` is the one that
    it has in the journal."""

    number: int
    run: str
    flow: str
    state: str
    ended: str


class Retention:
    """Removes what a policy does not keep, of one installation. A run that has not ended, or of which a letter waits, is kept.

    Every method raises :class:`~handoffs.coordinator.errors.ServerError` where the database cannot be used.
    """

    def __init__(self, database: Database, namespace: Namespace) -> None:
        self._database = database
        self._namespace = namespace

    def expired(self, policy: Policy, at: datetime) -> Iterator[Expired]:
        """The runs that would be removed at a time, in the order in which they ended; a page of them is held at a time."""
        after = ("", 0)
        while True:
            with self._database.begin() as connection:
                page = self._expired(connection, policy, at, _LISTED, after)
            yield from page
            if len(page) < _LISTED:
                return
            after = (page[-1].ended, page[-1].number)

    def prune(self, policy: Policy, at: datetime, *, by: str, why: str = "") -> list[Expired]:
        """At a time, by a clock that is trusted (Redis' own: a host whose clock is ahead would remove what is not old), remove up to :data:`BATCH` of them with all that is written of them, but for what people did, and say so in an action of each
        (:mod:`.tombstones`). Gives those that were removed: ask again until there are none."""
        with self._database.begin() as connection:
            alone(connection, self._namespace, RUNS)
            found = self._expired(connection, policy, at, BATCH, ("", 0))
            if not found:
                return []
            ends = self._remove(connection, [one.run for one in found])
            written = now()
            rows = [
                ActionRow(0, written, by, PRUNE, one.run, "", words(ends[one.run], _reason(policy, one, why)))
                for one in found
            ]
            tell(connection, self._namespace, rows)
        return found

    def _expired(
        self, connection: Connection, policy: Policy, at: datetime, limit: int, after: tuple[str, int]
    ) -> list[Expired]:
        waits = (
            (dead_letters.c.namespace == runs.c.namespace)
            & (dead_letters.c.run == runs.c.run)
            & (dead_letters.c.state == "waiting")
        )
        chosen = (runs.c.namespace == self._namespace.name) & runs.c.state.in_(ENDED) & _older(policy, at)
        query = (
            select(runs.c.id, runs.c.run, runs.c.flow, runs.c.state, runs.c.at)
            .where(chosen & ~select(1).where(waits).exists())
            .where(tuple_(runs.c.at, runs.c.id) > after)
            .order_by(runs.c.at, runs.c.id)
            .limit(limit)
        )
        return [Expired(*found) for found in connection.execute(query)]

    def _remove(self, connection: Connection, names: list[str]) -> dict[str, Head]:
        """Remove runs; gives where the chain of each ended; of one without a chain, how many entries there were."""
        own = self._namespace.name
        of_them = (history.c.namespace == own) & history.c.run.in_(names)
        counted = connection.execute(
            select(history.c.run, func.count()).where(of_them).group_by(history.c.run)
        )
        counts = {str(run): int(count) for run, count in counted}
        heads = heads_of(connection, self._namespace, RUNS, names)
        letters = (dead_letters.c.namespace == own) & dead_letters.c.run.in_(names)
        ids = select(dead_letters.c.id).where(letters)
        connection.execute(delete(edits).where(edits.c.letter.in_(ids)))
        connection.execute(delete(dead_letters).where(letters))
        connection.execute(delete(history).where(of_them))
        connection.execute(delete(search).where((search.c.namespace == own) & search.c.run.in_(names)))
        ended = (chains.c.namespace == own) & (chains.c.kind == RUNS) & chains.c.name.in_(names)
        connection.execute(delete(chains).where(ended))
        connection.execute(delete(runs).where((runs.c.namespace == own) & runs.c.run.in_(names)))
        return {run: heads.get(run) or Head(counts.get(run, 0)) for run in names}


def _reason(policy: Policy, run: Expired, why: str) -> str:
    kept = policy.flows.get(run.flow, policy.otherwise)
    return f"{run.flow} {run.state} {run.ended}, kept for {kept}" + (f"; {why}" if why else "")


def _older(policy: Policy, at: datetime) -> ColumnElement[bool]:
    """Which runs ended longer ago than they are to be kept."""
    conditions = [
        (runs.c.flow == flow) & (runs.c.at < _ago(at, kept)) for flow, kept in sorted(policy.flows.items())
    ]
    if policy.otherwise is not None:
        conditions.append(runs.c.flow.not_in(sorted(policy.flows)) & (runs.c.at < _ago(at, policy.otherwise)))
    return or_(false(), *conditions)


def _ago(at: datetime, span: timedelta) -> str:
    try:
        return (at - span).isoformat(timespec="milliseconds")
    except OverflowError:  # before the first year that a calendar has
        return ""
