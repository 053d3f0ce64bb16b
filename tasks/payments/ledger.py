"""A double-entry book in SQL that several processes share, and that books a payment once.

The book is the outside system behind the ledger agent.  It keeps two tables:

* ``transfers``: one row a payment, with ``payment_id`` as the primary key;
* ``entries``: two rows a transfer, whose signed amounts sum to zero.  The debited account
  gets the negative amount and the credited account the positive one.

Amounts are stored as integers in the currency's minor unit (cents for EUR, yen for JPY, fils for
BHD).  A booking is one transaction, and the primary key decides between two callers that book the
same payment at once, so a payment is never credited twice however often it is asked for.

SQLite keeps its rollback journal here, and a connection lives for one transaction.  Both are on
purpose: an exclusive lock then stops readers as well as writers, as ``ACCESS EXCLUSIVE`` does on
PostgreSQL (in WAL mode readers go on), and a process that forks between transactions hands no open
SQLite file to its child, which SQLite does not allow.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    NullPool,
    Pool,
    String,
    Table,
    TypeDecorator,
    and_,
    case,
    create_engine,
    event,
    func,
    inspect,
    or_,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Dialect, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

BUSY_TIMEOUT: Final = timedelta(seconds=2)
"""How long a call waits for a lock before it fails, unless the constructor says otherwise."""

OUTAGE_WAIT: Final = timedelta(seconds=30)
"""How long ``outage()`` waits for the calls under way before it gives up."""

MAX_ID_LENGTH: Final = 200
"""The longest payment id, account or idempotency key, in characters."""

MAX_MINOR_UNITS: Final = 10**15
"""The largest amount of one booking or charge, in minor units: sums of many still fit 64 bits."""


# --- Money ---------------------------------------------------------------------------------------

_NO_MINOR_UNIT: Final = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THREE_DECIMALS: Final = "BHD IQD JOD KWD LYD OMR TND"
_TWO_DECIMALS: Final = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF "
    "CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL "
    "HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT "
    "MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB "
    "SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH "
    "USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG"
)

CURRENCY_EXPONENTS: Final[dict[str, int]] = {
    **dict.fromkeys(_TWO_DECIMALS.split(), 2),
    **dict.fromkeys(_NO_MINOR_UNIT.split(), 0),
    **dict.fromkeys(_THREE_DECIMALS.split(), 3),
}
"""The currencies of ISO 4217 in use in 2026, each with its number of decimals."""


class UnknownCurrency(ValueError):
    """The currency is not an ISO 4217 code in use."""

    def __init__(self, currency: str) -> None:
        super().__init__(currency)
        self.currency = currency

    def __str__(self) -> str:
        return (
            f"The currency {self.currency!r} is not an ISO 4217 code in use, so nothing was recorded. "
            "Give a code of three capital letters, such as EUR."
        )


class InvalidAmount(ValueError):
    """The amount is not a positive, finite Decimal that the currency's minor unit can express."""

    def __init__(self, amount: str, currency: str, reason: str) -> None:
        super().__init__(amount, currency, reason)
        self.amount = amount
        self.currency = currency
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"The amount {self.amount} {self.currency} {self.reason}, so nothing was recorded. "
            "Give a positive Decimal with no more decimals than the currency has."
        )


def currency_exponent(currency: str) -> int:
    """The number of decimals of the currency (EUR 2, JPY 0, BHD 3).

    Raises UnknownCurrency.
    """
    try:
        return CURRENCY_EXPONENTS[currency]
    except (KeyError, TypeError):
        raise UnknownCurrency(str(currency)) from None


def minor_units(amount: Decimal, currency: str) -> int:
    """The amount in the currency's minor unit, exactly: 12.50 EUR is 1250 (cents).

    Raises UnknownCurrency, and InvalidAmount when the amount is not a Decimal, not finite, not
    positive, larger than MAX_MINOR_UNITS, or has more decimals than the currency.
    """
    exponent = currency_exponent(currency)
    foreign = wrong_type(amount, Decimal)
    if foreign is not None:
        raise InvalidAmount(repr(amount), currency, foreign)
    if not amount.is_finite():
        raise InvalidAmount(str(amount), currency, "is not a finite number")
    if amount <= 0:
        raise InvalidAmount(str(amount), currency, "is not positive")
    if amount.adjusted() + exponent > len(str(MAX_MINOR_UNITS)):
        raise InvalidAmount(str(amount), currency, "is larger than one record may hold")
    return _exact_minor_units(amount, currency, exponent)


def _exact_minor_units(amount: Decimal, currency: str, exponent: int) -> int:
    too_many = InvalidAmount(str(amount), currency, f"has more decimals than the {exponent} of {currency}")
    if amount.adjusted() < -exponent:
        raise too_many
    numerator, denominator = amount.as_integer_ratio()
    units: int = 10**exponent
    minor, rest = divmod(numerator * units, denominator)
    if rest:
        raise too_many
    if minor > MAX_MINOR_UNITS:
        raise InvalidAmount(str(amount), currency, "is larger than one record may hold")
    return minor


def major_units(minor: int, currency: str) -> Decimal:
    """The amount in the currency's main unit, with all its decimals: 1250 of EUR is 12.50.

    Raises UnknownCurrency.
    """
    digits = tuple(int(digit) for digit in str(abs(minor)))
    return Decimal((1 if minor < 0 else 0, digits, -currency_exponent(currency)))


def wrong_type(value: object, wanted: type) -> str | None:
    """What is wrong with a value's type, as the end of a sentence; None when it is the wanted one."""
    if isinstance(value, wanted):
        return None
    return f"is of type {type(value).__name__} and not {wanted.__name__}"


def wrong_id(value: str) -> str | None:
    """What is wrong with an identifier, as the end of a sentence; None when it is fit for storing."""
    foreign = wrong_type(value, str)
    if foreign is not None:
        return foreign
    if not value.strip():
        return "is empty"
    if len(value) > MAX_ID_LENGTH:
        return f"is longer than {MAX_ID_LENGTH} characters"
    if not value.isprintable():
        return "holds a character that cannot be printed"
    return None


# --- The store: SQL shared by processes ----------------------------------------------------------

UNREACHABLE: Final = (OperationalError, InterfaceError, PoolTimeout)
"""What SQLAlchemy raises when a database is locked or cannot be reached."""

Access = Literal["read", "write", "exclusive"]

_SQLITE_BEGIN: Final[dict[Access, str]] = {
    "read": "BEGIN",
    "write": "BEGIN IMMEDIATE",
    "exclusive": "BEGIN EXCLUSIVE",
}
_SCHEMA_LOCK: Final = 0x70_61_79_73  # any number that all processes agree on ("pays")


def reason_of(error: SQLAlchemyError) -> str:
    """The first line of the driver's own words, without the statement and its parameters."""
    words = error.orig if isinstance(error, DBAPIError) else error
    return next((line.strip() for line in str(words).splitlines() if line.strip()), type(words).__name__)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, stored and answered in UTC: SQLite forgets the zone that PostgreSQL keeps."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is None or value.tzinfo is not None:
            return value if value is None else value.astimezone(UTC)
        return value.replace(tzinfo=UTC)


def insert_once(connection: Connection, table: Table, values: dict[str, Any]) -> bool:
    """Insert the row unless its primary key is there already; True when this call inserted it.

    A concurrent inserter of the same key is waited for, so after False the row can be read.
    """
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    once = insert(table).values(values).on_conflict_do_nothing().returning(*table.primary_key)
    return connection.execute(once).one_or_none() is not None  # a row count is not to be had everywhere


class _ProcessEngine:
    """The engine of one process, and whether its tables are known to exist."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.prepared = False


class SqlStore:
    """A SQLite file or PostgreSQL database: lazy, safe for threads, and safe after a fork.

    Nothing is opened at construction.  The first transaction of each process builds the engine and
    creates the tables that are missing; a child process drops what it inherited, unclosed, and
    builds its own.  Do not fork while another thread of the process is inside a SQLite transaction.

    Raises ValueError at construction when the URL names neither a SQLite file nor PostgreSQL, or
    the busy timeout is negative.
    """

    def __init__(self, url: str, metadata: MetaData, *, busy_timeout: timedelta = BUSY_TIMEOUT) -> None:
        if busy_timeout < timedelta(0):
            raise ValueError(f"The busy timeout {busy_timeout} is negative. Give zero or more.")
        self._url = _shared_url(url)
        self._metadata = metadata
        self._seconds = busy_timeout.total_seconds()
        self._engines: dict[int, _ProcessEngine] = {}
        self._inherited: list[Pool] = []

    @property
    def url(self) -> str:
        """The URL without its password."""
        return self._url.render_as_string(hide_password=True)

    @contextmanager
    def begin(self, access: Access) -> Iterator[Connection]:
        """One transaction: committed at the end of the block, rolled back when the block raises.

        On PostgreSQL "read" sees one snapshot, and "exclusive" locks nothing by itself.
        Raises one of UNREACHABLE when a lock is not had in time or the database cannot be reached.
        """
        with self._ready().connect() as connection:
            options: dict[str, Any] = {"sqlite_begin": _SQLITE_BEGIN[access]}
            if access == "read" and connection.dialect.name == "postgresql":
                options["isolation_level"] = "REPEATABLE READ"
            with connection.execution_options(**options).begin():
                yield connection

    def close(self) -> None:
        """Close this process's idle connections; the next transaction opens new ones."""
        own = self._engines.pop(os.getpid(), None)
        if own is not None:
            own.engine.dispose()

    def _ready(self) -> Engine:
        own = self._own()
        if not own.prepared:
            self._create_tables(own.engine)
            own.prepared = True
        return own.engine

    def _own(self) -> _ProcessEngine:
        pid = os.getpid()
        own = self._engines.get(pid)
        if own is None:
            self._abandon_inherited(pid)
            own = self._engines.setdefault(pid, _ProcessEngine(self._build()))
        return own

    def _abandon_inherited(self, pid: int) -> None:
        for other in [key for key in list(self._engines) if key != pid]:
            parent = self._engines.pop(other, None)
            if parent is not None:
                self._inherited.append(parent.engine.pool)  # kept, so that nothing closes it
                parent.engine.dispose(close=False)

    def _build(self) -> Engine:
        if self._url.get_backend_name() == "sqlite":
            return self._build_sqlite()
        return self._build_postgresql()

    def _build_sqlite(self) -> Engine:
        engine = create_engine(
            self._url, poolclass=NullPool, hide_parameters=True, connect_args={"timeout": self._seconds}
        )
        event.listen(engine, "connect", _leave_begin_to_us)
        event.listen(engine, "begin", _begin_sqlite)
        return engine

    def _build_postgresql(self) -> Engine:
        wait = {} if "connect_timeout" in self._url.query else {"connect_timeout": self._connect_seconds()}
        engine = create_engine(
            self._url,
            hide_parameters=True,
            pool_pre_ping=True,
            pool_timeout=max(self._seconds, 0.001),
            connect_args=wait,
        )
        event.listen(engine, "connect", self._limit_lock_wait)
        return engine

    def _connect_seconds(self) -> int:
        return max(2, math.ceil(self._seconds))  # libpq waits two seconds at least

    def _limit_lock_wait(self, dbapi_connection: Any, _record: Any) -> None:
        milliseconds = max(1, round(self._seconds * 1000))  # zero would mean: wait for ever
        with dbapi_connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout TO {milliseconds:d}")
        dbapi_connection.commit()

    def _create_tables(self, engine: Engine) -> None:
        with engine.connect() as connection, connection.begin():
            if self._all_there(connection):
                return
        with (
            engine.connect().execution_options(sqlite_begin="BEGIN IMMEDIATE") as connection,
            connection.begin(),
        ):
            if connection.dialect.name == "postgresql":
                connection.execute(select(func.pg_advisory_xact_lock(_SCHEMA_LOCK)))
            self._metadata.create_all(connection)

    def _all_there(self, connection: Connection) -> bool:
        found = inspect(connection)
        return all(found.has_table(table.name) for table in self._metadata.sorted_tables)


def _shared_url(url: str) -> URL:
    parsed = make_url(url)
    backend = parsed.get_backend_name()
    if backend == "sqlite" and parsed.database not in (None, "", ":memory:"):
        return parsed
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg") if parsed.drivername == "postgresql" else parsed
    raise ValueError(
        f"The database {parsed.render_as_string(hide_password=True)!r} cannot be shared by several processes "
        "in a way this code knows. Give sqlite:///path/to/file or postgresql+psycopg://user@host/name."
    )


def _leave_begin_to_us(dbapi_connection: Any, _record: Any) -> None:
    dbapi_connection.isolation_level = None  # the driver's own BEGIN is deferred, which can deadlock
    dbapi_connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))


# --- The ledger ----------------------------------------------------------------------------------

_METADATA: Final = MetaData()

_TRANSFERS: Final = Table(
    "transfers",
    _METADATA,
    Column("payment_id", String(MAX_ID_LENGTH), primary_key=True),
    Column("amount", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("debit", String(MAX_ID_LENGTH), nullable=False),
    Column("credit", String(MAX_ID_LENGTH), nullable=False),
    Column("booked_at", UtcDateTime, nullable=False),
)

_ENTRIES: Final = Table(  # no unique key on purpose: the audit must be able to find a double
    "entries",
    _METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("transfer", ForeignKey("transfers.payment_id"), nullable=False, index=True),
    Column("account", String(MAX_ID_LENGTH), nullable=False, index=True),
    Column("amount", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
)


class LedgerError(Exception):
    """The base of what the ledger itself raises; the arguments are the attributes, in order."""


class InvalidTransfer(LedgerError, ValueError):
    """The payment id or an account is unfit, or both accounts are the same."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field, reason)
        self.field = field
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"The {self.field} {self.reason}, so nothing was booked. Correct the {self.field} and book again."
        )


class LedgerConflict(LedgerError):
    """The payment is booked already with other content."""

    def __init__(self, payment_id: str, booked: str, asked: str) -> None:
        super().__init__(payment_id, booked, asked)
        self.payment_id = payment_id
        self.booked = booked
        self.asked = asked

    def __str__(self) -> str:
        return (
            f"Payment {self.payment_id!r} is booked already as {self.booked}, and {self.asked} was asked for. "
            "The first booking stands and nothing was booked now. Find out which is right, and book a "
            "correction under a payment id of its own."
        )


class LedgerUnavailable(LedgerError):
    """The ledger's database was locked for too long or could not be reached.

    The SQLAlchemy error is the cause (``__cause__``); ``reason`` is its text and survives pickling.
    """

    def __init__(self, operation: str, reason: str) -> None:
        super().__init__(operation, reason)
        self.operation = operation
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"The ledger could not answer {self.operation!r}: {self.reason}. A booking under way may or may not "
            "have been made. Call again later with the same payment id: it is never booked twice."
        )


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
        self._store = SqlStore(url, _METADATA, busy_timeout=busy_timeout)

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
            stored = connection.execute(select(_TRANSFERS).where(_TRANSFERS.c.payment_id == payment_id)).one()
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
        wanted = and_(_ENTRIES.c.account == account, _ENTRIES.c.currency == currency)
        with self._transaction("balance", "read") as connection:
            total = connection.execute(select(func.sum(_ENTRIES.c.amount)).where(wanted)).scalar_one()
        return major_units(int(total or 0), currency)

    def audit(self) -> Audit:
        """Count the book and check it, in one snapshot.

        Raises LedgerUnavailable.
        """
        with self._transaction("audit", "read") as connection:
            return Audit(
                transfers=_count(connection, select(_TRANSFERS.c.payment_id)),
                entries=_count(connection, select(_ENTRIES.c.id)),
                doubled=_count(connection, _DOUBLED),
                balanced=not any(_count(connection, wrong) for wrong in (_SKEWED, _MISMATCHED, _ORPHANED)),
            )

    @contextmanager
    def outage(self) -> Iterator[None]:
        """While the block runs, hold a real exclusive lock, so that every other call fails.

        SQLite: ``BEGIN EXCLUSIVE`` on a connection of its own, which locks the whole file.
        PostgreSQL: ``LOCK TABLE transfers, entries IN ACCESS EXCLUSIVE MODE``.
        Waits up to OUTAGE_WAIT for the calls under way, then raises LedgerUnavailable.
        """
        holder = SqlStore(self._url, _METADATA, busy_timeout=OUTAGE_WAIT)
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
    if not insert_once(connection, _TRANSFERS, row):
        return False
    both = ((order.debit, -order.amount), (order.credit, order.amount))
    connection.execute(
        _ENTRIES.insert(),
        [
            {"transfer": order.payment_id, "account": account, "amount": amount, "currency": order.currency}
            for account, amount in both
        ],
    )
    return True


def _count(connection: Connection, rows: Any) -> int:
    return int(connection.execute(select(func.count()).select_from(rows.subquery())).scalar_one())


def _ones(condition: Any) -> Any:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


_DOUBLED: Final = (
    select(_ENTRIES.c.transfer)
    .where(_ENTRIES.c.amount > 0)
    .group_by(_ENTRIES.c.transfer)
    .having(func.count() > 1)
)

_SKEWED: Final = (
    select(_ENTRIES.c.currency).group_by(_ENTRIES.c.currency).having(func.sum(_ENTRIES.c.amount) != 0)
)

_SAME_CURRENCY: Final = _ENTRIES.c.currency == _TRANSFERS.c.currency
_RIGHT_DEBIT: Final = and_(
    _SAME_CURRENCY, _ENTRIES.c.account == _TRANSFERS.c.debit, _ENTRIES.c.amount == -_TRANSFERS.c.amount
)
_RIGHT_CREDIT: Final = and_(
    _SAME_CURRENCY, _ENTRIES.c.account == _TRANSFERS.c.credit, _ENTRIES.c.amount == _TRANSFERS.c.amount
)

_MISMATCHED: Final = (
    select(_TRANSFERS.c.payment_id)
    .select_from(_TRANSFERS.outerjoin(_ENTRIES, _ENTRIES.c.transfer == _TRANSFERS.c.payment_id))
    .group_by(_TRANSFERS.c.payment_id)
    .having(or_(func.count(_ENTRIES.c.id) != 2, _ones(_RIGHT_DEBIT) != 1, _ones(_RIGHT_CREDIT) != 1))
)

_ORPHANED: Final = (
    select(_ENTRIES.c.id)
    .select_from(_ENTRIES.outerjoin(_TRANSFERS, _ENTRIES.c.transfer == _TRANSFERS.c.payment_id))
    .where(_TRANSFERS.c.payment_id.is_(None))
)
