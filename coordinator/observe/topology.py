"""Topology: the live topology as a plain value: agents with their queues, events with who emits and who hears them, flows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class MapAgent:
    """An agent.

    live
        How many of its workers are alive; ``builds`` are theirs, or else those that are recorded as deployed or were seen
        last. ``known`` says from where: ``live``, ``deployed``, ``seen`` or ``loaded`` (only the code is here).
    reads, writes
        By contract name, the versions that all of these builds read, or that any of them can write.
    subscribes
        The names, or patterns of names, of the events that it hears.
    depth, consumers
        Of its queue: how many messages are ready in it, and who takes them; None where there is no such queue, or no server
        was asked (``asked``).
    outstanding
        How many steps were sent to it and are not settled. ``parked``: how many letters of it wait.
    """

    name: str
    queue: str
    known: str
    live: int = 0
    builds: tuple[str, ...] = ()
    reads: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    writes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    subscribes: tuple[str, ...] = ()
    depth: int | None = None
    consumers: int | None = None
    outstanding: int = 0
    parked: int = 0

    @property
    def never_ran(self) -> bool:
        """Whether it is only loaded here: no worker has ever run for it on these servers, and nothing waits for it."""
        return (
            self.known == "loaded"
            and self.depth is None
            and not (self.live or self.outstanding or self.parked)
        )


@dataclass(frozen=True, slots=True)
class MapSubscriber:
    """An agent that hears an event, by which name or pattern, and which versions it reads (none: any)."""

    agent: str
    pattern: str
    versions: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class MapEvent:
    """The events of a contract. ``agents`` and ``flows`` emit them, as far as it is known; ``versions`` are those that they
    can write. ``unheard`` is how many are kept because no agent subscribes to them."""

    contract: str
    versions: tuple[int, ...] = ()
    agents: tuple[str, ...] = ()
    flows: tuple[str, ...] = ()
    subscribers: tuple[MapSubscriber, ...] = ()
    unheard: int = 0


@dataclass(frozen=True, slots=True)
class MapHandover:
    """In a flow: ``sender`` (empty: its start) hands ``contract`` over to ``receiver``."""

    sender: str
    receiver: str
    contract: str


@dataclass(frozen=True, slots=True)
class MapFlow:
    """A flow that is loaded here."""

    name: str
    accepts: str
    handovers: tuple[MapHandover, ...]


@dataclass(frozen=True, slots=True)
class MapQueue:
    """A queue that is no agent's: None where the broker has no such queue."""

    name: str
    purpose: str
    depth: int | None
    consumers: int | None


@dataclass(frozen=True)
class LandscapeMap:
    """The topology, each part sorted by name. ``asked``: servers were asked; without it, only what is loaded is known."""

    asked: bool
    agents: tuple[MapAgent, ...]
    events: tuple[MapEvent, ...]
    flows: tuple[MapFlow, ...]
    queues: tuple[MapQueue, ...] = ()

    def agent(self, name: str) -> MapAgent | None:
        """The agent of that name."""
        return next((agent for agent in self.agents if agent.name == name), None)

    def remarks(self) -> Iterator[str]:
        """What an operator should look at, a line each."""
        for agent in self.agents:
            if not agent.never_ran:
                yield from self._of_agent(agent)
        never_ran = [
            agent.name for agent in self.agents if self.asked and agent.never_ran and agent.subscribes
        ]
        if never_ran:
            yield f"no worker has begun yet for {', '.join(never_ran)}, and until then no queue keeps their events"
        for event in self.events:
            yield from self._of_event(event)
        for queue in self.queues:
            if queue.depth is None:
                yield f"the broker has no queue {queue.name}: no coordinator process (coordinator serve) has run here"
            elif not queue.consumers:
                yield f"nobody takes what is in {queue.name}: no coordinator process (coordinator serve) is at work"

    def _of_agent(self, agent: MapAgent) -> Iterator[str]:
        if not self.asked:
            return
        if not agent.live and (agent.subscribes or agent.outstanding or agent.depth):
            hears = f", which subscribes to {', '.join(agent.subscribes)}" if agent.subscribes else ""
            waits = f": {agent.outstanding} wait for it" if agent.outstanding else ""
            yield f"no worker of {agent.name} is alive{hears}{waits}"
        if agent.depth is None and agent.known != "loaded":
            yield f"the broker has no queue {agent.queue} for {agent.name}"

    def _of_event(self, event: MapEvent) -> Iterator[str]:
        lost = f"; {event.unheard} are kept (coordinator events unheard)" if event.unheard else ""
        if not event.subscribers:
            yield f"nobody hears {event.contract}{lost}"
        elif event.unheard:
            yield f"{event.unheard} events of {event.contract} were not heard: coordinator events replay {event.contract}"
        for subscriber in event.subscribers:
            if subscriber.versions and event.versions and not set(subscriber.versions) & set(event.versions):
                reads, writes = (", ".join(map(str, some)) for some in (subscriber.versions, event.versions))
                yield f"{subscriber.agent} reads {event.contract} {reads}, and those who emit it write {writes}"

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "asked": self.asked,
            "agents": [_agent(agent) for agent in self.agents],
            "events": [event_json(event) for event in self.events],
            "flows": [
                {
                    "flow": flow.name,
                    "accepts": flow.accepts,
                    "handovers": [
                        {"from": one.sender, "to": one.receiver, "contract": one.contract}
                        for one in flow.handovers
                    ],
                }
                for flow in self.flows
            ],
            "queues": [
                {"queue": one.name, "for": one.purpose, "depth": one.depth, "consumers": one.consumers}
                for one in self.queues
            ],
            "remarks": list(self.remarks()),
        }


def _agent(agent: MapAgent) -> dict[str, Any]:
    return {
        "agent": agent.name,
        "queue": agent.queue,
        "known": agent.known,
        "live": agent.live,
        "builds": list(agent.builds),
        "reads": {name: list(versions) for name, versions in sorted(agent.reads.items())},
        "writes": {name: list(versions) for name, versions in sorted(agent.writes.items())},
        "subscribes": list(agent.subscribes),
        "depth": agent.depth,
        "consumers": agent.consumers,
        "outstanding": agent.outstanding,
        "parked": agent.parked,
    }


def event_json(event: MapEvent) -> dict[str, Any]:
    """The events of a contract, as JSON values."""
    return {
        "contract": event.contract,
        "versions": list(event.versions),
        "agents": list(event.agents),
        "flows": list(event.flows),
        "heard": [
            {"agent": subscriber.agent, "pattern": subscriber.pattern, "versions": list(subscriber.versions)}
            for subscriber in event.subscribers
        ],
        "unheard": event.unheard,
    }
