"""Builds: what is deployed, and what it still has to handle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from handoffs.contracts.contract import ContractRef
from handoffs.contracts.manifest import Manifest

State = Literal["live", "recorded", "previous"]
"""``live``: workers of it are running. ``recorded``: it is recorded as deployed, and no worker is live. ``previous``: the
one of its agent that was withdrawn last, to which a rollback would return."""


class Build(NamedTuple):
    """One build of one agent."""

    agent: str
    build: str

    def __str__(self) -> str:
        return f"{self.agent} build {self.build}"

    @classmethod
    def of(cls, manifest: Manifest) -> Build:
        """The build that a manifest describes."""
        return cls(manifest.agent, manifest.build)


@dataclass(frozen=True, slots=True)
class Deployed:
    """A build that is there. ``since`` is ISO 8601 in UTC, ``instances`` how many workers are live."""

    manifest: Manifest
    state: State
    since: str = ""
    instances: int = 0

    @property
    def name(self) -> Build:
        """Which build it is."""
        return Build.of(self.manifest)


@dataclass(frozen=True, slots=True)
class Outstanding:
    """What was sent to ``agent`` and is not settled: queued, delayed, running, waiting or dead-lettered.

    ``total`` counts all of it, ``dead_lettered`` the letters among them.
    """

    agent: str
    contract: ContractRef
    total: int
    dead_lettered: int = 0

    @property
    def other(self) -> int:
        """How many are on their way."""
        return self.total - self.dead_lettered
