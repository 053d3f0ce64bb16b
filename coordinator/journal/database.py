"""Database: the one place where the journal's database is connected to, on SQLite or PostgreSQL."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Engine, Table, create_engine, event, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from handoffs.config.forks import after_fork, leave
from handoffs.contracts.text import printable
from handoffs.coordinator.errors import Refused, ServerError
from handoffs.coordinator.journal.patience import Patience
from handoffs.coordinator.journal.schema import prepare

_PAUSE = 0.01  # seconds
_LOOKED_THROUGH = 1_000  # rows


class Database:
    """The database at ``url`` (SQLAlchemy). Safe for threads.

    At first use the tables are made where there are none. With ``upgrades`` those of an older release are brought up to date;
    without, they are refused. Raises :class:`~handoffs.coordinator.errors.ServerError` where ``url`` names no database that can
    be used.
    """

    def __init__(
        self, url: str, *, upgrades: bool = False, timeout: timedelta = timedelta(seconds=10)
    ) -> None:
        self._seconds = timeout.total_seconds()
        self._patience = Patience(self._seconds)
        options: dict[str, Any] = {}
        if not url.startswith("sqlite"):
            options = {"pool_pre_ping": True, "pool_timeout": self._seconds}
        if url.startswith("postgresql://"):
            url = url.replace("postgresql://", "postgresql+psycopg://", 1)
        try:
            self._engine: Engine = create_engine(url, **options)
        except ModuleNotFoundError as error:
            raise ServerError(
                f"the driver of the journal's database is not installed: {error.name}",
                "the journal cannot be used",
                "pip install 'handoffs[postgres]'",
            ) from error
        except (SQLAlchemyError, ValueError) as error:
            raise _unusable(error) from error
        if url.startswith("sqlite"):
            event.listen(self._engine, "connect", self._configure_sqlite)
        else:
            # Only here: what it builds on is an extra, and not installed everywhere.
            from handoffs.coordinator.journal.postgres import connecting  # noqa: PLC0415

            event.listen(self._engine, "do_connect", connecting(self._patience))
            event.listen(self._engine, "connect", _configure_postgres)
        self._upgrades = upgrades
        self._prepared = False
        self._preparing = threading.Lock()
        after_fork(self, Database._renew)

    def _renew(self) -> None:
        """A parent's connections stay with the parent."""
        leave(self._engine.pool)
        self._engine.dispose(close=False)
        self._preparing = threading.Lock()

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A connection in a transaction, which is committed at the end of the block, or rolled back by an exception.

        Raises :class:`~handoffs.coordinator.errors.ServerError` where the database cannot be used,
        :class:`~handoffs.coordinator.errors.Refused` where a value is none that it takes, and
        :class:`~handoffs.coordinator.errors.SchemaRefused` where its tables are of another release.
        """
        try:
            if not self._prepared:
                self._prepare()
            with self._patience.once():
                connection = self._engine.connect()
            with connection, connection.begin():
                yield connection
        except (DataError, IntegrityError, UnicodeEncodeError, OverflowError) as error:
            raise _refused(error) from error
        except (SQLAlchemyError, TimeoutError) as error:
            raise _unusable(error) from error

    def _prepare(self) -> None:
        with self._patience.once():
            if not self._preparing.acquire(timeout=self._seconds):
                raise TimeoutError("another thread waits for it")
            try:
                if not self._prepared:
                    self._engine.connect().close()
            except BaseException:
                self._preparing.release()
                raise
        try:
            if not self._prepared:
                # An upgrade takes its time, and waits for another process that does the same.
                with self._patience.lifted() if self._upgrades else nullcontext():
                    prepare(self._engine, upgrades=self._upgrades)
                self._prepared = True
        finally:
            self._preparing.release()

    def insert(self, table: Table) -> Any:
        """An ``INSERT`` of the database's own dialect, which has ``ON CONFLICT``."""
        return postgresql.insert(table) if self._engine.dialect.name == "postgresql" else sqlite.insert(table)

    def begins(self, column: ColumnElement[str], prefix: str) -> ColumnElement[bool]:
        """That the text in ``column`` begins with ``prefix``, as an index of the column can find it."""
        if self._engine.dialect.name == "postgresql":  # whose order is that of a language
            return column.startswith(prefix, autoescape=True)
        last = "\U0010ffff"  # SQLite compares octets, and its LIKE does not tell capitals apart
        return (column >= prefix) & (column < prefix + last)

    def goes_on(self, column: ColumnElement[str], prefix: str) -> ColumnElement[bool]:
        """The same of a text that is longer than ``prefix``: however many are just that, none of them is read."""
        if self._engine.dialect.name == "postgresql":
            return self.begins(column, prefix) & column.bool_op("~>~")(prefix)
        return self.begins(column, prefix) & (column > prefix)

    def first(self, column: Column[str], condition: ColumnElement[bool], limit: int) -> list[str]:
        """The texts in ``column`` of the rows for which ``condition`` holds, sorted, at most ``limit``, of the first thousand that are
        found. They are put in order once they are: for the first ones in an order PostgreSQL would read all rows in it.

        Raises what :meth:`begin` raises.
        """
        found = select(column).where(condition).limit(max(limit, _LOOKED_THROUGH)).subquery()
        [text] = found.c
        with self.begin() as connection:
            return [
                str(one) for one in connection.scalars(select(text).order_by(self.octets(text)).limit(limit))
            ]

    def octets(self, column: ColumnElement[str]) -> ColumnElement[str]:
        """A text to be put in order as Python does it, and not by the rules of a language."""
        return column.collate("C") if self._engine.dialect.name == "postgresql" else column

    def version(self) -> str:
        """Name and version of the database. Raises :class:`~handoffs.coordinator.errors.ServerError` where there is none."""
        with self.begin() as connection:
            dialect = connection.dialect
            name = {"postgresql": "PostgreSQL", "sqlite": "SQLite"}.get(dialect.name, dialect.name)
            return f"{name} {'.'.join(map(str, dialect.server_version_info or ()))}"

    def clock(self) -> datetime | None:
        """What time it is there, in UTC; None of a database that has no clock of its own. Raises :class:`ServerError` as :meth:`begin` does."""
        if self._engine.dialect.name != "postgresql":
            return None
        with self.begin() as connection:
            found: datetime | None = connection.scalar(select(func.clock_timestamp()))
            return found.astimezone(UTC) if found else None

    def close(self) -> None:
        """Give connections back."""
        self._engine.dispose()

    def _configure_sqlite(self, connection: Any, _record: Any) -> None:
        connection.execute(f"PRAGMA busy_timeout={round(self._seconds * 1000)}")
        _write_ahead(connection, self._seconds)
        connection.execute("PRAGMA synchronous=FULL")


def _configure_postgres(connection: Any, _record: Any) -> None:
    """Have each question answered by one process of the server, and planned for what it asks for. All of them are short, or read in pages:
    several processes that look for the first fifty rows read more than one that stops there; and what half of all runs have is to be looked
    for in another way than what one run has."""
    connection.execute("set max_parallel_workers_per_gather = 0")
    connection.execute("set plan_cache_mode = force_custom_plan")
    connection.commit()


def _write_ahead(connection: Any, seconds: float) -> None:
    """Have the file use a write-ahead log, which it goes on using. SQLite does not wait for others there, but refuses at once
    where another connection is just doing the same."""
    until = time.monotonic() + seconds
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return  # a database in memory has none
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(_PAUSE)


def _refused(error: Exception) -> Refused:
    return Refused(
        f"the journal refuses a value: {type(error).__name__}: {_first_line(error)}",
        "nothing of it was written",
        "find out who sent it: it has a character or a number that no column takes",
    )


def _first_line(error: Exception) -> str:
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return printable(lines[0], 200) if lines else ""


def _unusable(error: Exception) -> ServerError:
    return ServerError(
        f"the journal cannot be used: {type(error).__name__}: {_first_line(error)}",
        "nothing was lost: history waits in Redis and dead letters in the broker",
        "check COORDINATOR_JOURNAL_URL, and that the database is up",
    )
