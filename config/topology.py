"""Topology: every exchange and queue. The only place that names one.

::

    agents (direct) ──> <agent>                 one quorum queue an agent, dead-letters to ─┐
       └ alternate ──> unroutable (fanout) ─────────────────────────────────────────────────┤
    delay[.<agent>].<ms> (fanout) ──> the same  TTL, then back to agents                    │
    events (topic, by the name of the contract) ──> the <agent> queues that subscribe to it
       └ alternate ──> unheard (fanout) ──> unheard-events
    dead (fanout) ──> dead-letters  <───────────────────────────────────────────────────────┘
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from kombu import Exchange, Queue, binding

from handoffs.config.delays import close_ms, delay_ms
from handoffs.config.intake import NO_INTAKE, Intake
from handoffs.config.settings import Settings

TIMERS = "coordinator.timer"
"""What stands for the coordinator process where messages say which agent they are for: it takes those of timers."""

_NO_LIMIT = 2**31 - 1
"""The dead-letter queue has nowhere to put what is delivered too often, and RabbitMQ 4 drops it after 20 by default."""


@dataclass(frozen=True, slots=True)
class Topology:
    """The names and declarations of one installation.

    ``prefix`` begins every name; ``delivery_limit`` is the broker's (``x-delivery-limit``); ``limits`` are the most
    messages that may wait for an agent.
    """

    prefix: str = ""
    delivery_limit: int = 20
    limits: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings) -> Topology:
        """That of an installation with these settings."""
        return cls(settings.prefix, settings.delivery_limit, settings.queue_limits)

    @property
    def agents(self) -> Exchange:
        """The exchange over which every step is sent, by queue name; what it cannot route is dead-lettered."""
        return Exchange(
            f"{self.prefix}handoff.agents", "direct", arguments={"alternate-exchange": self.unroutable.name}
        )

    @property
    def events(self) -> Exchange:
        """The exchange over which events go to the agents that subscribe, by the contract's name; those without a
        subscriber are kept."""
        return Exchange(
            f"{self.prefix}handoff.events", "topic", arguments={"alternate-exchange": self.unheard.name}
        )

    @property
    def unheard(self) -> Exchange:
        """The exchange that takes events without a subscriber."""
        return Exchange(f"{self.prefix}handoff.unheard", "fanout")

    @property
    def unheard_events(self) -> Queue:
        """Where events without a subscriber wait until the coordinator process has put them into the journal."""
        return self._kept("handoff.unheard-events", self.unheard)

    @property
    def unroutable(self) -> Exchange:
        """The exchange that takes messages whose queue does not exist."""
        return Exchange(f"{self.prefix}handoff.unroutable", "fanout")

    @property
    def dead(self) -> Exchange:
        """The exchange to which every agent's queue dead-letters."""
        return Exchange(f"{self.prefix}handoff.dead", "fanout")

    @property
    def dead_letters(self) -> Queue:
        """Where everything that cannot go on waits until the coordinator process has put it into the journal."""
        return self._letters(self.dead)

    @property
    def unroutable_letters(self) -> Queue:
        """The dead-letter queue once more, bound to the exchange of the unroutable."""
        return self._letters(self.unroutable)

    def queue_name(self, agent: str) -> str:
        """The queue of an agent: its name, after the prefix."""
        return f"{self.prefix}{agent}"

    def agent_of(self, queue: str) -> str:
        """The agent of a queue."""
        return queue.removeprefix(self.prefix)

    def queue(self, agent: str, intake: Intake = NO_INTAKE) -> Queue:
        """The queue of an agent: replicated, dead-lettering at least once, redelivering a limited number of times; bound to
        the events that come to it as well."""
        name = self.queue_name(agent)
        events = [binding(self.events, routing_key=pattern) for pattern in sorted(set(intake.patterns))]
        bindings = [binding(self.agents, routing_key=name), *events] if events else None
        return Queue(
            name,
            self.agents,
            routing_key=name,
            bindings=bindings,
            queue_arguments={
                "x-queue-type": "quorum",
                "x-dead-letter-exchange": self.dead.name,
                "x-dead-letter-routing-key": name,
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
                "x-delivery-limit": self.delivery_limit,
                **({"x-single-active-consumer": True} if intake.ordered else {}),
                **({"x-max-length": self.limits[agent]} if agent in self.limits else {}),
            },
        )

    @property
    def timers(self) -> Queue:
        """Where the messages of timers come back to the coordinator process."""
        return self.queue(TIMERS)

    def delay(self, wait: timedelta, agent: str, *, exact: bool = False, event: str = "") -> Queue:
        """The queue in which a message for ``agent`` waits before it goes on: at least ``wait``, and at most half as long
        again, or a sixth where it is to be ``exact``; nothing more where there is a length for it. Then it goes to the agent, or
        as the ``event`` to all who hear it. Whatever is asked for, there are less than 200 lengths.

        A message that is refused where it goes next holds up all that wait behind it. So timers have queues of their own, and
        so have an agent that has a bound, and, where there are bounds, each event.
        """
        milliseconds = close_ms(wait) if exact else delay_ms(wait)
        own = event if self.limits else ""
        if not event and (agent == TIMERS or agent in self.limits):
            own = agent
        name = ".".join(
            part for part in (f"handoff.delay{'-events' if event else ''}", own, str(milliseconds)) if part
        )
        name = f"{self.prefix}{name}"
        return Queue(
            name,
            Exchange(name, "fanout"),
            queue_arguments={
                "x-queue-type": "quorum",
                "x-message-ttl": milliseconds,
                "x-dead-letter-exchange": (self.events if event else self.agents).name,
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            },
        )

    def _letters(self, exchange: Exchange) -> Queue:
        return self._kept("handoff.dead-letters", exchange)

    def _kept(self, name: str, exchange: Exchange) -> Queue:
        return Queue(
            f"{self.prefix}{name}",
            exchange,
            queue_arguments={
                "x-queue-type": "quorum",
                "x-overflow": "reject-publish",
                "x-delivery-limit": _NO_LIMIT,
            },
        )
