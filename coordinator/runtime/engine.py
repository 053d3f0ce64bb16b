"""Engine: the parts of one process, and its agents as Celery tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from amqp.exceptions import AMQPError
from celery import Celery
from kombu import pools
from kombu.exceptions import OperationalError
from redis import Redis

from handoffs.config.app import create_app
from handoffs.config.forks import after_fork, leave
from handoffs.config.settings import Settings
from handoffs.contracts.manifest import Manifest
from handoffs.coordinator.errors import LoadError, ServerError
from handoffs.coordinator.flow.agent import Agent, Function
from handoffs.coordinator.flow.trigger import Trigger
from handoffs.coordinator.handoff.handoff import Handoff
from handoffs.coordinator.handoff.lease import LeaseKeeper
from handoffs.coordinator.handoff.told import Stopping
from handoffs.coordinator.messaging.frames import BrokerConnection
from handoffs.coordinator.messaging.lines import opened
from handoffs.coordinator.messaging.publisher import Publisher
from handoffs.coordinator.runs.budgets import Timers
from handoffs.coordinator.runs.start import Starts
from handoffs.coordinator.runs.trigger import StartOnEvent
from handoffs.coordinator.runtime.composition import services_of
from handoffs.coordinator.runtime.consumer import agent_consumer
from handoffs.coordinator.runtime.task import task_class

_REACHED_WITHIN = 5.0  # seconds


class Engine:
    """Settings, Celery app, publisher, and what there is in Redis, of one process. Opens no connection until it is used."""

    def __init__(
        self,
        settings: Settings,
        *,
        agents: Iterable[Agent] = (),
        app: Celery | None = None,
        redis: Redis | None = None,
        publisher: Publisher | None = None,
    ) -> None:
        agents = list(agents)
        app = app or create_app(settings, {agent.name: agent.intake for agent in agents})
        self.services = services = services_of(settings, app, redis, publisher)
        app.conf.worker_consumer = "handoffs.coordinator.runtime.consumer:Consumer"
        app.amqp.Connection = BrokerConnection
        app.amqp.Consumer = agent_consumer(services.topology, settings.message_limits)
        self.settings = settings
        self.topology = services.topology
        self.app = app
        self.publisher = services.publisher
        self.store = services.store
        self.runs = services.runs
        self.outstanding = services.outstanding
        self.entries = services.entries
        self.announcements = services.announcements
        self.server = services.server
        self.registry = services.registry
        self.versions = services.versions
        self.negotiator = services.negotiator
        self.leases = LeaseKeeper(services.store, settings.lease)
        self.stopping = Stopping(settings.stop_grace)
        self._starts = Starts(services)
        self._driver = services.impatient().driver  # a full queue must not hold up what goes elsewhere
        self.agents: dict[str, Agent] = {}
        self._instead: dict[str, list[Function]] = {}
        self.register(agents)
        after_fork(self, _forked)

    def forked(self) -> None:
        """In a child that was forked: Celery's connections stay with the parent."""
        leave(*pools.connections.values(), *pools.producers.values())
        pools.connections.clear()
        pools.producers.clear()
        self.app._after_fork()

    def register(self, agents: Iterable[Agent]) -> list[Agent]:
        """Make tasks of agents; gives those that are new.

        Raises :class:`LoadError` where two agents have the same name.
        """
        new = []
        for agent in agents:
            known = self.agents.get(agent.name)
            if known is agent or _triggers_the_same(known, agent):
                continue
            if known is not None and known.declared_as(agent):  # what works here goes on
                continue
            if known is not None:
                raise LoadError(
                    f"two agents are called {agent.name}", "neither was started", "rename one of them"
                )
            if isinstance(agent, Trigger):
                agent = replace(agent, function=StartOnEvent(self._starts, self.store, agent.flow))  # noqa: PLW2901 - from here on it is that one
            self.agents[agent.name] = agent
            self.versions.know(agent.accepts)
            self.versions.know(agent.emits)
            for event in agent.events:
                self.versions.know(event)
            handoff = self._handoff(agent)
            self.publisher.know(agent.name, agent.intake.patterns)
            self.app.register_task(task_class(handoff, self._driver, self.settings.message_limits)())
            new.append(agent)
        return new

    def replace_function(self, agent: str, function: Function) -> Callable[[], None]:
        """Have the steps of a registered agent call another function from now on, of the input and the context. What it gives takes
        that back, in any order: the newest that is left is called, or the agent's own."""
        instead = self._instead.setdefault(agent, [])
        instead.append(function)
        self._use(agent)

        def take_back() -> None:
            if function in instead:
                instead.remove(function)
                self._use(agent)

        return take_back

    def _use(self, agent: str) -> None:
        used = own = self.agents[agent]
        if self._instead[agent]:
            used = replace(own, function=self._instead[agent][-1], takes_context=True, context_as="")
        type(self.app.tasks[agent]).handoff = self._handoff(used)

    def _handoff(self, agent: Agent) -> Handoff:
        fetch = self.services.payloads.fetch
        return Handoff(agent, self.settings, self.store, self.leases, self.negotiator, self.stopping, fetch)

    def timers(self) -> Timers:
        """What happens when budgets are spent."""
        services = self.services.impatient()
        limits = self.settings.message_limits
        fetch = services.payloads.fetch
        return Timers(self.store, services.router, services.driver, services.versions, limits, fetch)

    def manifest(self, agent: Agent) -> Manifest:
        """What the code of ``agent`` reads and writes, as it is now."""
        return self.services.manifest(agent)

    def broker_version(self) -> str:
        """Name and version of the broker. Raises :class:`ServerError` where it cannot be reached within 5 seconds."""
        try:
            with opened(
                self.app, min(_REACHED_WITHIN, self.settings.server_timeout.total_seconds())
            ) as connection:
                properties = getattr(connection.connection, "server_properties", None) or {}
                return f"{properties.get('product', 'broker')} {properties.get('version', '')}".strip()
        except (OperationalError, OSError, AMQPError) as error:
            raise ServerError(
                f"the broker cannot be reached: {type(error).__name__}: {str(error)[:200]}",
                "nothing was started",
                "check COORDINATOR_BROKER_URL, and that the server is up",
            ) from error

    def next_due(self) -> float | None:
        """When the next message goes on that waits here, on the process' monotonic clock: None, where a broker of its own says that."""
        return None

    def is_idle(self) -> bool:
        """Whether nothing is at work here, as far as that is known."""
        return True

    def close(self) -> None:
        """Give connections back."""
        self.leases.close()
        self.publisher.close()
        self.app.close()
        self.store.redis.close()


def _forked(engine: Engine) -> None:
    engine.forked()


def _triggers_the_same(known: Agent | None, agent: Agent) -> bool:
    return isinstance(known, Trigger) and isinstance(agent, Trigger) and known.flow is agent.flow
