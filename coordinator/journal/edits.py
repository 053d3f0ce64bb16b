"""Edits in the journal: the messages whose place an edited one took, each with who did it and why."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, update

from handoffs.coordinator.journal.tables import dead_letters
from handoffs.coordinator.journal.tables import edits as edits_table


@dataclass(frozen=True, slots=True)
class EditRow:
    """An edit of a letter's message: ``message`` is the one before it, as it came."""

    letter: str
    number: int
    at: str
    who: str
    why: str
    message: dict[str, Any]


def keep(connection: Connection, insert: Any, row: EditRow, edited: dict[str, Any]) -> None:
    """Keep what was before an edit, and let the letter have the ``edited`` message. Doing it again changes nothing."""
    fields = {name: getattr(row, name) for name in row.__slots__}
    values = {**fields, "message": json.dumps(row.message, ensure_ascii=False)}
    connection.execute(insert.values(**values).on_conflict_do_nothing())
    text = json.dumps(edited, ensure_ascii=False)
    connection.execute(update(dead_letters).where(dead_letters.c.id == row.letter).values(message=text))


def listed(connection: Connection, letter: str) -> list[EditRow]:
    """The edits of a letter, the oldest first."""
    query = select(edits_table).where(edits_table.c.letter == letter).order_by(edits_table.c.number)
    return [
        EditRow(
            **{name: found[name] for name in EditRow.__slots__} | {"message": json.loads(found["message"])}
        )
        for found in connection.execute(query).mappings()
    ]
