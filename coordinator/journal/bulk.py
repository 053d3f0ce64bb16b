"""Bulk: many rows into a table at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Insert, Table, insert


def insert_all(connection: Connection, into: Table | Insert, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that have the same columns, all of them texts and numbers: they go to the driver as they are. SQLAlchemy, which would
    look at each value on its way, takes longer for that than the database for the rest."""
    if not rows:
        return
    made = into if isinstance(into, Insert) else insert(into)
    statement = made.inline().compile(dialect=connection.dialect, column_keys=list(rows[0]))
    names = getattr(statement, "positiontup", None)
    if names:
        connection.exec_driver_sql(str(statement), [tuple(row[name] for name in names) for row in rows])
    else:
        connection.exec_driver_sql(str(statement), [dict(row) for row in rows])
