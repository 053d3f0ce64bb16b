"""Recent: how much happened lately, by the newest entries of the history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select

from handoffs.coordinator.continuation.path import STORY
from handoffs.coordinator.journal.database import Database
from handoffs.coordinator.journal.namespace import Namespace
from handoffs.coordinator.journal.run_filter import LIVE, LOST
from handoffs.coordinator.journal.tables import history, runs

MOST = 20_000
"""How many of the newest entries are looked at, at most: where more have happened, the time that they are from is shorter."""


@dataclass(frozen=True, slots=True)
class Happened:
    """How many entries of each kind there were in the ``seconds`` before ``until``, by flow and kind."""

    until: datetime
    seconds: float
    counts: Mapping[tuple[str, str], int]


class Recent:
    """What happened lately in one installation. Raises :class:`~handoffs.coordinator.errors.ServerError` where the database cannot be
    used."""

    def __init__(self, database: Database, namespace: Namespace) -> None:
        self._database = database
        self._own = history.c.namespace == namespace.name
        self._runs = runs.c.namespace == namespace.name

    def before(self, until: datetime, span: timedelta) -> Happened:
        """What happened in ``span`` before ``until``, in UTC; in less, where that is more than :data:`MOST` entries."""
        newest = select(func.max(history.c.id)).where(self._own).scalar_subquery()
        begin = until - span
        looked_at = (
            select(history.c.flow, history.c.kind, history.c.at)
            .where(self._own & (history.c.id > newest - MOST))
            .where((history.c.at > _written(begin)) & (history.c.at <= _written(until)))
            .subquery()
        )
        query = select(looked_at.c.flow, looked_at.c.kind, func.count(), func.min(looked_at.c.at)).group_by(
            looked_at.c.flow, looked_at.c.kind
        )
        with self._database.begin() as connection:
            found = connection.execute(query).all()
        counts = {(str(flow), str(kind)): int(count) for flow, kind, count, _ in found}
        if sum(counts.values()) >= MOST:  # so many, that those before them were not looked at
            begin = max(begin, min(_read(first, begin) for *_, first in found))
        return Happened(until, max((until - begin).total_seconds(), 0.001), counts)

    def living(self) -> int:
        """How many runs of flows have not ended, as far as the journal has been told."""
        living = self._runs & runs.c.state.in_([LIVE, LOST]) & ~runs.c.flow.like(f"{STORY}%")
        query = select(func.count()).select_from(runs).where(living)
        with self._database.begin() as connection:
            return int(connection.scalar(query) or 0)


def _written(moment: datetime) -> str:
    """A moment as the history has it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _read(text: str, otherwise: datetime) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:  # the journal was changed by hand
        return otherwise
    return found if found.tzinfo else found.replace(tzinfo=UTC)
