"""The schema of the journal's database: of which release it is, and how it becomes that of this one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, func, insert, inspect, select

from handoffs.contracts.text import printable
from handoffs.coordinator.errors import SchemaRefused
from handoffs.coordinator.journal.migrations import HEAD, REVISIONS
from handoffs.coordinator.journal.tables import metadata, revision

_LOCK = 0x68616E646F6666
"""PostgreSQL's number for "I alone change the journal's tables now", in its database."""

_UNMARKED = ""
"""Tables of a release that had no migrations: they do not say of which revision they are."""


def prepare(engine: Engine, *, upgrades: bool) -> None:
    """See to it that the database has the tables of this release.

    Where there are none they are made. Those of an older release are brought up to date with ``upgrades``. Any number of
    processes may do it at once. Raises :class:`~handoffs.coordinator.errors.SchemaRefused` where the tables are of a newer
    release, or of an older one without ``upgrades``.
    """
    with engine.connect() as connection:
        found = _revision(connection)
    if found == HEAD:
        return
    _check(found, upgrades=upgrades)
    with _alone(engine) as connection:
        found = _revision(connection)  # another process may have done it meanwhile
        _check(found, upgrades=upgrades)
        if found is None:
            _create(connection)
        elif found != HEAD:
            # Only here: to import Alembic takes longer than all else that the journal does when it is opened.
            from handoffs.coordinator.journal.migrations.upgrade import upgrade  # noqa: PLC0415

            upgrade(connection)


def _revision(connection: Connection) -> str | None:
    """The revision of the tables; None where there are none."""
    there = set(inspect(connection).get_table_names())
    if revision.name in there:
        found = connection.scalar(select(revision.c.version_num))
        return _UNMARKED if found is None else str(found)
    return _UNMARKED if there & set(metadata.tables) else None


def _check(found: str | None, *, upgrades: bool) -> None:
    if found is None or found == HEAD or (upgrades and found in {_UNMARKED, *REVISIONS}):
        return
    if found in {_UNMARKED, *REVISIONS}:
        raise SchemaRefused(
            f"the journal's tables are of an older release (revision {found or REVISIONS[0]}, not {HEAD})",
            "nothing was read or written",
            "start coordinator serve of this release, it upgrades them",
        )
    raise SchemaRefused(
        f"the journal's tables are of a newer release (revision {printable(found, 40)}; this one knows {HEAD})",
        "nothing was read or written",
        "install the newer release",
    )


def _create(connection: Connection) -> None:
    """The tables as this release has them, at once and not one migration after another: the same comes of both."""
    metadata.create_all(connection)
    revision.create(connection, checkfirst=True)
    connection.execute(insert(revision).values(version_num=HEAD))


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """A transaction in which no other process changes the tables."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            with connection.begin():
                connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
                yield connection
            return
        connection.execution_options(isolation_level="AUTOCOMMIT")  # else Python begins none for DDL
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.exec_driver_sql("ROLLBACK")
            raise
        connection.exec_driver_sql("COMMIT")
