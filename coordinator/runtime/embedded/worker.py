"""Celery workers that live in threads of this process, started and stopped one by one.

Celery takes for granted that a process has one worker. Where that would let workers that share a process
hurt each other or their host, this module does differently:

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

import contextlib
import logging
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any
from uuid import uuid4

import celery
import kombu
from celery import bootsteps
from celery.concurrency.thread import TaskPool
from celery.exceptions import WorkerShutdown
from celery.utils import timer2
from celery.utils.nodenames import gethostname
from celery.worker import WorkController, state
from celery.worker.consumer import Consumer
from celery.worker.consumer.tasks import Tasks

__all__ = ["EmbeddedWorker"]

logger = logging.getLogger(__name__)

_START_TIMEOUT = 10.0  # seconds
_STOP_TIMEOUT = 10.0  # seconds
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
    """

    def __init__(self, app: celery.Celery, queues: Sequence[str] | None, concurrency: int = 8) -> None:
        self._app = app
        self._queues = None if queues is None else tuple(queues)
        self._concurrency = concurrency
        self._name = f"embedded-worker-{next(_numbers)}"
        self._controller: _Controller | None = None
        self._thread: threading.Thread | None = None

    @property
    def hostname(self) -> str | None:
        """The node name that Celery's remote control knows the worker by; ``None`` while it is stopped."""
        return None if self._controller is None else str(self._controller.hostname)

    @property
    def running(self) -> bool:
        """Whether the worker was started and has not ended."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Start, and return when the worker consumes.

        Raises
        ------
        RuntimeError
            It is running already, or it failed to start, with the failure as cause.
        TimeoutError
            It did not consume within 10 seconds, and was stopped.
        """
        if self.running:
            raise RuntimeError(f"{self._name} is running already")
        self._app.finalize()
        self._controller = _Controller(
            app=self._app,
            queue_names=self._queues or _all_queues(self._app),
            thread_name=self._name,
            concurrency=self._concurrency,
        )
        self._thread = threading.Thread(target=self._controller.start, name=self._name, daemon=True)
        self._thread.start()
        self._await_ready(self._controller)

    def stop(self, timeout: float = _STOP_TIMEOUT) -> bool:
        """Stop warmly; without effect on a worker that is not running.

        No more tasks are begun, and those running get ``timeout`` seconds to end. Then the connection is
        closed, which requeues every message that was not acknowledged. Threads are gone when this returns,
        but for those of tasks which took longer: these cannot be killed and go on until they are done,
        though a late acknowledgement of theirs comes to nothing.

        Returns
        -------
        bool
            Whether all running tasks ended in time.

        Raises
        ------
        RuntimeError
            The worker is still not gone, 5 seconds after the timeout.
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

    def _await_ready(self, controller: "_Controller") -> None:
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


class _Timer(timer2.Timer):
    """Celery's timer for delayed tasks, woken by new entries and by its stop, and no danger to the process.

    The original looks around once a second for what has changed, and ends the process when it fails.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._stopping = False

    def run(self) -> None:
        """Apply entries when they are due."""
        due = iter(self.schedule)
        while not self._stopping:
            with self.not_empty:
                delay, entry = next(due)
                if entry is None and not self._stopping:
                    self.not_empty.wait(delay)
            if entry is not None:
                self.schedule.apply_entry(entry)

    def stop(self) -> None:
        """Apply no more entries; they are dropped."""
        with self.not_empty:
            self._stopping = True
            self.not_empty.notify_all()
        if self.is_alive():
            self.join()


class _Pool(TaskPool):
    """Celery's thread pool with the app set in its threads, and a limit to how long its stop takes."""

    Timer = _Timer

    #: Celery writes this to a flag of the process, which would forbid the host to wait for a result.
    task_join_will_block = False

    def __init__(self, *args: Any, app: celery.Celery, **kwargs: Any) -> None:
        super().__init__(*args, app=app, **kwargs)
        self.stop_timeout = _STOP_TIMEOUT  # holds for one that a remote command stops
        self.drained = True
        self.executor = ThreadPoolExecutor(
            max_workers=self.limit, thread_name_prefix="embedded-task", initializer=app.set_current
        )

    def on_stop(self) -> None:
        """Begin no more tasks, and wait for those running up to the limit."""
        self.executor.shutdown(wait=False, cancel_futures=True)
        deadline = time.monotonic() + self.stop_timeout
        threads = list(self.executor._threads)
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self.drained = not any(thread.is_alive() for thread in threads)
        if not self.drained:
            logger.warning("tasks still run after %g s; their messages are requeued", self.stop_timeout)


class _OwnQueues(bootsteps.StartStopStep):
    """Lets the consumer consume from its own queues instead of those selected in the app."""

    requires = (Tasks,)

    def start(self, consumer: Any) -> None:
        """Replace the queues, before the loop starts to consume."""
        task_consumer = consumer.task_consumer
        task_consumer.queues = []
        for name in consumer.controller.queue_names:
            task_consumer.add_queue(consumer.app.amqp.queues[name])


class _Consumer(Consumer):
    """Celery's consumer, for a process that has other workers."""

    class Blueprint(Consumer.Blueprint):
        """The steps of every consumer, and one more."""

        default_steps = (*Consumer.Blueprint.default_steps, _OwnQueues)

    def on_close(self) -> None:
        """Forget the tasks of this consumer that have not begun: their messages are requeued."""
        for bucket in self.task_buckets.values():
            if bucket:
                bucket.clear_pending()
        for request in self._own(state.scheduled_requests):
            if request._eta_timer_entry is not None:
                self.timer.cancel(request._eta_timer_entry)
            self._forget(request)
        for request in self._own(state.reserved_requests):
            if request not in state.active_requests:
                self._forget(request)

    def _own(self, requests: Iterable[Any]) -> list[Any]:
        return [request for request in _snapshot(requests) if request.hostname == self.hostname]

    def _forget(self, request: Any) -> None:
        state.requests.pop(request.id, None)
        state.scheduled_requests.discard(request)
        state.reserved_requests.discard(request)


def _snapshot(requests: Iterable[Any]) -> tuple[Any, ...]:
    """The members of a set that other workers add to meanwhile."""
    while True:
        try:
            return tuple(requests)
        except RuntimeError:  # changed during iteration
            continue


class _Controller(WorkController):
    """Celery's worker, for a process that is not its own."""

    def __init__(
        self, *, app: celery.Celery, queue_names: tuple[str, ...], thread_name: str, concurrency: int
    ) -> None:
        self.queue_names = queue_names
        self.failure: BaseException | None = None
        self.settled = threading.Event()  # consumes, or has failed to
        super().__init__(
            app=app,
            hostname=f"{thread_name}-{uuid4().hex[:8]}@{gethostname()}",
            concurrency=concurrency,
            pool=_Pool,
            consumer_cls=_Consumer,
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
        except BaseException as error:
            if not self.settled.is_set():
                self.failure = error
            else:
                logger.critical("worker %s failed", self.hostname, exc_info=True)
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
