"""Database: the one place where the journal's database is connected to, on SQLite or PostgreSQL."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.journal.schema import prepare

_BUSY = 10.0  # seconds, for which another process is waited for
_PAUSE = 0.01  # seconds


class Database:
    """The database at ``url`` (SQLAlchemy). Safe for threads.

    At first use the tables are made where there are none. With ``upgrades`` those of an older release are brought up to date;
    without, they are refused. Raises :class:`~handoffs.coordinator.errors.ServerError` where ``url`` names no database that can
    be used.
    """

    def __init__(self, url: str, *, upgrades: bool = False) -> None:
        options: dict[str, Any] = {"pool_pre_ping": True} if not url.startswith("sqlite") else {}
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
            event.listen(self._engine, "connect", _configure_sqlite)
        self._upgrades = upgrades
        self._prepared = False
        self._preparing = threading.Lock()

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A connection in a transaction, which is committed at the end of the block, or rolled back by an exception.

        Raises :class:`~handoffs.coordinator.errors.ServerError` where the database cannot be used, and
        :class:`~handoffs.coordinator.errors.SchemaRefused` where its tables are of another release.
        """
        try:
            if not self._prepared:
                with self._preparing:
                    if not self._prepared:
                        prepare(self._engine, upgrades=self._upgrades)
                        self._prepared = True
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise _unusable(error) from error

    def insert(self, table: Table) -> Any:
        """An ``INSERT`` of the database's own dialect, which has ``ON CONFLICT``."""
        return postgresql.insert(table) if self._engine.dialect.name == "postgresql" else sqlite.insert(table)

    def version(self) -> str:
        """Name and version of the database. Raises :class:`~handoffs.coordinator.errors.ServerError` where there is none."""
        with self.begin() as connection:
            dialect = connection.dialect
            name = {"postgresql": "PostgreSQL", "sqlite": "SQLite"}.get(dialect.name, dialect.name)
            return f"{name} {'.'.join(map(str, dialect.server_version_info or ()))}"

    def close(self) -> None:
        """Give connections back."""
        self._engine.dispose()


def _configure_sqlite(connection: Any, _record: Any) -> None:
    connection.execute(f"PRAGMA busy_timeout={round(_BUSY * 1000)}")
    _write_ahead(connection)
    connection.execute("PRAGMA synchronous=FULL")


def _write_ahead(connection: Any) -> None:
    """Have the file use a write-ahead log, which it goes on using. SQLite does not wait for others there, but refuses at once
    where another connection is just doing the same."""
    until = time.monotonic() + _BUSY
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return  # a database in memory has none
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(_PAUSE)


def _unusable(error: Exception) -> ServerError:
    cause = str(getattr(error, "orig", None) or error).strip().splitlines()
    return ServerError(
        f"the journal cannot be used: {type(error).__name__}: {cause[0][:200] if cause else ''}",
        "nothing was lost: history waits in Redis and dead letters in the broker",
        "check COORDINATOR_JOURNAL_URL, and that the database is up",
    )
