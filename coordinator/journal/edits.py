"""Edits in the journal: the messages whose place an edited one took, each with who did it and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any

from sqlalchemy import select, update

from handoffs.coordinator.journal.columns import json_text
from handoffs.coordinator.journal.database import Database
from handoffs.coordinator.journal.letter_row import message_of
from handoffs.coordinator.journal.namespace import Namespace
from handoffs.coordinator.journal.seal import Seal
from handoffs.coordinator.journal.tables import dead_letters, edits


@dataclass(frozen=True, slots=True)
class EditNote:
    """That a letter's message was edited, by whom and why."""

    letter: str
    number: int
    at: str
    who: str
    why: str


@dataclass(frozen=True, slots=True)
class EditRow(EditNote):
    """An edit of a letter's message: ``message`` is the one before it, as it came."""

    message: dict[str, Any] = field(repr=False)


_NOTE = tuple(one.name for one in fields(EditNote))


class EditTable:
    """The edits of letters, of one installation.

    Every method raises :class:`~handoffs.coordinator.errors.ServerError` where the database cannot be used.
    """

    def __init__(self, database: Database, namespace: Namespace, seal: Seal) -> None:
        self._database = database
        self._namespace = namespace
        self._seal = seal
        self._own = edits.c.namespace == namespace.name

    def keep(self, row: EditRow, edited: dict[str, Any]) -> None:
        """Keep the message that a letter had before an edit, and give it the ``edited`` one. Doing it again changes nothing."""
        letter = self._namespace.key(row.letter)
        values = {
            **{name: getattr(row, name) for name in _NOTE},
            "letter": letter,
            "message": self._seal.closed(_text(row.message), place_of(letter, row.number)),
            "namespace": self._namespace.name,
        }
        same = (dead_letters.c.namespace == self._namespace.name) & (dead_letters.c.id == letter)
        text = self._seal.closed(_text(edited), letter)
        with self._database.begin() as connection:
            connection.execute(self._database.insert(edits).values(**values).on_conflict_do_nothing())
            connection.execute(update(dead_letters).where(same).values(message=text))

    def notes(self, letters: Iterable[str]) -> dict[str, list[EditNote]]:
        """The edits of letters by their ids, oldest first; no message is read."""
        keys = {self._namespace.key(letter): letter for letter in letters}
        query = select(*(edits.c[name] for name in _NOTE)).where(self._own & edits.c.letter.in_(keys))
        found: dict[str, list[EditNote]] = {letter: [] for letter in keys.values()}
        with self._database.begin() as connection:
            for row in connection.execute(query.order_by(edits.c.number)).mappings():
                letter = keys[row["letter"]]
                found[letter].append(EditNote(**{**row, "letter": letter}))
        return found

    def of(self, letter: str) -> list[EditRow]:
        """The edits of a letter, oldest first, each with the message before it. Raises
        :class:`~handoffs.coordinator.errors.SealBroken` where one is sealed with a key that is not there."""
        key = self._namespace.key(letter)
        query = select(edits).where(self._own & (edits.c.letter == key)).order_by(edits.c.number)
        with self._database.begin() as connection:
            rows = connection.execute(query).mappings().all()
        return [
            EditRow(
                **{name: found[name] for name in _NOTE} | {"letter": letter},
                message=message_of(self._seal.opened(found["message"], place_of(key, found["number"]))),
            )
            for found in rows
        ]


def place_of(letter: str, number: int) -> str:
    """What the message before an edit is sealed for; ``letter`` is the key of the letter's row."""
    return f"{letter}\n{number}"


def _text(message: dict[str, Any]) -> str:
    return json_text(message)
