"""Deployments in the journal: which builds of which agents are recorded as deployed, and which were."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, select, update

from handoffs.contracts import strictjson
from handoffs.contracts.errors import InvalidManifest
from handoffs.contracts.manifest import Manifest
from handoffs.contracts.text import quoted
from handoffs.coordinator.errors import Conflict, UnknownDeployment
from handoffs.coordinator.history import now
from handoffs.coordinator.journal import actions
from handoffs.coordinator.journal.database import Database
from handoffs.coordinator.journal.namespace import Namespace
from handoffs.coordinator.journal.tables import deployments


@dataclass(frozen=True, slots=True)
class DeploymentRow:
    """A build that is recorded, or was. Times are ISO 8601 in UTC, empty where there is none.

    ``state`` is ``recorded``, ``previous`` (of its agent the one that was withdrawn last) or ``withdrawn``.
    """

    manifest: Manifest
    state: Literal["recorded", "previous", "withdrawn"]
    recorded_at: str
    recorded_by: str
    withdrawn_at: str = ""
    withdrawn_by: str = ""


class DeploymentTable:
    """The builds of agents that are recorded as deployed, or were.

    Every method raises :class:`~handoffs.coordinator.errors.ServerError` where the database cannot be used.
    """

    def __init__(self, database: Database, namespace: Namespace) -> None:
        self._database = database
        self._namespace = namespace
        self._own = deployments.c.namespace == namespace.name

    def record(self, manifest: Manifest, by: str, why: str = "") -> bool:
        """Record that a build is deployed, and by whom and why. The same build again is no second one (False); one that was
        withdrawn is deployed again.

        Raises :class:`~handoffs.coordinator.errors.Conflict` where the build is known with another manifest.
        """
        with self._database.begin() as connection:
            new = self._record(connection, manifest, by)
            if new:
                note = actions.note_of(str(manifest), why)
                actions.record(connection, self._namespace, "record-deployment", who=by, note=note)
        return new

    def withdraw(self, agent: str, build: str, by: str, why: str = "") -> None:
        """Record that a build is not deployed any more, and by whom and why.

        Raises :class:`~handoffs.coordinator.errors.UnknownDeployment` where it is not recorded as deployed.
        """
        same = self._is(agent, build) & (deployments.c.withdrawn_at == "")
        gone = update(deployments).where(same).values(withdrawn_at=now(), withdrawn_by=by)
        with self._database.begin() as connection:
            if connection.scalar(gone.returning(deployments.c.build)) is None:
                raise UnknownDeployment(
                    f"no build {quoted(build, 80)} of {quoted(agent, 120)} is recorded as deployed",
                    "nothing was withdrawn",
                    "list them: coordinator contracts deployments",
                )
            note = actions.note_of(f"{agent} build {build}", why)
            actions.record(connection, self._namespace, "withdraw-deployment", who=by, note=note)

    def find(self, agent: str = "", *, withdrawn: bool = True) -> list[DeploymentRow]:
        """The builds of ``agent``, or of all where it is empty: by agent, what was recorded first at the beginning.

        Without ``withdrawn`` only what is recorded and the previous ones: of what was deployed over the years nothing is
        read. Raises :class:`~handoffs.contracts.errors.InvalidManifest` where a row that is read has none.
        """
        table = deployments.c
        query = select(table.agent, table.build, table.recorded_at, table.withdrawn_at).where(self._own)
        wanted = table.agent == self._namespace.key(agent)
        with self._database.begin() as connection:
            found: Sequence[Any] = (
                connection.execute(query.where(wanted) if agent else query).mappings().all()
            )
            last: dict[str, tuple[str, str, str]] = {}
            for row in found:
                if row["withdrawn_at"]:
                    last[row["agent"]] = max(last.get(row["agent"], ("", "", "")), _when(row))
            rows = []
            for row in sorted(found, key=lambda row: (row["agent"], row["recorded_at"], row["build"])):
                previous = last.get(row["agent"]) == _when(row)
                if withdrawn or previous or not row["withdrawn_at"]:
                    same = (table.agent == row["agent"]) & (table.build == row["build"])
                    whole = connection.execute(select(deployments).where(same)).mappings().one()
                    rows.append(_row(whole, previous=previous))
            return rows

    def previous(self, agent: str) -> DeploymentRow | None:
        """The build of an agent that was withdrawn last."""
        return next((row for row in self.find(agent, withdrawn=False) if row.state == "previous"), None)

    def _is(self, agent: str, build: str) -> ColumnElement[bool]:
        key = self._namespace.key(agent)
        return self._own & (deployments.c.agent == key) & (deployments.c.build == build)

    def _record(self, connection: Connection, manifest: Manifest, by: str) -> bool:
        values = {
            "agent": self._namespace.key(manifest.agent), "namespace": self._namespace.name, "build": manifest.build, "manifest": strictjson.canonical(manifest.to_json()),
            "recorded_at": now(), "recorded_by": by, "withdrawn_at": "", "withdrawn_by": "",
        }  # fmt: skip
        same = self._is(manifest.agent, manifest.build)
        insert = self._database.insert(deployments).values(**values)
        added = insert.on_conflict_do_nothing().returning(deployments.c.build)
        if connection.scalar(added) is not None:
            return True
        found = connection.execute(select(deployments).where(same).with_for_update()).mappings().one()
        if _manifest(found) != manifest:
            raise Conflict(
                f"{manifest.agent} build {manifest.build} is known with another manifest",
                "nothing was recorded",
                "give this build a name of its own, or none",
            )
        if not found["withdrawn_at"]:
            return False
        connection.execute(update(deployments).where(same).values(**values))
        return True


def _when(row: Any) -> tuple[str, str, str]:
    """By this the build that was withdrawn last is the greatest; of those withdrawn in one moment, the newer one."""
    return row["withdrawn_at"], row["recorded_at"], row["build"]


def _row(row: Any, *, previous: bool) -> DeploymentRow:
    withdrawn: Literal["previous", "withdrawn"] = "previous" if previous else "withdrawn"
    return DeploymentRow(
        _manifest(row), withdrawn if row["withdrawn_at"] else "recorded",
        row["recorded_at"], row["recorded_by"], row["withdrawn_at"], row["withdrawn_by"],
    )  # fmt: skip


def _manifest(row: Any) -> Manifest:
    try:
        return Manifest.from_json(json.loads(row["manifest"]))
    except (ValueError, InvalidManifest) as error:
        cause = error.cause if isinstance(error, InvalidManifest) else "it is not JSON"
        raise InvalidManifest(
            f"the journal's row of {row['agent']} build {row['build']} cannot be read: {cause}",
            "no decision can be made",
            "record that build anew after its row is removed",
        ) from None
