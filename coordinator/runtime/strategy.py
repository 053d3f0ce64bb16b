"""Strategy: how the worker's consumer treats a message of an agent, before Celery does."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from celery.worker.strategy import default as celery_strategy

from handoffs.contracts.errors import InvalidInput
from handoffs.coordinator.dispatch.sender import publish
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.messaging.wire import Body, check_headers, read_message
from handoffs.coordinator.runtime.places import Places, Waiting
from handoffs.coordinator.runtime.task import AgentTask

_log = logging.getLogger(__name__)


def strategy(task: AgentTask, app: Any, consumer: Any, **options: Any) -> Callable[..., Any]:
    """How the consumer treats a message of ``task``: first whether it can be read at all, then Celery's own way."""
    handle = celery_strategy(task, app, consumer, **options)
    # those that are heard in order must not pass one another
    queue = "" if task.handoff.agent.intake.ordered else app.amqp.Consumer.topology.queue_name(task.name)

    def on_message(message: Any, body: Any, ack: Any, reject: Any, callbacks: Any, **more: Any) -> Any:
        try:
            read = _read(message, task)
        except InvalidInput as error:
            _log.warning("a message for %s was parked unread: %s", task.name, error)
            reject(_log, consumer.connection_errors, False)
            return None
        message._decoded_cache = [
            [read.envelope],
            read.kwargs,
            read.continuation,
        ]  # or Kombu would parse it again
        # the consumer of an embedded worker has none
        places: Places | None = getattr(consumer, "places", None)
        if places is None:
            return handle(message, body, ack, reject, callbacks, **more)
        acked, rejected = places.leaving(ack, reject)

        def begin() -> None:
            handle(message, body, acked, rejected, callbacks, **more)

        def give_back() -> None:
            """Without the broker's counting it, as it counts what is rejected."""
            copy = Message.received(task.name, message.headers, _text(message.body))
            task.driver.perform(publish([(copy, timedelta())]))
            consumer.call_soon(partial(message.ack_log_error, _log, consumer.connection_errors))

        return places.take(Waiting(queue, str(message.headers.get("handoff_run") or ""), begin, give_back))

    return on_message


def _read(message: Any, task: AgentTask) -> Body:
    """The body of a message, taken apart: that of an event is already. Raises :class:`InvalidInput` where nobody could read it."""
    known: Body | None = getattr(message, "read", None)
    if known is not None:
        check_headers(message.headers)
        return known
    return read_message(
        message.headers, message.body, message.content_type, message.content_encoding, task.limits
    )


def _text(body: bytes | str) -> str:
    return body if isinstance(body, str) else body.decode()
