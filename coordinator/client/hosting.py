"""Hosting: what embedded and eager mode do in this process: be the servers, the workers and the coordinator process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from handoffs.config.app import create_app
from handoffs.config.installed import installed
from handoffs.config.logs import no_lower
from handoffs.config.reference import PaymentsSettings
from handoffs.config.settings import Settings
from handoffs.coordinator.client.loaded import Loaded
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.trigger import agents_of
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.letters.desk import Desk
from handoffs.coordinator.runtime.eager import EagerPublisher
from handoffs.coordinator.runtime.engine import Engine
from handoffs.coordinator.runtime.service import Service

if TYPE_CHECKING:
    from handoffs.coordinator.runtime.embedded.worker import EmbeddedWorker

_FOREVER = timedelta(days=365)

_log = logging.getLogger(__name__)


def engine_of(settings: Settings) -> Engine:
    """The engine that these settings ask for: eager, embedded, or a client of servers."""
    if not settings.eager and not settings.embedded:
        return Engine(settings)
    # Imported here: a client of servers needs no Redis in memory.
    from handoffs.coordinator.runtime.embedded.servers import EmbeddedEngine  # noqa: PLC0415

    if not settings.eager:
        return EmbeddedEngine(settings)
    app = create_app(settings)
    return EmbeddedEngine(settings, app=app, publisher=EagerPublisher(app))


def with_files(settings: Settings, folder: Path) -> Settings:
    """The settings with files in ``folder`` for the journal and the reference systems, where they name none."""

    def file(name: str) -> str:
        return f"sqlite:///{folder / name}.sqlite3"

    payments = PaymentsSettings(
        ledger_url=settings.payments.ledger_url or file("ledger"),
        gateway_url=settings.payments.gateway_url or file("gateway"),
    )
    media = settings.media.model_copy(update={"folder": settings.media.folder or str(folder / "media")})
    journal = settings.journal_url or file("journal")
    return settings.model_copy(update={"journal_url": journal, "payments": payments, "media": media})


def refuse_servers(settings: Settings, cause: str, consequence: str) -> None:
    """Refuse what only eager and embedded mode can do. Raises :class:`~handoffs.coordinator.errors.ServerError` where there are servers."""
    if not settings.embedded and not settings.eager:
        raise ServerError(
            cause,
            consequence,
            "do it in eager or embedded mode: without COORDINATOR_BROKER_URL and COORDINATOR_REDIS_URL",
        )


class Hosting:
    """Has agents work in this process, in eager and in embedded mode; with servers it does nothing. Safe for threads."""

    def __init__(self, engine: Engine, journal: Journal, desk: Desk, loaded: Loaded) -> None:
        self._engine = engine
        self._journal = journal
        self._loaded = loaded
        self._hosts = engine.settings.embedded or engine.settings.eager
        self._workers: list[EmbeddedWorker] = []
        self._service: Service | None = None
        self._lock = threading.RLock()
        self._log = ExitStack()
        if self._hosts and "log_level" in engine.settings.model_fields_set:
            self._log.enter_context(no_lower(engine.settings.log_level))
        if isinstance(engine.publisher, EagerPublisher):
            engine.publisher.park = desk.receive
            engine.publisher.fire = engine.timers().fire
            engine.publisher.refuse = desk.mark
            engine.publisher.unheard = desk.unheard

    def forked(self) -> None:
        """In a child that was forked: who works and serves is in the parent."""
        self._workers, self._service, self._lock = [], None, threading.RLock()

    def serve(self) -> None:
        """Be the coordinator process too, in embedded mode."""
        settings = self._engine.settings
        if settings.embedded and not settings.eager:
            self._service = Service(self._engine, self._journal)
            self._service.start()

    def host(self, flow: Flow) -> None:
        """Have the agents of ``flow`` work here."""
        if self._hosts:
            self.work(agents_of(flow).values())

    def host_subscribers(self) -> None:
        """Have the loaded agents that subscribe to events work here.

        Raises :class:`~handoffs.coordinator.errors.LoadError` where a module cannot be loaded.
        """
        if self._hosts and self._engine.settings.agents:
            self.work(agent for agent in self._loaded.definitions.agents.values() if agent.subscriptions)

    def work(self, agents: Iterable[Agent]) -> EmbeddedWorker | None:
        """Have ``agents`` work here, and give the worker of those that are new, if there is one.

        Raises :class:`~handoffs.coordinator.errors.LoadError` where two agents have the same name.
        """
        with self._lock:  # a second caller finds them at work, or what it sends would reach no queue
            new = self._engine.register(agents)
            for agent in new if self._hosts else ():
                if agent.time_limit is not None:
                    _log.warning(
                        "%s has a time limit, and nothing in this process can end its steps", agent.name
                    )
            if self._hosts and new:
                self._announce(new)
                self._subscribe(new)
            if not new or not self._hosts or self._engine.settings.eager:
                return None
            return self._begin(new)

    def again(self) -> None:
        """Run what was laid aside with a run that was held: in eager mode no message comes back by itself."""
        if isinstance(self._engine.publisher, EagerPublisher):
            self._engine.publisher.again()

    def stop_working(self) -> None:
        """Let the workers finish what they have begun, and end them."""
        for worker in self._workers:
            worker.stop()
        self._workers.clear()

    def stop_serving(self) -> None:
        """End the coordinator process that is here, and let the log be as it was."""
        if self._service is not None:
            self._service.stop()
            self._service = None
        self._log.close()

    def _announce(self, agents: Iterable[Agent]) -> None:
        for agent in agents:  # who is here reads what its code reads, as long as this process lives
            manifest = self._engine.manifest(agent)
            self._engine.announcements.announce(manifest.to_json(), "here", _FOREVER, installed())

    def _subscribe(self, agents: Iterable[Agent]) -> None:
        if not self._engine.settings.eager:
            self._engine.publisher.declare(agent.name for agent in agents if not agent.patterns)
        for agent in agents:
            if agent.patterns:
                self._engine.publisher.subscribe(agent.name, agent.intake)

    def _begin(self, agents: Iterable[Agent]) -> EmbeddedWorker:
        """Begin workers: one with one thread for each agent that hears events in order, one for all others."""
        engine = self._engine
        for agent in agents:
            engine.app.amqp.queues.add(engine.topology.queue(agent.name, agent.intake))
        started = [self._worker([agent], 1) for agent in agents if agent.intake.ordered]
        others = [agent for agent in agents if not agent.intake.ordered]
        return self._worker(others, engine.settings.embedded_concurrency) if others else started[-1]

    def _worker(self, agents: Iterable[Agent], concurrency: int) -> EmbeddedWorker:
        # Imported here: it is Celery's worker, and a client of servers needs none.
        from handoffs.coordinator.runtime.embedded.worker import EmbeddedWorker  # noqa: PLC0415

        queues = [self._engine.topology.queue_name(agent.name) for agent in agents]
        worker = EmbeddedWorker(self._engine.app, queues, concurrency)
        worker.start()
        self._workers.append(worker)
        return worker
