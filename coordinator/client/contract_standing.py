"""Contract standing: who speaks which version of a contract, and what two of its versions are to one another, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from handoffs.contracts.compatibility import Verdict
from handoffs.contracts.contract import ContractRef
from handoffs.contracts.deployment import State
from handoffs.contracts.fields import Change
from handoffs.coordinator.docs.model import ContractEntry, Version

Rule = Literal["backward", "forward"]


@dataclass(frozen=True, slots=True)
class Speaker:
    """A build that reads or writes a contract: the versions of it that it reads, and those that it can write, its own first.

    ``state`` is as :class:`~handoffs.contracts.deployment.Deployed` has it; ``workers`` are alive of it. ``hears``: it subscribes to
    events of the contract.
    """

    agent: str
    build: str
    state: State
    workers: int
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    hears: bool


@dataclass(frozen=True, slots=True)
class ContractStanding:
    """A contract: ``entry`` is what its published versions and the loaded code say of it, ``speakers`` are the builds that are alive,
    deployed, or the previous ones of their agents, and ``outstanding`` is how many messages of each version are not settled yet."""

    entry: ContractEntry
    speakers: tuple[Speaker, ...]
    outstanding: dict[int, int]

    @property
    def name(self) -> str:
        """What it is called."""
        return self.entry.name

    @property
    def alive(self) -> tuple[Speaker, ...]:
        """The builds of which workers are alive."""
        return tuple(one for one in self.speakers if one.state == "live")

    def spoken(self) -> tuple[int, ...]:
        """The versions that builds read or write that are alive or deployed, newest first."""
        there = (one for one in self.speakers if one.state != "previous")
        return tuple(sorted({number for one in there for number in (*one.reads, *one.writes)}, reverse=True))

    def version(self, number: int) -> Version | None:
        """What is said of a version."""
        return next((one for one in self.entry.versions if one.ref.version == number), None)


@dataclass(frozen=True, slots=True)
class Direction:
    """Whether ``reader`` reads what ``writer`` writes: by their schemas as they are, and where ``migrated``, after a migration for each step
    between them. ``promised``: the mode of the newer one promises it."""

    rule: Rule
    writer: ContractRef
    reader: ContractRef
    verdict: Verdict
    migrated: bool
    promised: bool

    @property
    def kept(self) -> bool:
        """Whether it is read."""
        return self.migrated or self.verdict.verdict == "compatible"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two versions of a contract: the fields that are not the same in both, and whether each reads what the other writes."""

    older: ContractRef
    newer: ContractRef
    changes: tuple[Change, ...]
    directions: tuple[Direction, ...]
