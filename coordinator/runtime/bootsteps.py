"""Bootsteps: what a Celery worker does besides Celery's own. It looks at the servers first, and writes down how it is."""

# ruff: noqa: ARG002 - Celery decides what its steps are given

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from typing import Any

from celery import bootsteps, concurrency
from celery.concurrency.prefork import TaskPool
from celery.signals import setup_logging, worker_process_init, worker_process_shutdown, worker_shutting_down
from celery.worker import state

from handoffs.config.health import HealthFile
from handoffs.config.logs import configure
from handoffs.config.settings import Settings
from handoffs.contracts.errors import CoordinationError
from handoffs.coordinator.deployment.admission import Gate
from handoffs.coordinator.deployment.announcer import Announcer
from handoffs.coordinator.dispatch.negotiation import FRESH
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.loading import load_modules
from handoffs.coordinator.handoff.loop import close_loop
from handoffs.coordinator.runtime.children import Children
from handoffs.coordinator.runtime.embedded.servers import refuse_embedded
from handoffs.coordinator.runtime.engine import Engine
from handoffs.coordinator.runtime.in_hand import runs_in_hand
from handoffs.coordinator.runtime.preflight import examine
from handoffs.coordinator.runtime.readiness import until_ready
from handoffs.coordinator.runtime.telemetry import Telemetry
from handoffs.coordinator.runtime.watch import Watch
from handoffs.coordinator.store.announcements import Announcements
from handoffs.coordinator.store.server import connect

_log = logging.getLogger(__name__)
_PULSE_EVERY = 3.0  # seconds
_LOOK_AGAIN = 0.2  # seconds, for whether the worker is to stop


def worker_engine(settings: Settings) -> Engine:
    """The engine of a worker: its agents loaded, its steps in place, the log as the settings want it.

    Raises :class:`~handoffs.coordinator.errors.ServerError` without servers, and :class:`~handoffs.coordinator.errors.LoadError`
    where its agents cannot be loaded.
    """
    refuse_embedded(settings, "a worker")

    concurrency.ALIASES["threads"] = "handoffs.coordinator.runtime.thread_pool:ReactingPool"
    configure(settings.log_level, settings.log_format)
    engine = Engine(settings, agents=load_modules(settings.agents).agents.values())
    engine.stopping.share()
    telemetry = Telemetry(settings)
    _listen(engine, Children(), telemetry)
    health = HealthFile(settings.health_file)
    preflight = type("Preflight", (_Preflight,), {"engine": engine, "health": health, "telemetry": telemetry})
    engine.app.steps["worker"].add(preflight)
    engine.app.steps["consumer"].add(type("Pulse", (_Pulse,), {"health": health, "engine": engine}))
    return engine


def _listen(engine: Engine, children: Children, telemetry: Telemetry) -> None:
    """Have Celery tell what happens to the worker, and to the processes of its pool."""

    def keep_logs(**_: Any) -> None:
        """Celery sets no level and handlers of its own where this signal has a receiver."""
        configure(engine.settings.log_level, engine.settings.log_format)

    def stopping(**_: Any) -> None:
        """A signal, in its handler."""
        engine.stopping.begin()

    def process_begins(**_: Any) -> None:
        children.allow()
        telemetry.begin()

    def process_ends(**_: Any) -> None:
        """Without Python's own end."""
        close_loop()
        children.end()
        telemetry.end()

    setup_logging.connect(keep_logs, weak=False)
    worker_shutting_down.connect(stopping, weak=False)
    worker_process_init.connect(process_begins, weak=False)
    worker_process_shutdown.connect(process_ends, weak=False)


class _Preflight(bootsteps.StartStopStep):
    """Hold the worker back until every server and every contract is in order, and announce to producers what it reads.

    It comes after the pool, whose processes are forked before any connection is open, and before the consumer, which Celery
    starts last.
    """

    requires = ("celery.worker.components:Pool",)
    engine: Engine
    health: HealthFile
    telemetry: Telemetry

    def __init__(self, parent: Any, **options: Any) -> None:
        self._announcer: Announcer | None = None
        super().__init__(parent, **options)

    def start(self, parent: Any) -> None:
        engine, consumed = self.engine, parent.app.amqp.queues.consume_from
        agents = [
            agent for agent in engine.agents.values() if engine.topology.queue_name(agent.name) in consumed
        ]
        _refuse_concurrency(agents, parent)
        _refuse_pool(agents, parent)
        self.telemetry.begin(forks=issubclass(parent.pool_cls, TaskPool))
        until_ready(lambda: examine(engine), self.health, _pause)
        until_ready(lambda: self._enter(agents, parent), self.health, _pause)

    def stop(self, parent: Any) -> None:
        self.engine.stopping.begin()  # also where remote control has it end
        self.health.say("stopping", "it finishes what it has begun")
        if self._announcer is not None:
            self._announcer.stop()

    def _enter(self, agents: Sequence[Agent], parent: Any) -> None:
        """Check the contracts, announce what is read here, and check again when every producer knows of it: what was written
        before, and what workers read that began at the same time.

        Raises :class:`ServerError` where the worker has to wait, and :class:`SystemExit` where it must not begin.
        """
        engine, worker = self.engine, parent.hostname
        try:
            if self._announcer is None:
                manifests = [engine.manifest(agent).to_json() for agent in agents]
                own = Announcements(
                    connect(engine.settings.redis_url or "", engine.settings.server_timeout), engine.settings
                )
                self._announcer = Announcer(
                    own,
                    manifests,
                    f"{worker}|{os.getpid()}",
                    engine.settings.lease,
                    lambda: runs_in_hand(getattr(parent, "consumer", None)),
                )
            gate = Gate(engine.services, agents)
            self._admit(gate, worker)
            self._announcer.start()
            _pause(FRESH * 1.5)  # by then no producer goes by what it knew before
            if engine.settings.contracts_enforced:
                self._admit(gate, worker)
        except ServerError:
            raise
        except CoordinationError as error:
            if self._announcer is not None:
                self._announcer.silence()
            raise self._refused(error) from error

    def _admit(self, gate: Gate, worker: str) -> None:
        """Raise where the gate finds reasons against this worker, or what others have to handle first."""
        found = gate.examine()
        if not found.reasons and not found.passing:
            return
        if not self.engine.settings.contracts_enforced:
            gate.override(found, worker)
        elif not found.reasons:
            assert self._announcer is not None
            self._announcer.start()  # so that no more of it is written
            raise ServerError("; ".join(found.passing), "the worker waits until others have handled it", "")
        else:
            raise found.error()

    def _refused(self, error: CoordinationError) -> BaseException:
        if self.engine.settings.health_file:
            return ServerError(error.cause, error.consequence, error.remedy)  # it is held, and says why
        _log.error("coordinator: %s", error)
        return SystemExit(1)


def _refuse_concurrency(agents: Sequence[Agent], worker: Any) -> None:
    """Raise :class:`SystemExit` where an agent that takes events in order would take several at a time."""
    ordered = [agent.name for agent in agents if agent.intake.ordered]
    if ordered and worker.concurrency != 1:
        _log.error(
            "coordinator: %s hears events in order, and this worker takes %s at a time; nothing was started;"
            " give it a worker of its own with -c 1",
            ordered[0],
            worker.concurrency,
        )
        raise SystemExit(1)


def _refuse_pool(agents: Sequence[Agent], worker: Any) -> None:
    """Raise :class:`SystemExit` where an agent has a time limit, and the pool has no processes that it could end."""
    limited = [agent.name for agent in agents if agent.time_limit is not None]
    if limited and not issubclass(worker.pool_cls, TaskPool):
        _log.error(
            "coordinator: %s has a time limit, and this worker's pool cannot end a step that takes longer;"
            " nothing was started; give it a worker of its own with --pool prefork, or leave time_limit out",
            limited[0],
        )
        raise SystemExit(1)


class _Pulse(bootsteps.StartStopStep):
    """Write down how the worker is, from the loop that consumes: of a loop that is stuck, the health file gets stale."""

    requires = ("celery.worker.consumer.tasks:Tasks",)
    health: HealthFile
    engine: Engine

    def __init__(self, parent: Any, **options: Any) -> None:
        self._entries: list[Any] = []
        self._watch: Watch | None = None
        super().__init__(parent, **options)

    def start(self, parent: Any) -> None:
        self._watch = watch = Watch(self.engine)
        watch.start()
        names = ", ".join(sorted(queue.name for queue in parent.task_consumer.queues))

        def pulse() -> None:
            fault = watch.fault()
            self.health.say("held" if fault else "ready", fault or f"consumes {names}")

        self._entries = [parent.timer.call_after(0, pulse), parent.timer.call_repeatedly(_PULSE_EVERY, pulse)]
        _log.info("consumes %s", names)

    def stop(self, parent: Any) -> None:
        for entry in self._entries:
            entry.cancel()
        self._entries = []
        if self._watch is not None:
            self._watch.stop()
        if state.should_stop is None and state.should_terminate is None:  # the status to end with: 0 is one
            self.health.say("held", "the connection to the broker was lost: it tries to connect again")


def _pause(seconds: float) -> None:
    """Wait so many seconds. Raises Celery's :class:`~celery.exceptions.WorkerShutdown` where the worker is to stop."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        state.maybe_shutdown()
        time.sleep(_LOOK_AGAIN)
