"""Journal: what is kept for good, one attribute a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Self

from handoffs.config.settings import Settings
from handoffs.coordinator.journal.actions import ActionTable
from handoffs.coordinator.journal.database import Database
from handoffs.coordinator.journal.deployments import DeploymentTable
from handoffs.coordinator.journal.edits import EditTable
from handoffs.coordinator.journal.groups import GroupTable
from handoffs.coordinator.journal.history import HistoryTable
from handoffs.coordinator.journal.letters import LetterTable
from handoffs.coordinator.journal.migrations import HEAD
from handoffs.coordinator.journal.namespace import Namespace
from handoffs.coordinator.journal.operations import OperationTable
from handoffs.coordinator.journal.recent import Recent
from handoffs.coordinator.journal.records import Records
from handoffs.coordinator.journal.retention import Retention
from handoffs.coordinator.journal.runs import RunTable
from handoffs.coordinator.journal.seal import Seal
from handoffs.coordinator.journal.sealing import Sealing
from handoffs.coordinator.journal.search import SearchTable
from handoffs.coordinator.journal.verification import Verification
from handoffs.coordinator.journal.witness import Witness


class Journal:
    """The journal of one installation at ``url`` (SQLAlchemy), on SQLite or PostgreSQL. Safe for threads.

    Installations may share a database: each has its own ``namespace``, and sees and moves nothing of another. With ``keys``
    (32 bytes in base64) the messages of letters are sealed with the first, and read with each.

    Where there are no tables yet, the first use makes them. Those of an older release are brought up to date with
    ``upgrades``, as the coordinator process has it. Raises :class:`~handoffs.coordinator.errors.ServerError` where ``url``
    names no database; what is asked of the tables raises it where the database cannot be used, and
    :class:`~handoffs.coordinator.errors.SchemaRefused` where the tables are of another release.
    """

    def __init__(
        self,
        url: str,
        *,
        upgrades: bool = False,
        namespace: str = "",
        keys: Sequence[str] = (),
        timeout: timedelta = timedelta(seconds=10),
    ) -> None:
        """No answer of the database is waited for longer than ``timeout``."""
        self._database = Database(url, upgrades=upgrades, timeout=timeout)
        own = Namespace(namespace)
        seal = Seal(keys)
        self.sealed_with = seal.writes
        """The name of the key with which messages are sealed; empty where they are kept in clear."""
        self.history = HistoryTable(self._database, own)
        self.letters = LetterTable(self._database, own, seal)
        self.groups = GroupTable(self._database, own)
        self.operations = OperationTable(self._database, own)
        self.edits = EditTable(self._database, own, seal)
        self.actions = ActionTable(self._database, own)
        self.deployments = DeploymentTable(self._database, own)
        self.runs = RunTable(self._database, own)
        self.recent = Recent(self._database, own)
        self.search = SearchTable(self._database, own)
        self.sealing = Sealing(self._database, own, seal)
        self.verification = Verification(self._database, own)
        self.witness = Witness(self._database, own)
        self.retention = Retention(self._database, own)
        self.records = Records(self._database, own)

    @classmethod
    def of(cls, settings: Settings, *, upgrades: bool = False) -> Self:
        """The journal of an installation with these settings."""
        return cls(
            settings.journal,
            upgrades=upgrades,
            namespace=settings.namespace,
            keys=settings.journal_keys,
            timeout=settings.server_timeout,
        )

    def ping(self) -> str:
        """Name and version of the database. Raises :class:`~handoffs.coordinator.errors.ServerError` where there is none."""
        return self._database.version()

    def clock(self) -> datetime | None:
        """What time it is in the database, in UTC; None of one that has no clock of its own. Raises
        :class:`~handoffs.coordinator.errors.ServerError`."""
        return self._database.clock()

    @property
    def revision(self) -> str:
        """Of which revision its tables have to be: that of this release."""
        return HEAD

    def sealed(self) -> str:
        """How messages are kept, in a line."""
        if self.sealed_with:
            return f"sealed with the key {self.sealed_with}"
        return "kept in clear, sensitive values too: set COORDINATOR_JOURNAL_KEYS to have them sealed"

    def close(self) -> None:
        """Give connections back."""
        self._database.close()
