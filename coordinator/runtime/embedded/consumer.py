"""The consumer of an embedded worker: its queues and its delayed tasks are its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from celery import bootsteps
from celery.worker import state
from celery.worker.consumer.tasks import Tasks

from handoffs.coordinator.runtime.consumer import Consumer


class _OwnQueues(bootsteps.StartStopStep):
    """Lets the consumer consume from its own queues instead of those selected in the app."""

    requires = (Tasks,)

    def start(self, consumer: Any) -> None:
        """Replace the queues, before the loop starts to consume."""
        task_consumer = consumer.task_consumer
        task_consumer.queues = []
        for name in consumer.controller.queue_names:
            task_consumer.add_queue(consumer.app.amqp.queues[name])


class EmbeddedConsumer(Consumer):
    """A worker's consumer, for a process that has other workers."""

    class Blueprint(Consumer.Blueprint):
        """The steps of every consumer, and one more."""

        default_steps: ClassVar[list[Any]] = [*Consumer.Blueprint.default_steps, _OwnQueues]

    def update_strategies(self) -> None:
        """It is given as many messages as Celery would have it."""
        super(Consumer, self).update_strategies()

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
