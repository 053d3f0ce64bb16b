"""Journal: what is kept for good, one attribute a table."""

from __future__ import annotations

from handoffs.coordinator.journal.actions import ActionTable
from handoffs.coordinator.journal.database import Database
from handoffs.coordinator.journal.deployments import DeploymentTable
from handoffs.coordinator.journal.edits import EditTable
from handoffs.coordinator.journal.history import HistoryTable
from handoffs.coordinator.journal.letters import LetterTable


class Journal:
    """The journal at ``url`` (SQLAlchemy), on SQLite or PostgreSQL. Safe for threads.

    Where there are no tables yet, the first use makes them. Those of an older release are brought up to date with
    ``upgrades``, as the coordinator process has it. Raises :class:`~handoffs.coordinator.errors.ServerError` where ``url``
    names no database; what is asked of the tables raises it where the database cannot be used, and
    :class:`~handoffs.coordinator.errors.SchemaRefused` where the tables are of another release.
    """

    def __init__(self, url: str, *, upgrades: bool = False) -> None:
        self._database = Database(url, upgrades=upgrades)
        self.history = HistoryTable(self._database)
        self.letters = LetterTable(self._database)
        self.edits = EditTable(self._database)
        self.actions = ActionTable(self._database)
        self.deployments = DeploymentTable(self._database)

    def ping(self) -> str:
        """Name and version of the database. Raises :class:`~handoffs.coordinator.errors.ServerError` where there is none."""
        return self._database.version()

    def close(self) -> None:
        """Give connections back."""
        self._database.close()
