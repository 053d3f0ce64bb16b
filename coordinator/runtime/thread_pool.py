"""Thread pool: Celery's pool of threads, in which the agents' functions run, and one more thread for the rest of every handoff."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from celery import signals
from celery._state import _task_stack
from celery.app import trace
from celery.concurrency.base import apply_target
from celery.concurrency.thread import TaskPool as CeleryTaskPool
from celery.worker.state import task_ready

from handoffs.coordinator.dispatch.reactor import Reactor
from handoffs.coordinator.handoff.outcome import Done, Postpone
from handoffs.coordinator.messaging.delivery import Delivery, delivery_of
from handoffs.coordinator.messaging.publisher import BrokerPublisher
from handoffs.coordinator.runtime.task import AgentTask

_log = logging.getLogger(__name__)
_TOLD_BY_CELERY = (
    signals.task_prerun,
    signals.task_postrun,
    signals.task_success,
    signals.task_retry,
    signals.task_failure,
)


class _Begun:
    """What Celery keeps of a task that was begun."""

    def terminate(self, signal: Any) -> None:
        """A thread cannot be ended."""


class _Taken:
    """A task that the reactor performs, with what Celery has called for it: the function, its arguments, and who is told."""

    def __init__(self, pool: ReactingPool, task: AgentTask, applied: tuple[Any, ...], began: float) -> None:
        self._pool = pool
        self._task = task
        self._applied = applied
        self.began = began

    def ended(self, outcome: Any, error: BaseException | None) -> None:
        """What came of it. What is not done is told by Celery, in a thread."""
        if isinstance(outcome, Done):
            _log.info("%s %s", self._task.name, outcome.summary)
            self._told(outcome)
        else:
            self._pool.conclude(partial(self._conclude, outcome, error), self._too_late)

    def _conclude(self, outcome: Any, error: BaseException | None) -> None:
        target, args, kwargs, callback = self._applied
        if isinstance(outcome, Postpone) and not self._pool.app.conf.worker_send_task_events:
            # nobody is told by Celery that it is tried again, which costs it milliseconds
            with suppress(Exception), _current(self._task, args[2]):
                self._task.postpone(outcome)
                self._told(outcome)
                return
        with self._task.knowing(outcome, error):
            apply_target(target, args, kwargs, callback)

    def _told(self, outcome: Done | Postpone) -> None:
        callback = self._applied[-1]
        if callback is not None:
            callback((0, repr(outcome.summary), time.monotonic() - self.began))

    def _too_late(self) -> None:
        """The worker has ended before: the broker has taken the message back."""
        _log.info("%s has ended after its worker: its message comes again", self._task.name)
        request = getattr(self._applied[-1], "__self__", None)
        if request is not None:
            task_ready(request)


class ReactingPool(CeleryTaskPool):
    """Threads, and a reactor that performs what the handoffs ask for.

    What ends otherwise than well is ended by Celery, in a thread, as are the tasks of agents that hear in order. So are all where
    somebody wants to know of tasks what only Celery tells: its integration with Django, a tracer.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._reactor: Reactor | None = None
        self._concluding: set[Future[None]] = set()

    def on_apply(
        self,
        target: Any,
        args: Any = None,
        kwargs: Any = None,
        callback: Callable[..., Any] | None = None,
        accept_callback: Callable[..., Any] | None = None,
        **options: Any,
    ) -> Any:
        """Begin a task."""
        task: Any = self.app.tasks.get(args[0]) if args else None
        delivery = None if _is_listened_to() else _delivery(task, args)
        reactor = self._reacting(task) if delivery is not None else None
        if reactor is None:
            return super().on_apply(target, args, kwargs, callback, accept_callback, **options)
        taken = _Taken(self, task, (target, args, kwargs, callback), time.monotonic())
        if accept_callback is not None:
            accept_callback(os.getpid(), taken.began)
        reactor.take(task.asking(delivery), taken.ended, lambda: _current(task, args[2]))
        return _Begun()

    @property
    def concluding(self) -> tuple[Future[None], ...]:
        """What is still to be told Celery, in threads of the pool, of what has ended otherwise than well."""
        return tuple(self._concluding)

    def conclude(self, conclude: Callable[[], None], too_late: Callable[[], None]) -> None:
        """Have ``conclude`` called in a thread of the pool, or ``too_late`` where there is none any more."""

        def concluded(future: Future[None]) -> None:
            self._concluding.discard(future)
            if future.cancelled():
                too_late()

        try:
            future: Future[None] = self.executor.submit(conclude)
        except RuntimeError:  # it was stopped before
            too_late()
            return
        self._concluding.add(future)
        future.add_done_callback(concluded)

    def on_stop(self) -> None:
        """Wait until what was begun is done."""
        if self._reactor is not None:
            self._reactor.finish()
        super().on_stop()

    def _reacting(self, task: AgentTask) -> Reactor | None:
        """The reactor; None where this transport has none."""
        publisher = task.driver.publisher
        if self._reactor is None and isinstance(publisher, BrokerPublisher):
            self._reactor = Reactor(task.driver, publisher, self.executor.submit)
        return self._reactor


def _delivery(task: Any, args: Any) -> Delivery | None:
    """What a handoff is given; None where Celery is to begin it: what comes to an agent in order, and what is malformed."""
    if not isinstance(task, AgentTask) or task.handoff.agent.intake.ordered:
        return None
    try:
        _, _, request, [[envelope], given, rest], *_ = args
        return delivery_of(
            {**request, "chain": rest.get("chain"), "chord": rest.get("chord")}, envelope, given
        )
    except (TypeError, ValueError, KeyError, AttributeError):
        return None


def _is_listened_to() -> bool:
    """Whether somebody wants to know of tasks what only Celery tells, or has changed how it runs them."""
    return any(signal.receivers for signal in _TOLD_BY_CELERY) or (
        trace.build_tracer.__module__ != trace.__name__
    )


@contextmanager
def _current(task: AgentTask, request: Mapping[str, Any]) -> Iterator[None]:
    """Have ``celery.current_task`` be the task, with its request, for the agent's function and the log."""
    _task_stack.push(task)
    task.push_request(**request)
    try:
        yield
    finally:
        task.pop_request()
        _task_stack.pop()
