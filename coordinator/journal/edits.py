"""Edits in the journal: the messages whose place an edited one took, each with who did it and why."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update

from handoffs.coordinator.journal.database import Database
from handoffs.coordinator.journal.tables import dead_letters, edits


@dataclass(frozen=True, slots=True)
class EditRow:
    """An edit of a letter's message: ``message`` is the one before it, as it came."""

    letter: str
    number: int
    at: str
    who: str
    why: str
    message: dict[str, Any]


class EditTable:
    """The edits of letters.

    Every method raises :class:`~handoffs.coordinator.errors.ServerError` where the database cannot be used.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, row: EditRow, edited: dict[str, Any]) -> None:
        """Keep the message that a letter had before an edit, and give it the ``edited`` one. Doing it again changes nothing."""
        fields = {name: getattr(row, name) for name in row.__slots__}
        values = {**fields, "message": json.dumps(row.message, ensure_ascii=False)}
        text = json.dumps(edited, ensure_ascii=False)
        with self._database.begin() as connection:
            connection.execute(self._database.insert(edits).values(**values).on_conflict_do_nothing())
            connection.execute(
                update(dead_letters).where(dead_letters.c.id == row.letter).values(message=text)
            )

    def of(self, letter: str) -> list[EditRow]:
        """The edits of a letter, oldest first, each with the message before it."""
        query = select(edits).where(edits.c.letter == letter).order_by(edits.c.number)
        with self._database.begin() as connection:
            return [
                EditRow(
                    **{name: found[name] for name in EditRow.__slots__}
                    | {"message": json.loads(found["message"])}
                )
                for found in connection.execute(query).mappings()
            ]
