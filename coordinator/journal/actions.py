"""Operator actions in the journal: who did what, to which run and letter, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Select, insert, select

from handoffs.contracts.text import printable
from handoffs.coordinator.history import ENGINE, EntryKind, now
from handoffs.coordinator.journal.chain import ACTIONS, Head, linked
from handoffs.coordinator.journal.columns import fitted
from handoffs.coordinator.journal.database import Database
from handoffs.coordinator.journal.heads import alone, heads_of, move
from handoffs.coordinator.journal.namespace import Namespace
from handoffs.coordinator.journal.tables import actions

_OF_ENTRIES = {
    EntryKind.CANCELLED: "cancel",
    EntryKind.GIVEN_UP: "give-up",
    EntryKind.PAUSED: "pause",
    EntryKind.RESUMED: "resume",
    EntryKind.SIGNALLED: "signal",
    EntryKind.ALLOWED: "allow",
}
"""What people do to runs in Redis, by the kind of the entry that the history has of it. All else is recorded where it is done."""

KINDS = frozenset(map(str, _OF_ENTRIES))
"""The kinds of entries that tell of what people do to runs."""

_CHAIN = ""
"""What the one chain of all actions is called."""
_LONGEST_NAME = 200
_LONGEST_NOTE = 2_000

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


_COLUMNS = [actions.c[name] for name in ActionRow.__slots__]


def action_of(entry: Mapping[str, Any]) -> ActionRow | None:
    """What a person did to a run, where that is what an entry of its history tells of; its ``id`` is 0."""
    action, who = _OF_ENTRIES.get(entry.get("kind", "")), entry.get("by", "")
    if action is None or not who or who == ENGINE:
        return None
    note = note_of(entry.get("step", "") if action == "signal" else "", entry.get("why", ""))
    return ActionRow(0, str(entry.get("at", "")), str(who), action, str(entry.get("run", "")), "", note)


def note_of(what: str, why: str) -> str:
    """The note of an action: what it was done to, where no column says that, and why."""
    return ": ".join(word for word in (what, why) if word)


class ActionTable:
    """What operators did.

    Every method raises :class:`~handoffs.coordinator.errors.ServerError` where the database cannot be used.
    """

    def __init__(self, database: Database, namespace: Namespace) -> None:
        self._database = database
        self._namespace = namespace
        self._query = select(*_COLUMNS).where(actions.c.namespace == namespace.name)

    def record(self, action: str, *, who: str, run: str = "", letter: str = "", note: str = "") -> None:
        """Record what an operator did."""
        with self._database.begin() as connection:
            record(connection, self._namespace, action, who=who, run=run, letter=letter, note=note)

    def of(self, run: str) -> list[ActionRow]:
        """What operators did to a run, oldest first; of the empty one what they did to none."""
        query = self._query.where(actions.c.run == run).order_by(actions.c.id)
        with self._database.begin() as connection:
            return [ActionRow(**found) for found in connection.execute(query).mappings()]

    def each(self, *, run: str = "", by: str = "", since: str = "") -> Iterator[ActionRow]:
        """All that :meth:`page` would give, oldest first; no more than a page of them is held."""
        last = 0
        chosen = _chosen(self._query, run, by, since).order_by(actions.c.id).limit(LARGEST_PAGE)
        while True:
            with self._database.begin() as connection:
                found = connection.execute(chosen.where(actions.c.id > last)).mappings().all()
            yield from (ActionRow(**row) for row in found)
            if len(found) < LARGEST_PAGE:
                return
            last = found[-1]["id"]

    def page(
        self, *, run: str = "", by: str = "", since: str = "", before: int | None = None, limit: int = 50
    ) -> ActionPage:
        """Actions, newest first: of one run, by one person, done at ``since`` (ISO 8601 in UTC) or later; an empty filter lets
        everything pass. ``before`` is :attr:`ActionPage.older` of the page before this one.

        Raises :class:`ValueError` where ``limit`` is not from 1 to :data:`LARGEST_PAGE`.
        """
        if not 1 <= limit <= LARGEST_PAGE:
            raise ValueError(f"a page has 1 to {LARGEST_PAGE} actions, not {limit}")
        query = _chosen(self._query, run, by, since).order_by(actions.c.id.desc()).limit(limit + 1)
        if before is not None:
            query = query.where(actions.c.id < before)
        with self._database.begin() as connection:
            rows = [ActionRow(**found) for found in connection.execute(query).mappings()]
        return ActionPage(tuple(rows[:limit]), rows[limit - 1].id if len(rows) > limit else None)


def _chosen(query: Select[Any], run: str, by: str, since: str) -> Select[Any]:
    if run:
        query = query.where(actions.c.run == run)
    if by:
        query = query.where(actions.c.who == by)
    return query.where(actions.c.at >= since) if since else query


def tell(connection: Connection, namespace: Namespace, rows: Sequence[ActionRow]) -> None:
    """Record what entries of the history tell of, each at the moment when it happened."""
    _append(connection, namespace, [asdict(row) for row in rows])


def record(
    connection: Connection,
    namespace: Namespace,
    action: str,
    *,
    who: str,
    run: str = "",
    letter: str = "",
    note: str = "",
) -> None:
    """Record an action together with what else the transaction of ``connection`` writes; the last thing that it does, for others who
    record one wait until it ends.

    Many parameters because each is a column.
    """
    _append(connection, namespace, [asdict(ActionRow(0, now(), who, action, run, letter, note))])


def _append(connection: Connection, namespace: Namespace, given: Sequence[dict[str, Any]]) -> None:
    """Add actions to their chain."""
    alone(connection, namespace, ACTIONS)
    known = heads_of(connection, namespace, ACTIONS, [_CHAIN])
    head, rows = known.get(_CHAIN, Head()), []
    for values in given:
        values |= {
            "who": printable(values["who"], _LONGEST_NAME),
            "note": printable(values["note"], _LONGEST_NOTE),
        }
        del values["id"]
        row, head = linked(ACTIONS, fitted(actions, {**values, "namespace": namespace.name}), head)
        rows.append(row)
    connection.execute(insert(actions), rows)
    move(connection, namespace, ACTIONS, known, {_CHAIN: head})
