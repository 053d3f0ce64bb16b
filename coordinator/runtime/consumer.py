"""Consumers: a message that Celery cannot read or does not know is rejected, never dropped."""

# ruff: noqa: ARG002 - Celery decides what the methods that it calls are given

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import amqp
from celery.worker.consumer import Consumer as CeleryConsumer
from kombu import Consumer as KombuConsumer

from handoffs.config.topology import Topology
from handoffs.contracts.errors import InvalidInput
from handoffs.contracts.strictjson import Limits
from handoffs.coordinator.continuation.signature import EVENT
from handoffs.coordinator.handoff.failure import describe
from handoffs.coordinator.messaging.address import addressed
from handoffs.coordinator.messaging.wire import read_message
from handoffs.coordinator.runtime.places import Places

_log = logging.getLogger(__name__)

_LOOK_EVERY = 0.5  # seconds
_OWN = {"celery.worker.consumer.control:Control": "handoffs.coordinator.runtime.remote_control:Control"}


class Consumer(CeleryConsumer):
    """The worker's consumer: a message that Celery cannot read or does not know is rejected, never dropped."""

    class Blueprint(CeleryConsumer.Blueprint):
        """Celery's start-up without its native delayed delivery, for messages wait in the topology's own queues, and without its
        gossip: workers need nothing of each other's events, and whoever can send events could have them publish any task."""

        default_steps: ClassVar[list[str]] = [
            _OWN.get(step, step)
            for step in CeleryConsumer.Blueprint.default_steps
            if not step.endswith((":DelayedDelivery", ":Gossip"))
        ]

    def __init__(self, *arguments: Any, app: Any, **options: Any) -> None:
        """Where it takes no remote control, it does not look for other workers by it either."""
        if not app.conf.worker_enable_remote_control:
            options["without_mingle"] = True
        super().__init__(*arguments, app=app, **options)

    places: Places | None = None
    """Those of its pool, where it has more queues than one."""

    def update_strategies(self) -> None:
        """Celery calls this before it consumes. The broker gives of each queue as many messages as the pool can begin, and what
        is put off is with the broker: what lay here would wait for this worker while another has nothing to do."""
        super().update_strategies()
        self.places = None
        if getattr(self.controller, "max_concurrency", None) is None:  # it does not grow and shrink
            if self.hub is not None and len(self.app.amqp.queues.consume_from) > 1:
                self.places = Places(self.app, max(self.pool.num_processes, 1), self.call_soon)
                self.timer.call_repeatedly(_LOOK_EVERY, self.places.look)
            self.initial_prefetch_count = max(
                self.pool.num_processes, 1
            )  # with one thread it is one, whatever -c says

    def connection_for_write(self, url: str | None = None, heartbeat: float | None = None) -> Any:
        """The connection of the task events. They are not confirmed: several threads send them over one channel, and
        one that waits there for a confirm keeps all others, the consumer included, from going on. Under an alarm the broker
        does not read it: then none are sent, for who writes on and on waits in the end, too."""
        connection = self.app.connection_for_write(url=url, heartbeat=heartbeat)
        connection.transport_options = {**connection.transport_options, "confirm_publish": False}
        connected = self.ensure_connected(connection)
        bare = connected.connection
        if isinstance(bare, amqp.Connection):
            bare.on_blocked, bare.on_unblocked = partial(self._tell, False), partial(self._tell, True)
        return connected

    def _tell(self, on: bool, *_: object) -> None:
        """Send task events, or none."""
        if self.event_dispatcher is not None:
            self.event_dispatcher.enabled = on

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Any], Any]:
        """Celery decodes the body of a message without a task name, and ends the worker at one that is no text."""
        handle = super().create_task_handler(*args, **options)

        def on_task_received(message: Any) -> Any:
            if not isinstance(message.headers.get("task"), str):
                return self._reject(message, InvalidInput("the header 'task' is missing or malformed"))
            try:
                return handle(message)
            except self.connection_errors:
                raise
            except Exception as error:
                if message.acknowledged:
                    raise
                return self._reject(message, error)

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
        """Park a message; one that nobody acknowledges, as of remote control, is dropped."""
        channel, tag = message.channel, (message.delivery_info or {}).get("consumer_tag")
        if tag in (getattr(channel, "no_ack_consumers", None) or ()):
            _log.warning("a message was dropped unread: %s: %s", *describe(error))
            return
        _log.warning("a message was parked unread: %s: %s", *describe(error))
        message.reject_log_error(_log, self.connection_errors)


class AgentConsumer(KombuConsumer):
    """Takes what is for the agent of a queue, and an event as the message that starts what that agent does with it."""

    topology: ClassVar[Topology]
    limits: ClassVar[Limits]

    @property
    def on_message(self) -> Any:
        """Who takes the messages, once events among them are addressed."""
        return self._address if self._handle is not None else None

    @on_message.setter
    def on_message(self, handle: Any) -> None:
        self._handle = handle

    def _address(self, message: Any) -> Any:
        headers, queue = message.headers, self._queue_of(message)
        agent = self.topology.agent_of(queue)
        if isinstance(headers, dict) and headers.get("task") == EVENT:
            try:
                read = read_message(
                    headers, message.body, message.content_type, message.content_encoding, self.limits
                )
                message.headers, message.body, message.read = addressed(headers, read, agent)
            except InvalidInput as error:  # it is parked as it is: EVENT is no agent
                _log.warning("an event for %s cannot be read: %s", queue, error)
        elif not isinstance(headers, dict) or headers.get("task") != agent:
            return self._reject(message, agent)
        return self._handle(message)

    def _queue_of(self, message: Any) -> str:
        tag = message.delivery_info.get("consumer_tag")
        return next((name for name, known in self._active_tags.items() if known == tag), "")

    def _reject(self, message: Any, agent: str) -> None:
        """A queue is one agent's. What comes there for another task, be it an agent of this worker, one of Celery's own tasks or one
        that somebody has added to the app, is a letter: nothing else can be called over a queue."""
        _log.warning("a message was parked unread: it came to %s and is for something else", agent)
        channel: Any = self.channel
        message.reject_log_error(_log, channel.connection.client.connection_errors)


def agent_consumer(topology: Topology, limits: Limits) -> type[AgentConsumer]:
    """The consumer of the agents' queues of one installation; ``limits`` are those of a message."""
    return type(
        "AgentConsumer", (AgentConsumer,), {"__module__": __name__, "topology": topology, "limits": limits}
    )
