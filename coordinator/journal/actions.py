"""Operator actions in the journal: who did what, to which run and letter, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

from handoffs.coordinator.history import now
from handoffs.coordinator.journal.database import Database
from handoffs.coordinator.journal.tables import actions

LARGEST_PAGE = 1_000
"""How many actions a page has at most."""


@dataclass(frozen=True, slots=True)
class ActionRow:
    """What an operator did. ``at`` is ISO 8601 in UTC; ``run`` and ``letter`` are empty where it was done to none."""

    id: int
    at: str
    who: str
    action: str
    run: str
    letter: str
    note: str


@dataclass(frozen=True, slots=True)
class ActionPage:
    """Some actions, newest first. ``older`` is what to give as ``before`` for the next page; None where this is the last."""

    actions: tuple[ActionRow, ...]
    older: int | None


class ActionTable:
    """What operators did.

    Every method raises :class:`~handoffs.coordinator.errors.ServerError` where the database cannot be used.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, action: str, *, who: str, run: str = "", letter: str = "", note: str = "") -> None:
        """Record what an operator did."""
        with self._database.begin() as connection:
            record(connection, action, who=who, run=run, letter=letter, note=note)

    def of(self, run: str) -> list[ActionRow]:
        """What operators did to a run, oldest first; of the empty one what they did to none."""
        query = select(actions).where(actions.c.run == run).order_by(actions.c.id)
        with self._database.begin() as connection:
            return [ActionRow(**found) for found in connection.execute(query).mappings()]

    def page(
        self, *, run: str = "", by: str = "", since: str = "", before: int | None = None, limit: int = 50
    ) -> ActionPage:
        """Actions, newest first: of one run, by one person, done at ``since`` (ISO 8601 in UTC) or later; an empty filter lets
        everything pass. ``before`` is :attr:`ActionPage.older` of the page before this one.

        Raises :class:`ValueError` where ``limit`` is not from 1 to :data:`LARGEST_PAGE`.
        """
        if not 1 <= limit <= LARGEST_PAGE:
            raise ValueError(f"a page has 1 to {LARGEST_PAGE} actions, not {limit}")
        query = select(actions).order_by(actions.c.id.desc()).limit(limit + 1)
        if run:
            query = query.where(actions.c.run == run)
        if by:
            query = query.where(actions.c.who == by)
        if since:
            query = query.where(actions.c.at >= since)
        if before is not None:
            query = query.where(actions.c.id < before)
        with self._database.begin() as connection:
            rows = [ActionRow(**found) for found in connection.execute(query).mappings()]
        return ActionPage(tuple(rows[:limit]), rows[limit - 1].id if len(rows) > limit else None)


def record(
    connection: Connection, action: str, *, who: str, run: str = "", letter: str = "", note: str = ""
) -> None:
    """Record an action together with what else the transaction of ``connection`` writes."""
    values: dict[str, Any] = {"who": who, "action": action, "run": run, "letter": letter, "note": note}
    connection.execute(insert(actions).values(at=now(), **values))
