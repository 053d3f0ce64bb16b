"""Consumers: a message that Celery cannot read or does not know is rejected, never dropped."""

# ruff: noqa: ARG002 - Celery decides what the methods that it calls are given

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, ClassVar

from celery.worker.consumer import Consumer as CeleryConsumer
from kombu import Consumer as KombuConsumer

from handoffs.config.topology import Topology
from handoffs.contracts.errors import InvalidInput
from handoffs.coordinator.continuation.signature import EVENT
from handoffs.coordinator.handoff.failure import describe
from handoffs.coordinator.messaging.message import addressed

_log = logging.getLogger(__name__)


class Consumer(CeleryConsumer):
    """The worker's consumer: a message that Celery cannot read or does not know is rejected, never dropped."""

    class Blueprint(CeleryConsumer.Blueprint):
        """Celery's start-up without its native delayed delivery: messages wait in the topology's own queues."""

        default_steps: ClassVar[list[str]] = [
            step for step in CeleryConsumer.Blueprint.default_steps if not step.endswith(":DelayedDelivery")
        ]

    def connection_for_write(self, url: str | None = None, heartbeat: float | None = None) -> Any:
        """The connection of the task events. They are not confirmed: several threads send them over one channel, and
        one that waits there for a confirm keeps all others, the consumer included, from going on."""
        connection = self.app.connection_for_write(url=url, heartbeat=heartbeat)
        connection.transport_options = {**connection.transport_options, "confirm_publish": False}
        return self.ensure_connected(connection)

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Any], Any]:
        """Celery decodes the body of a message without a task name, and ends the worker at one that is no text."""
        handle = super().create_task_handler(*args, **options)

        def on_task_received(message: Any) -> Any:
            if isinstance(message.headers.get("task"), str):
                return handle(message)
            return self._reject(message, InvalidInput("the header 'task' is missing or malformed"))

        return on_task_received

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        self._reject(message, exc)

    def on_unknown_message(self, body: Any, message: Any) -> None:
        self._reject(message, InvalidInput("it is no task message"))

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:
        self._reject(message, InvalidInput(f"no agent {exc} is loaded in this worker"))

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:
        self._reject(message, exc)

    def _reject(self, message: Any, error: Exception) -> None:
        _log.warning("a message was parked unread: %s: %s", *describe(error))
        message.reject_log_error(_log, self.connection_errors)


class RawConsumer(KombuConsumer):
    """Takes a body as it comes. Kombu decompresses it, to whatever size, before anybody can look at it."""

    def _receive_callback(self, message: Any) -> Any:
        headers = (getattr(message, "properties", None) or {}).get("application_headers")
        if isinstance(headers, dict) and "compression" in headers:
            headers["compressed"] = headers.pop("compression")
        return super()._receive_callback(message)  # type: ignore[no-untyped-call]


class AgentConsumer(RawConsumer):
    """Takes an event as the message that starts what the agent of the queue does with it."""

    topology: ClassVar[Topology]

    @property
    def on_message(self) -> Any:
        """Who takes the messages, once events among them are addressed."""
        return self._address if self._handle is not None else None

    @on_message.setter
    def on_message(self, handle: Any) -> None:
        self._handle = handle

    def _address(self, message: Any) -> Any:
        headers = message.headers
        if isinstance(headers, dict) and headers.get("task") == EVENT:
            tag = message.delivery_info.get("consumer_tag")
            queue = next((name for name, known in self._active_tags.items() if known == tag), "")
            try:
                agent = self.topology.agent_of(queue)
                message.headers, message.body = addressed(headers, message.body, agent)
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                _log.warning(
                    "an event for %s cannot be read", queue
                )  # it is parked as it is: EVENT is no agent
        return self._handle(message)


def agent_consumer(topology: Topology) -> type[AgentConsumer]:
    """The consumer of the agents' queues of one installation."""
    return type("AgentConsumer", (AgentConsumer,), {"__module__": __name__, "topology": topology})
