"""Celery's worker, started and stopped from another thread of a process that is not its own."""

from __future__ import annotations

import logging
import threading
from typing import Any
from uuid import uuid4

import celery
from celery.exceptions import WorkerShutdown
from celery.utils.nodenames import gethostname
from celery.worker import WorkController

from handoffs.coordinator.runtime.embedded.consumer import EmbeddedConsumer
from handoffs.coordinator.runtime.embedded.pool import EmbeddedPool

_log = logging.getLogger(__name__)


class WorkerController(WorkController):
    """Celery's worker, for a process that is not its own."""

    def __init__(
        self,
        *,
        app: celery.Celery,
        queue_names: tuple[str, ...],
        thread_name: str,
        concurrency: int,
        pool: type[EmbeddedPool] = EmbeddedPool,
    ) -> None:
        self.queue_names = queue_names
        self.failure: BaseException | None = None
        self.settled = threading.Event()  # consumes, or has failed to
        super().__init__(
            app=app,
            hostname=f"{thread_name}-{uuid4().hex[:8]}@{gethostname()}",
            concurrency=concurrency,
            pool=pool,
            consumer_cls=EmbeddedConsumer,
            use_eventloop=False,
            without_gossip=True,
            without_heartbeat=True,
            without_mingle=True,
        )

    def start(self) -> None:
        """Run until stopped; a failure is kept for the thread that waits for the start."""
        self.app.set_current()
        try:
            self.blueprint.start(self)
        except SystemExit as error:
            self.stop(exitcode=error.code)
        except BaseException as error:  # noqa: BLE001 - it is kept, or logged: the thread has no caller
            if not self.settled.is_set():
                self.failure = error
            else:
                _log.critical("worker %s failed", self.hostname, exc_info=True)
            self.stop(exitcode=1)
        finally:
            self.settled.set()

    def on_consumer_ready(self, consumer: Any) -> None:  # noqa: ARG002
        """Celery calls this when the worker consumes, for the first time."""
        self.settled.set()

    def request_stop(self, timeout: float) -> None:
        """Have the worker's own thread stop it, leaving running tasks so many seconds."""
        self.pool.stop_timeout = timeout
        self.consumer.call_soon(_shut_down)
        interrupt = getattr(getattr(self.consumer.connection, "transport", None), "interrupt", None)
        if interrupt is not None:
            interrupt()

    def _shutdown(self, warm: bool = True) -> None:
        """Stop as Celery does, but leave the default timeout of the process's sockets alone."""
        self.blueprint.stop(self, terminate=not warm)
        self.blueprint.join()


def _shut_down() -> None:
    raise WorkerShutdown(0)
