"""Bootsteps: what a Celery worker does besides Celery's own: look at the servers first, and say how it is."""

# ruff: noqa: ARG002 - Celery decides what its steps are given

from __future__ import annotations

import logging
import time
from typing import Any

from celery import bootsteps
from celery.signals import setup_logging
from celery.worker import state

from config.health import HealthFile
from config.logs import configure
from config.settings import Settings
from coordinator.embedded.servers import refuse_embedded
from coordinator.engine import Engine
from coordinator.hold import until_ready
from coordinator.loading import load_modules
from coordinator.preflight import examine

_log = logging.getLogger(__name__)
_BEAT = 5.0  # seconds
_GLANCE = 0.2  # seconds


def worker_engine(settings: Settings) -> Engine:
    """The engine of a worker: its agents loaded, its steps in place, the log as the settings want it.

    Raises :class:`~config.settings.SettingsError` without servers, and :class:`~coordinator.errors.LoadError`.
    """
    refuse_embedded(settings, "a worker")

    def keep_logs(**_: Any) -> None:
        """Keeps Celery from setting a level and handlers of its own: whoever connects here does it."""
        configure(settings.log_level)

    setup_logging.connect(keep_logs, weak=False)
    configure(settings.log_level)
    engine = Engine(settings, agents=load_modules(settings.agents).agents.values())
    health = HealthFile(settings.health_file)
    preflight = type("Preflight", (_Preflight,), {"engine": engine, "health": health})
    engine.app.steps["worker"].add(preflight)
    engine.app.steps["consumer"].add(type("Pulse", (_Pulse,), {"health": health}))
    return engine


class _Preflight(bootsteps.StartStopStep):
    """Hold the worker back until every server is in order. It comes after the pool, whose processes are forked before
    any connection is open, and before the consumer, which Celery starts last."""

    requires = ("celery.worker.components:Pool",)
    engine: Engine
    health: HealthFile

    def start(self, parent: Any) -> None:
        until_ready(lambda: examine(self.engine), self.health, _pause)

    def stop(self, parent: Any) -> None:
        self.health.say("stopping", "it finishes what it has begun")


class _Pulse(bootsteps.StartStopStep):
    """Say that the worker is ready, from the loop that consumes: a loop that is stuck falls silent."""

    requires = ("celery.worker.consumer.tasks:Tasks",)
    health: HealthFile

    def __init__(self, parent: Any, **options: Any) -> None:
        self._beats: list[Any] = []
        super().__init__(parent, **options)

    def start(self, parent: Any) -> None:
        names = ", ".join(sorted(queue.name for queue in parent.task_consumer.queues))

        def beat() -> None:
            self.health.say("ready", f"consumes {names}")

        self._beats = [parent.timer.call_after(0, beat), parent.timer.call_repeatedly(_BEAT, beat)]
        _log.info("consumes %s", names)

    def stop(self, parent: Any) -> None:
        for entry in self._beats:
            entry.cancel()
        self._beats = []
        if state.should_stop is None and state.should_terminate is None:  # the status to end with: 0 is one
            self.health.say("held", "the connection to the broker was lost: it tries to connect again")


def _pause(seconds: float) -> None:
    """Wait, but not longer than until the worker is told to stop."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        state.maybe_shutdown()
        time.sleep(_GLANCE)
