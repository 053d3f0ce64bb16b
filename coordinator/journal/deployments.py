"""Deployments in the journal: which builds of which agents are recorded as deployed, and which were."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, func, select, update

from handoffs.contracts import strictjson
from handoffs.contracts.errors import InvalidManifest
from handoffs.contracts.manifest import Manifest
from handoffs.contracts.text import printable
from handoffs.coordinator.errors import Conflict, UnknownDeployment
from handoffs.coordinator.history import now
from handoffs.coordinator.journal.tables import dead_letters, deployments


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


def record(connection: Connection, insert: Any, manifest: Manifest, by: str) -> bool:
    """Record a build; False where it is recorded already. ``insert`` is the statement of the database's own dialect.

    Raises :class:`Conflict` where the build is known with another manifest.
    """
    values = {
        "agent": manifest.agent, "build": manifest.build, "manifest": strictjson.canonical(manifest.to_json()),
        "recorded_at": now(), "recorded_by": by, "withdrawn_at": "", "withdrawn_by": "",
    }  # fmt: skip
    same = (deployments.c.agent == manifest.agent) & (deployments.c.build == manifest.build)
    added = insert.values(**values).on_conflict_do_nothing().returning(deployments.c.build)
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


def withdraw(connection: Connection, agent: str, build: str, by: str) -> None:
    """Record that a build is not deployed any more. Raises :class:`UnknownDeployment` where it is not recorded."""
    same = (
        (deployments.c.agent == agent) & (deployments.c.build == build) & (deployments.c.withdrawn_at == "")
    )
    gone = update(deployments).where(same).values(withdrawn_at=now(), withdrawn_by=by)
    if connection.scalar(gone.returning(deployments.c.build)) is None:
        raise UnknownDeployment(
            f"no build {printable(build, 80)!r} of {printable(agent, 120)!r} is recorded as deployed",
            "nothing was withdrawn",
            "list them: coordinator contracts deployments",
        )


def listed(connection: Connection, agent: str, *, withdrawn: bool = True) -> list[DeploymentRow]:
    """The builds of ``agent``, or of all where it is empty: by agent, what was recorded first at the beginning.

    Without ``withdrawn`` only what is recorded and the previous ones: of what was deployed over the years nothing is read.
    """
    table = deployments.c
    query = select(table.agent, table.build, table.recorded_at, table.withdrawn_at)
    found: Sequence[Any] = (
        connection.execute(query.where(table.agent == agent) if agent else query).mappings().all()
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


def dead_lettered(connection: Connection, agent: str) -> dict[str, int]:
    """How many letters of ``agent`` wait, by ``contract/version``; under the empty one those that are no envelopes."""
    waiting = (dead_letters.c.agent == agent) & (dead_letters.c.state == "waiting")
    query = (
        select(dead_letters.c.contract, func.count().label("letters"))
        .where(waiting)
        .group_by(dead_letters.c.contract)
    )
    return {row.contract: int(row.letters) for row in connection.execute(query)}


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
