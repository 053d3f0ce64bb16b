"""Bring the tables of an older release up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from handoffs.coordinator.journal.migrations import HEAD
from handoffs.coordinator.journal.tables import revision


def scripts() -> ScriptDirectory:
    """The migrations of this release."""
    return ScriptDirectory(str(Path(__file__).parent))


def upgrade(connection: Connection, to: str = HEAD) -> None:
    """Run the migrations that the tables have not had yet, in the transaction of ``connection``."""
    known = scripts()

    def steps(found: Any, _context: Any) -> Any:
        return known._upgrade_revs(to, found)  # as Alembic's own command does

    with EnvironmentContext(Config(), known, fn=steps, destination_rev=to) as environment:
        environment.configure(connection=connection, version_table=revision.name)
        environment.run_migrations()
