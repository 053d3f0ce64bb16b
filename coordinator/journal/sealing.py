"""Sealing: what is in the journal in clear, or sealed with an older key, is sealed with the key that writes now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, Table, func, select, tuple_, update

from handoffs.config.user import current_user
from handoffs.coordinator.errors import SealBroken
from handoffs.coordinator.journal import actions
from handoffs.coordinator.journal.database import Database
from handoffs.coordinator.journal.edits import place_of
from handoffs.coordinator.journal.namespace import Namespace
from handoffs.coordinator.journal.seal import Seal
from handoffs.coordinator.journal.tables import dead_letters, edits

PAGE = 50
"""How many rows are sealed in one transaction; their messages are read one at a time."""


@dataclass(frozen=True, slots=True)
class Resealed:
    """How many messages were sealed anew, and why others were not, by the ids of their letters."""

    done: int
    refused: dict[str, str]


class Sealing:
    """Seals the messages of one installation that are not sealed with the key that writes now."""

    def __init__(self, database: Database, namespace: Namespace, seal: Seal) -> None:
        self._database = database
        self._namespace = namespace
        self._seal = seal

    def count(self) -> int:
        """How many messages are not sealed with the key that writes now; 0 where there is none."""
        return sum(len(page) for kind in (_LETTERS, _EDITS) for page in self._pages(kind))

    def reseal(self, progress: Callable[[], None] = lambda: None, *, by: str = "", why: str = "") -> Resealed:
        """Seal them; ``progress`` is called for each. What cannot be opened stays as it is. Doing it twice changes nothing. Who does it (by
        default who is logged in), and why, is recorded with the first message that is sealed.

        Raises :class:`~handoffs.coordinator.errors.ServerError` where the database cannot be used: what is done is done.
        """
        recorded = False
        done, refused = 0, dict[str, str]()
        for kind in (_LETTERS, _EDITS):
            for page in self._pages(kind):
                with self._database.begin() as connection:
                    for row in page:
                        try:
                            done += self._one(connection, kind, row)
                        except SealBroken as error:
                            refused[self._namespace.plain(row[0])] = str(error)
                        progress()
                    if done and not recorded:
                        recorded = True
                        note = actions.note_of(f"sealed with the key {self._seal.writes}", why)
                        actions.record(
                            connection, self._namespace, "reseal", who=by or current_user(), note=note
                        )
        return Resealed(done, refused)

    def _one(self, connection: Connection, kind: _Kind, row: Any) -> int:
        """Seal one message anew; gives how many were."""
        same = tuple_(*kind.key) == tuple(row)
        message = kind.table.c.message
        text = connection.scalar(select(message).where(same).with_for_update())
        if text is None or text.startswith(self._seal.mark):  # an edit may have come in between
            return 0
        place = kind.place(tuple(row))
        sealed = self._seal.closed(self._seal.opened(text, place), place)
        return connection.execute(update(kind.table).where(same).values(message=sealed)).rowcount

    def _pages(self, kind: _Kind) -> Iterator[list[Any]]:
        """The keys of rows whose messages are not sealed with the key that writes now."""
        if not self._seal.writes:
            return
        mark = self._seal.mark
        begins = func.substr(kind.table.c.message, 1, len(mark))  # of a large text no more is read than that
        own = (kind.table.c.namespace == self._namespace.name) & (begins != mark)
        query = select(*kind.key).where(own).order_by(*kind.key).limit(PAGE)
        after: tuple[Any, ...] | None = None
        while True:
            later = query.where(tuple_(*kind.key) > after) if after else query
            with self._database.begin() as connection:
                page = list(connection.execute(later))
            yield page
            if len(page) < PAGE:
                return
            after = tuple(page[-1])


@dataclass(frozen=True, slots=True)
class _Kind:
    """A table that has messages: what names a row, and what its message is sealed for."""

    table: Table
    key: tuple[Column[Any], ...]
    place: Callable[[tuple[Any, ...]], str]


_LETTERS = _Kind(dead_letters, (dead_letters.c.id,), lambda row: str(row[0]))
_EDITS = _Kind(edits, (edits.c.letter, edits.c.number), lambda row: place_of(*row))
