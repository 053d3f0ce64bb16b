"""Celery workers that live in threads of this process, started and stopped one by one.

Celery takes for granted that a process has one worker. Where that would let workers that share a process
hurt each other or their host, this room does differently (``controller.py``, ``consumer.py``, ``pool.py``):

* A pool thread takes the worker's app as its current app; Celery would use the process's default app.
* Which queues a worker consumes is its own affair; Celery keeps that in the app.
* Ending a worker cancels its own delayed tasks only; Celery would cancel those of all workers, and leave
  their messages unacknowledged.
* ``result.get()`` stays allowed in the threads of the host; Celery would forbid it in the whole process.
* The default timeout of sockets is not touched; Celery changes it while it stops.
* Delayed tasks begin on time, up to milliseconds; Celery's timer may be up to a second late, delays the
  stop of the worker by as much, and exits the process when it fails.
* A worker is stopped by a call in its own loop; ``celery.worker.state.should_stop`` would stop all.

No signal handler is installed, and no logging is set up.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any

import celery
import kombu

from handoffs.coordinator.runtime.embedded.controller import WorkerController
from handoffs.coordinator.runtime.embedded.pool import STOP_TIMEOUT, EmbeddedPool

_START_TIMEOUT = 10.0  # seconds
_TEARDOWN_TIMEOUT = 5.0  # seconds, for what a worker does after its tasks have ended

_numbers = count(1)


class EmbeddedWorker:
    """A Celery worker with the ``threads`` pool, running in threads of this process.

    Parameters
    ----------
    app
        It is finalized when the worker starts. Nothing is asked of the current or default app.
    queues
        The names of the queues to consume from; ``None`` means all in ``app.conf.task_queues`` (Celery's
        default queue, if that is empty).
    concurrency
        How many tasks run at a time. The worker holds ``worker_prefetch_multiplier`` times as many messages.
    pool
        The class of its pool.
    """

    def __init__(
        self,
        app: celery.Celery,
        queues: Sequence[str] | None,
        concurrency: int = 8,
        pool: type[EmbeddedPool] = EmbeddedPool,
    ) -> None:
        self._app = app
        self._queues = None if queues is None else tuple(queues)
        self._concurrency = concurrency
        self._pool = pool
        self._name = f"embedded-worker-{next(_numbers)}"
        self._controller: WorkerController | None = None
        self._thread: threading.Thread | None = None

    @property
    def hostname(self) -> str | None:
        """The node name that Celery's remote control knows the worker by; ``None`` while it is stopped."""
        return None if self._controller is None else str(self._controller.hostname)

    @property
    def pool(self) -> EmbeddedPool | None:
        """The pool; ``None`` while the worker is stopped."""
        return None if self._controller is None else self._controller.pool

    @property
    def running(self) -> bool:
        """Whether the worker was started and has not ended."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Start, and return when the worker consumes.

        Raises :class:`RuntimeError` where it is running already, or failed to start, with the failure as cause, and
        :class:`TimeoutError` where it did not consume within 10 seconds, and was stopped.
        """
        if self.running:
            raise RuntimeError(f"{self._name} is running already")
        self._app.finalize()
        self._controller = WorkerController(
            app=self._app,
            queue_names=self._queues or _all_queues(self._app),
            thread_name=self._name,
            concurrency=self._concurrency,
            pool=self._pool,
        )
        self._thread = threading.Thread(target=self._controller.start, name=self._name, daemon=True)
        self._thread.start()
        self._await_ready(self._controller)

    def stop(self, timeout: float = STOP_TIMEOUT) -> bool:
        """Stop warmly, and give whether all running tasks ended in time; without effect on a worker that is not running.

        No more tasks are begun, and those running get ``timeout`` seconds to end. Then the connection is
        closed, which requeues every message that was not acknowledged. Threads are gone when this returns,
        but for those of tasks which took longer: these cannot be killed and go on until they are done,
        though a late acknowledgement of theirs comes to nothing.

        Raises :class:`RuntimeError` where the worker is still not gone, 5 seconds after the timeout.
        """
        controller, thread = self._controller, self._thread
        if controller is None or thread is None:
            return True
        controller.request_stop(timeout)
        thread.join(timeout + _TEARDOWN_TIMEOUT)
        if thread.is_alive():
            raise RuntimeError(f"{self._name} did not stop within {timeout + _TEARDOWN_TIMEOUT:g} s")
        self._controller = self._thread = None
        return bool(controller.pool.drained)

    def _await_ready(self, controller: WorkerController) -> None:
        if controller.settled.wait(_START_TIMEOUT) and controller.failure is None and self.running:
            return
        failure = controller.failure
        with contextlib.suppress(RuntimeError):  # what matters is why it is stopped
            self.stop(timeout=0)
        if failure is not None:
            raise RuntimeError(f"{self._name} failed to start: {failure!r}") from failure
        raise TimeoutError(f"{self._name} did not consume within {_START_TIMEOUT:g} s")


def _all_queues(app: celery.Celery) -> tuple[str, ...]:
    """The names in ``task_queues``, which Celery takes as queues or as a mapping of settings by name."""
    queues: Iterable[Any] = app.conf.task_queues or ()
    if isinstance(queues, Mapping):
        names = tuple(queues)
    else:
        names = tuple(queue.name if isinstance(queue, kombu.Queue) else str(queue) for queue in queues)
    return names or (app.conf.task_default_queue,)
