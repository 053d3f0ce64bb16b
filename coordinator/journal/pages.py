"""Pages: the rows of a query, some at a time, however many there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, true, tuple_

from handoffs.coordinator.journal.database import Database

PAGE = 1_000
"""How many rows are read at once."""


def pages(
    database: Database,
    query: Select[Any],
    order: Sequence[ColumnElement[Any]],
    size: int = PAGE,
    connection: Connection | None = None,
) -> Iterator[Sequence[RowMapping]]:
    """What a query gives, in the order of columns that it selects and that tell each row from all others; the last page may be empty. All
    are read in the transaction of ``connection``, where there is one, or else each in one of its own.

    Raises :class:`~handoffs.coordinator.errors.ServerError` where the database cannot be used.
    """
    query = query.order_by(*order).limit(size)
    after: ColumnElement[bool] = true()
    names = [str(column.key) for column in order]
    while True:
        if connection is not None:
            page = connection.execute(query.where(after)).mappings().all()
        else:
            with database.begin() as own:
                page = own.execute(query.where(after)).mappings().all()
        yield page
        if len(page) < size:
            return
        after = tuple_(*order) > tuple(page[-1][name] for name in names)
