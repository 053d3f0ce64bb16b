"""Audit: what the ledger holds at one moment, and whether it is sound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, and_, case, func, or_, select

from handoffs.tasks.payments.ledger_tables import ENTRIES, TRANSFERS


@dataclass(frozen=True, slots=True)
class Audit:
    """What the book holds at one moment.

    ``doubled`` is the number of payment ids credited more than once, counted from the entries and
    not from the primary key.  ``balanced`` says that every currency sums to zero, and that every
    transfer has exactly two opposite entries, which match it.
    """

    transfers: int
    entries: int
    doubled: int
    balanced: bool


def audited(connection: Connection) -> Audit:
    """Count the book and check it, in the transaction of a connection."""
    return Audit(
        transfers=_count(connection, select(TRANSFERS.c.payment_id)),
        entries=_count(connection, select(ENTRIES.c.id)),
        doubled=_count(connection, _DOUBLED),
        balanced=not any(_count(connection, wrong) for wrong in (_SKEWED, _MISMATCHED, _ORPHANED)),
    )


def _count(connection: Connection, rows: Any) -> int:
    return int(connection.execute(select(func.count()).select_from(rows.subquery())).scalar_one())


def _ones(condition: Any) -> Any:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


_DOUBLED: Final = (
    select(ENTRIES.c.transfer)
    .where(ENTRIES.c.amount > 0)
    .group_by(ENTRIES.c.transfer)
    .having(func.count() > 1)
)

_SKEWED: Final = (
    select(ENTRIES.c.currency).group_by(ENTRIES.c.currency).having(func.sum(ENTRIES.c.amount) != 0)
)

_SAME_CURRENCY: Final = ENTRIES.c.currency == TRANSFERS.c.currency
_RIGHT_DEBIT: Final = and_(
    _SAME_CURRENCY, ENTRIES.c.account == TRANSFERS.c.debit, ENTRIES.c.amount == -TRANSFERS.c.amount
)
_RIGHT_CREDIT: Final = and_(
    _SAME_CURRENCY, ENTRIES.c.account == TRANSFERS.c.credit, ENTRIES.c.amount == TRANSFERS.c.amount
)

_MISMATCHED: Final = (
    select(TRANSFERS.c.payment_id)
    .select_from(TRANSFERS.outerjoin(ENTRIES, ENTRIES.c.transfer == TRANSFERS.c.payment_id))
    .group_by(TRANSFERS.c.payment_id)
    .having(or_(func.count(ENTRIES.c.id) != 2, _ones(_RIGHT_DEBIT) != 1, _ones(_RIGHT_CREDIT) != 1))
)

_ORPHANED: Final = (
    select(ENTRIES.c.id)
    .select_from(ENTRIES.outerjoin(TRANSFERS, ENTRIES.c.transfer == TRANSFERS.c.payment_id))
    .where(TRANSFERS.c.payment_id.is_(None))
)
