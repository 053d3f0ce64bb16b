"""Reading: an installation at a moment, in numbers: what runs, waits and is at work, and which server says nothing.

What is not known is None, and never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from handoffs.coordinator.observe.census import RunCounts
from handoffs.coordinator.observe.run_summary import told_at


@dataclass(frozen=True, slots=True)
class ServerReading:
    """Whether a server answered. ``since``: from when on it does not, as far as this process has looked; ``error`` what it says, or
    what became of the question; ``took_ms`` how long it took for its part of the reading."""

    name: str
    reachable: bool
    since: datetime | None = None
    error: str = ""
    took_ms: float | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "server": self.name,
            "reachable": self.reachable,
            "since": told_at(self.since),
            "error": self.error or None,
            "took_ms": self.took_ms,
        }


@dataclass(frozen=True, slots=True)
class AgentReading:
    """An agent.

    workers, builds
        How many of its workers are alive, and their builds.
    depth, consumers
        Of its queue: how many messages are ready in it, and who takes them. None where there is no such queue.
    outstanding
        How many steps were sent to it and are not settled: queued, delayed, in a worker's hands, or parked.
    in_hand
        How many of them are neither ready in its queue nor dead letters: in a worker's hands, or held back by a delay.
    parked
        How many dead letters of it wait.
    oldest
        Since when the oldest of its steps waits that is not settled and not parked.
    """

    name: str
    workers: int | None = None
    builds: tuple[str, ...] = ()
    depth: int | None = None
    consumers: int | None = None
    outstanding: int | None = None
    parked: int | None = None
    oldest: datetime | None = None

    @property
    def in_hand(self) -> int | None:
        """See above."""
        if self.outstanding is None or self.depth is None or self.parked is None:
            return None
        return max(self.outstanding - self.depth - self.parked, 0)

    @property
    def unattended(self) -> bool:
        """Whether something waits for it, and none of its workers is alive."""
        waits = bool(self.depth) or (self.outstanding or 0) > (self.parked or 0)
        return self.workers == 0 and waits

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "agent": self.name,
            "workers": self.workers,
            "builds": list(self.builds),
            "depth": self.depth,
            "consumers": self.consumers,
            "outstanding": self.outstanding,
            "in_hand": self.in_hand,
            "parked": self.parked,
            "oldest": told_at(self.oldest),
        }


@dataclass(frozen=True, slots=True)
class QueueReading:
    """A queue that is no agent's. Its numbers are None where the broker has no such queue, or does not answer."""

    name: str
    purpose: str
    depth: int | None = None
    consumers: int | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {"queue": self.name, "for": self.purpose, "depth": self.depth, "consumers": self.consumers}


@dataclass(frozen=True, slots=True)
class LetterCount:
    """How many dead letters wait that were parked for one kind of reason, and when the oldest of them failed first."""

    kind: str
    count: int
    oldest: str


@dataclass(frozen=True, slots=True)
class OldestLetter:
    """The dead letter that waits longest: its id, and where it failed."""

    id: str
    flow: str
    step: str
    agent: str
    kind: str
    since: str


@dataclass(frozen=True, slots=True)
class LetterReading:
    """The dead letters that wait, by why they were parked, and the oldest of them; ``unheard`` are events that nobody heard."""

    by_kind: tuple[LetterCount, ...] = ()
    oldest: OldestLetter | None = None
    unheard: int = 0

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(one.count for one in self.by_kind)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        first = self.oldest
        return {
            "waiting": self.waiting,
            "unheard": self.unheard,
            "by_kind": [{"kind": one.kind, "count": one.count, "oldest": one.oldest} for one in self.by_kind],
            "oldest": first
            and {
                "letter": first.id,
                "flow": first.flow,
                "step": first.step,
                "agent": first.agent,
                "kind": first.kind,
                "since": first.since,
            },
        }


@dataclass(frozen=True, slots=True)
class Rate:
    """What happens a second: runs that are accepted, steps that get their outcome, attempts that fail and are tried again, steps that are
    parked, and budgets that are spent, whose fallbacks take the step's place."""

    started: float = 0.0
    handoffs: float = 0.0
    failures: float = 0.0
    parked: float = 0.0
    fallbacks: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """As JSON values, to a hundredth."""
        return {name: round(getattr(self, name), 2) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Rates:
    """What happened a second in the ``seconds`` before ``until``, in all and by flow. ``until`` is when the oldest entry of the history was
    written that is not in the journal yet: where the journal is behind, the rates are."""

    until: datetime
    seconds: float
    total: Rate
    flows: Mapping[str, Rate]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "until": told_at(self.until),
            "seconds": round(self.seconds, 3),
            **self.total.to_json(),
            "flows": {name: rate.to_json() for name, rate in sorted(self.flows.items())},
        }


@dataclass(frozen=True, slots=True)
class DrainLag:
    """How far the journal is behind: so many entries of the history are still in Redis, the oldest for so many seconds."""

    entries: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {"entries": self.entries, "seconds": round(self.seconds, 3)}


@dataclass(frozen=True)
class Reading:
    """An installation ``at`` a moment, by this host's clock, in UTC.

    servers
        ``broker``, ``redis`` and ``journal``: whether each answered. What only one that did not can say is None, or has numbers that are.
    runs, rates, letters, drain
        The runs that live, what happens a second, the dead letters, and how far the journal is behind.
    scheduled
        How many runs begin later.
    coordinators
        How many coordinator processes take dead letters from the broker.
    agents, queues
        Each agent that was seen in the last day, for which something waits, or that is recorded as deployed; and the other queues.
    """

    at: datetime
    servers: tuple[ServerReading, ...]
    runs: RunCounts | None
    rates: Rates | None
    letters: LetterReading | None
    drain: DrainLag | None
    scheduled: int | None
    coordinators: int | None
    agents: tuple[AgentReading, ...]
    queues: tuple[QueueReading, ...]

    @property
    def unreachable(self) -> tuple[ServerReading, ...]:
        """The servers that did not answer."""
        return tuple(server for server in self.servers if not server.reachable)

    def agent(self, name: str) -> AgentReading | None:
        """The agent of that name."""
        return next((agent for agent in self.agents if agent.name == name), None)

    def to_json(self) -> dict[str, Any]:
        """As JSON values; moments in ISO 8601, in UTC."""
        return {
            "at": told_at(self.at),
            "servers": [server.to_json() for server in self.servers],
            "runs": self.runs.to_json() if self.runs else None,
            "rates": self.rates.to_json() if self.rates else None,
            "letters": self.letters.to_json() if self.letters else None,
            "drain": self.drain.to_json() if self.drain else None,
            "scheduled": self.scheduled,
            "coordinators": self.coordinators,
            "agents": [agent.to_json() for agent in self.agents],
            "queues": [queue.to_json() for queue in self.queues],
        }
