"""Manifests of small builds, for tests of deployments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from handoffs.contracts.deployment import Deployed, State
from handoffs.contracts.manifest import Manifest

Sides = Mapping[str, Iterable[int]]

FIELDS = {1: "risk_level", 2: "risk_score", 3: "risk_points"}
"""What each version of a contract calls its one field: none reads what another writes."""


def schemas(version: int, fields: Mapping[int, str] = FIELDS) -> dict[str, Any]:
    """Both sides of a version with one required field of its own."""
    name = fields.get(version, f"field_{version}")
    read = {"type": "object", "properties": {name: {"type": "string"}}, "required": [name]}
    return {"writes": {**read, "additionalProperties": False}, "reads": read}


def manifest(
    agent: str, *, accepts: Sides | None = None, emits: Sides | None = None, build: str = "", **more: Any
) -> Manifest:
    """A build of ``agent``; ``fingerprints`` and ``schemas`` among ``more`` are put over those that it would have."""
    sides = {name: {at: tuple(listed) for at, listed in (side or {}).items()} for name, side in
             (("accepts", accepts), ("emits", emits))}  # fmt: skip
    own = [(name, listed[0]) for side in sides.values() for name, listed in side.items()]
    marks = {f"{name}/{version}": f"sha256:{version:064x}" for name, version in own}
    shown = {f"{name}/{version}": schemas(version) for name, version in own}
    return Manifest(
        agent=agent, build=build, queue=agent, accepts=sides["accepts"], emits=sides["emits"],
        fingerprints={**marks, **more.get("fingerprints", {})}, schemas={**shown, **more.get("schemas", {})},
        subscribes=more.get("subscribes", ()),
    )  # fmt: skip


def deployed(state: State, agent: str, **more: Any) -> Deployed:
    """A build that is there."""
    return Deployed(manifest(agent, **more), state)
