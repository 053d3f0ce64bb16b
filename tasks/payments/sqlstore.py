"""SQL store: a SQLite file or a PostgreSQL database that several processes share.

SQLite keeps its rollback journal here, and a connection lives for one transaction.  Both are on
purpose: an exclusive lock then stops readers as well as writers, as ``ACCESS EXCLUSIVE`` does on
PostgreSQL (in WAL mode readers go on), and a process that forks between transactions hands no open
SQLite file to its child, which SQLite does not allow.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final, Literal

from sqlalchemy import (
    Connection,
    DateTime,
    Engine,
    Executable,
    MetaData,
    NullPool,
    Pool,
    Table,
    TypeDecorator,
    create_engine,
    event,
    func,
    inspect,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Dialect, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from handoffs.config.settings import SettingsError

BUSY_TIMEOUT: Final = timedelta(seconds=2)
"""How long a call waits for a lock before it fails, unless the constructor is given another time."""

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
    once = _insert_once(connection.dialect.name, table)
    return (
        connection.execute(once, values).one_or_none() is not None
    )  # a row count is not to be had everywhere


@cache  # to make a statement takes longer than to run it
def _insert_once(dialect: str, table: Table) -> Executable:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(table).on_conflict_do_nothing().returning(*table.primary_key)


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
        try:
            return self._built()
        except ModuleNotFoundError as error:
            raise SettingsError(
                f"the driver of the database is not installed: {error.name}",
                "the step was not done",
                "pip install 'handoffs[postgres]'",
            ) from error

    def _built(self) -> Engine:
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
