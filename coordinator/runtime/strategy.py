"""Strategy: how the worker's consumer treats a message of an agent, before Celery does."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from celery.worker.strategy import default as celery_strategy

from handoffs.contracts.errors import InvalidInput
from handoffs.coordinator.messaging.wire import read_message
from handoffs.coordinator.runtime.task import AgentTask

_log = logging.getLogger(__name__)


def strategy(task: AgentTask, app: Any, consumer: Any, **options: Any) -> Callable[..., Any]:
    """How the consumer treats a message of ``task``: first whether it can be read at all, then Celery's own way."""
    handle = celery_strategy(task, app, consumer, **options)

    def on_message(message: Any, body: Any, ack: Any, reject: Any, callbacks: Any, **more: Any) -> Any:
        try:
            read = read_message(
                message.headers, message.body, message.content_type, message.content_encoding, task.limits
            )
        except InvalidInput as error:
            _log.warning("a message for %s was parked unread: %s", task.name, error)
            reject(_log, consumer.connection_errors, False)
            return None
        message._decoded_cache = [
            [read.envelope],
            read.kwargs,
            read.continuation,
        ]  # or Kombu would parse it again
        return handle(message, body, ack, reject, callbacks, **more)

    return on_message
