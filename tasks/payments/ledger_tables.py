"""The tables of the ledger. Amounts are in the minor unit of the currency."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, MetaData, String, Table

from handoffs.tasks.payments.arguments import MAX_ID_LENGTH
from handoffs.tasks.payments.sqlstore import UtcDateTime

METADATA: Final = MetaData()

TRANSFERS: Final = Table(
    "transfers",
    METADATA,
    Column("payment_id", String(MAX_ID_LENGTH), primary_key=True),
    Column("amount", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("debit", String(MAX_ID_LENGTH), nullable=False),
    Column("credit", String(MAX_ID_LENGTH), nullable=False),
    Column("booked_at", UtcDateTime, nullable=False),
)

ENTRIES: Final = Table(  # no unique key on purpose: the audit must be able to find a double
    "entries",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("transfer", ForeignKey("transfers.payment_id"), nullable=False, index=True),
    Column("account", String(MAX_ID_LENGTH), nullable=False, index=True),
    Column("amount", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
)
