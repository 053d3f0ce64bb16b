"""A double-entry book in SQL that several processes share, and that books a payment once.

The book is the outside system behind the ledger agent.  It keeps two tables:

* ``transfers``: one row a payment, with ``payment_id`` as the primary key;
* ``entries``: two rows a transfer, whose signed amounts sum to zero.  The debited account
  gets the negative amount and the credited account the positive one.

Amounts are stored as integers in the currency's minor unit (cents for EUR, yen for JPY, fils for
BHD).  A booking is one transaction, and the primary key decides between two callers that book the
same payment at once, so a payment is never credited twice however often it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from sqlalchemy import Connection, and_, bindparam, func, select

from handoffs.tasks.payments.arguments import wrong_id
from handoffs.tasks.payments.audit import Audit, audited
from handoffs.tasks.payments.ledger_errors import InvalidTransfer, LedgerConflict, LedgerUnavailable
from handoffs.tasks.payments.ledger_tables import ENTRIES, METADATA, TRANSFERS
from handoffs.tasks.payments.money import currency_exponent, major_units, minor_units
from handoffs.tasks.payments.sqlstore import (
    BUSY_TIMEOUT,
    UNREACHABLE,
    Access,
    SqlStore,
    insert_once,
    reason_of,
)

OUTAGE_WAIT: Final = timedelta(seconds=30)
"""How long ``outage()`` waits for the calls under way before it gives up."""

_TRANSFER: Final = select(TRANSFERS).where(TRANSFERS.c.payment_id == bindparam("payment"))
_ENTRY: Final = ENTRIES.insert()


@dataclass(frozen=True, slots=True)
class Booking:
    """A booked transfer; ``amount`` is in main units, ``booked_at`` in UTC.

    ``repeated`` is True when an earlier call had made the booking, which is the one answered.
    """

    payment_id: str
    debit: str
    credit: str
    amount: Decimal
    currency: str
    booked_at: datetime
    repeated: bool


@dataclass(frozen=True, slots=True)
class _Order:
    """A checked request to book; the amount in minor units."""

    payment_id: str
    debit: str
    credit: str
    amount: int
    currency: str

    def __str__(self) -> str:
        money = f"{major_units(self.amount, self.currency)} {self.currency}"
        return f"{money} from {self.debit!r} to {self.credit!r}"


class Ledger:
    """The book at a URL; any number of threads and processes may use it at once.

    ``busy_timeout`` is how long a call waits for a lock before LedgerUnavailable; it is short so
    that the caller's retry policy rules.  Raises ValueError for a URL that cannot be shared.
    """

    def __init__(self, url: str, *, busy_timeout: timedelta = BUSY_TIMEOUT) -> None:
        self._url = url
        self._store = SqlStore(url, METADATA, busy_timeout=busy_timeout)

    def __repr__(self) -> str:
        return f"Ledger({self._store.url!r})"

    def book(self, *, payment_id: str, debit: str, credit: str, amount: Decimal, currency: str) -> Booking:
        """Move the amount (main units, as 12.50) from the debit to the credit account, once.

        The same payment again answers the first booking with ``repeated=True``.

        Raises LedgerConflict when the payment is booked with other content, InvalidTransfer,
        InvalidAmount or UnknownCurrency (all three ValueError) when the request is unfit, and
        LedgerUnavailable when the database is locked or cannot be reached.
        """
        order = _checked(payment_id, debit, credit, amount, currency)
        with self._transaction("book", "write") as connection:
            made = _insert(connection, order)
            stored = connection.execute(_TRANSFER, {"payment": payment_id}).one()
        first = _Order(stored.payment_id, stored.debit, stored.credit, stored.amount, stored.currency)
        if first != order:
            raise LedgerConflict(payment_id, str(first), str(order))
        value = major_units(first.amount, first.currency)
        return Booking(payment_id, debit, credit, value, currency, stored.booked_at, repeated=not made)

    def balance(self, account: str, currency: str) -> Decimal:
        """The account's balance in main units: credits less debits; zero when nothing was booked.

        Raises UnknownCurrency and LedgerUnavailable.
        """
        currency_exponent(currency)
        wanted = and_(ENTRIES.c.account == account, ENTRIES.c.currency == currency)
        with self._transaction("balance", "read") as connection:
            total = connection.execute(select(func.sum(ENTRIES.c.amount)).where(wanted)).scalar_one()
        return major_units(int(total or 0), currency)

    def audit(self) -> Audit:
        """Count the book and check it, in one snapshot.

        Raises LedgerUnavailable.
        """
        with self._transaction("audit", "read") as connection:
            return audited(connection)

    @contextmanager
    def outage(self) -> Iterator[None]:
        """While the block runs, hold a real exclusive lock, so that every other call fails.

        SQLite: ``BEGIN EXCLUSIVE`` on a connection of its own, which locks the whole file.
        PostgreSQL: ``LOCK TABLE transfers, entries IN ACCESS EXCLUSIVE MODE``.
        Waits up to OUTAGE_WAIT for the calls under way, then raises LedgerUnavailable.
        """
        holder = SqlStore(self._url, METADATA, busy_timeout=OUTAGE_WAIT)
        with ExitStack() as held:
            held.callback(holder.close)
            try:
                connection = held.enter_context(holder.begin("exclusive"))
                if connection.dialect.name == "postgresql":
                    connection.exec_driver_sql("LOCK TABLE transfers, entries IN ACCESS EXCLUSIVE MODE")
            except UNREACHABLE as error:
                raise LedgerUnavailable("outage", reason_of(error)) from error
            yield

    def close(self) -> None:
        """Close this process's idle connections; the ledger may be used again."""
        self._store.close()

    @contextmanager
    def _transaction(self, operation: str, access: Access) -> Iterator[Connection]:
        try:
            with self._store.begin(access) as connection:
                yield connection
        except UNREACHABLE as error:
            raise LedgerUnavailable(operation, reason_of(error)) from error


def _checked(payment_id: str, debit: str, credit: str, amount: Decimal, currency: str) -> _Order:
    for field, value in (("payment id", payment_id), ("debit account", debit), ("credit account", credit)):
        reason = wrong_id(value)
        if reason is not None:
            raise InvalidTransfer(field, reason)
    if debit == credit:
        raise InvalidTransfer("credit account", "is the debit account as well")
    return _Order(payment_id, debit, credit, minor_units(amount, currency), currency)


def _insert(connection: Connection, order: _Order) -> bool:
    row = {
        "payment_id": order.payment_id,
        "amount": order.amount,
        "currency": order.currency,
        "debit": order.debit,
        "credit": order.credit,
        "booked_at": datetime.now(UTC),
    }
    if not insert_once(connection, TRANSFERS, row):
        return False
    both = ((order.debit, -order.amount), (order.credit, order.amount))
    connection.execute(
        _ENTRY,
        [
            {"transfer": order.payment_id, "account": account, "amount": amount, "currency": order.currency}
            for account, amount in both
        ],
    )
    return True
