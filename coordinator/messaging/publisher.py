"""Publisher: hands messages to the broker, and returns when the broker has confirmed them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import cached_property
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from amqp.exceptions import MessageNacked, PreconditionFailed
from celery import Celery
from kombu import Queue
from kombu.exceptions import OperationalError

from handoffs.config.intake import Intake
from handoffs.config.topology import Topology
from handoffs.contracts.text import printable
from handoffs.coordinator.continuation.signature import EVENT
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.messaging.confirms import Parcel, Pipeline
from handoffs.coordinator.messaging.message import Message

_RETRY = {
    "max_retries": 5,
    "interval_start": 0.1,
    "interval_step": 0.3,
    "interval_max": 1.5,
}
_ROOM_WITHIN = 3.0  # seconds, for which a full queue is waited for
_ROOM_PAUSE = 0.1  # seconds; what has room again may have none a moment later
_LONGEST_PAUSE = 0.8  # seconds
_TOGETHER = 100  # messages
_CONFIRM_TIMEOUT = 10.0  # seconds, after which the message is published anew on another connection


class Publisher(Protocol):
    """Where messages go."""

    def publish(
        self, messages: Iterable[Message], *, delay: timedelta | None = None, exact: bool = False
    ) -> None:
        """Publish, after ``delay`` if given: at least that, and at most half as long again, unless it is ``exact``: for
        delays of which there are few, for each length needs a queue. Returns when all are safe; raises
        :class:`ServerError` otherwise.
        """

    def declare(self, agents: Iterable[str], *, again: bool = False) -> None:
        """Make sure that the agents' queues exist, so that messages wait for workers that are not started yet.

        What was declared before is taken to be there still, unless ``again`` says to look.
        """

    def subscribe(self, agent: str, intake: Intake) -> None:
        """Declare the queue of an agent that hears events, so that they come there, whether it works or not."""


class BrokerPublisher:
    """Publishes to RabbitMQ, confirmed. Safe for threads, and after a fork."""

    def __init__(self, app: Celery, topology: Topology) -> None:
        self._app = app
        self._topology = topology
        self._declared: set[str] = set()
        self._pipelines: WeakKeyDictionary[Any, Pipeline] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def publish(
        self, messages: Iterable[Message], *, delay: timedelta | None = None, exact: bool = False
    ) -> None:
        self.declare(())
        errors = self._errors
        try:
            with self._app.producer_pool.acquire(block=True) as producer:
                parcels = [
                    self._parcel(message, self._exchange(message, delay, exact)) for message in messages
                ]
                if len(parcels) > 1 and self._together(producer, parcels):
                    for first in range(0, len(parcels), _TOGETHER):
                        self._send(producer, parcels[first : first + _TOGETHER], self._sent_together)
                else:
                    for parcel in parcels:
                        self._send(producer, [parcel], self._sent)
        except errors as error:
            self._declared.clear()  # perhaps the broker has lost what was declared
            raise _unusable(error) from error

    def declare(self, agents: Iterable[str], *, again: bool = False) -> None:
        queues = [
            self._topology.dead_letters,
            self._topology.unheard_events,
            self._topology.timers,
            *(self._topology.queue(agent) for agent in agents if agent != EVENT),
        ]
        missing = [queue for queue in queues if again or queue.name not in self._declared]
        if missing:
            self._declare([*missing, self._topology.unroutable_letters])

    def subscribe(self, agent: str, intake: Intake) -> None:
        self._declare([self._topology.unheard_events, self._topology.queue(agent, intake)])

    def _parcel(self, message: Message, exchange: str) -> Parcel:
        return Parcel(exchange, message.event or self._topology.queue_name(message.agent), message)

    def _together(self, producer: Any, parcels: list[Parcel]) -> bool:
        """Whether they may be on their way at once. Not where one may come to a queue with a bound: more would get in than it
        has room for, and of several events for an agent that hears them in order, one that was refused would be the last."""
        limits = self._topology.limits
        bounded = limits and any(parcel.message.event or parcel.message.agent in limits for parcel in parcels)
        return not bounded and Pipeline.possible(producer.channel)

    def _send(
        self, producer: Any, parcels: list[Parcel], sent: Callable[[Any, list[Parcel]], list[Parcel]]
    ) -> None:
        """Send messages, and wait a little where a queue is full: who gave up at once would send all that belongs to it once
        more, and the queue would fill with what it has had."""
        deadline, pause = time.monotonic() + _ROOM_WITHIN, _ROOM_PAUSE

        def attempt() -> list[Parcel]:
            return sent(producer, parcels)

        while parcels := producer.connection.ensure(producer, attempt, **_RETRY)():
            if time.monotonic() > deadline:
                raise MessageNacked
            time.sleep(pause)
            if any(parcel.message.event for parcel in parcels):
                pause = min(2 * pause, _LONGEST_PAUSE)  # each time, all others who hear it get it again

    def _sent(self, producer: Any, parcels: list[Parcel]) -> list[Parcel]:
        """Send one message; gives it back where the broker has no room for it. kombu would take that for a broken connection,
        or send it again without a pause."""
        [(exchange, routing_key, message)] = parcels
        try:
            producer.publish(
                message.body,
                exchange=exchange,
                routing_key=routing_key,
                content_type="application/json",
                content_encoding="utf-8",
                headers=message.headers,
                correlation_id=message.id,
                message_id=message.id,
                delivery_mode=2,
                confirm_timeout=_CONFIRM_TIMEOUT,
            )
        except MessageNacked:
            return parcels
        return []

    def _sent_together(self, producer: Any, parcels: list[Parcel]) -> list[Parcel]:
        """Send several; gives those back that the broker has no room for. After an error all are sent again on another
        connection: a message that comes twice counts once."""
        connection = producer.channel.connection
        pipeline = self._pipelines.pop(producer, None)
        if pipeline is None or pipeline.connection is not connection:
            pipeline = Pipeline(connection)
        refused = pipeline.send(parcels, _CONFIRM_TIMEOUT)
        self._pipelines[producer] = pipeline  # it works
        return refused

    def _exchange(self, message: Message, delay: timedelta | None, exact: bool) -> str:
        events = bool(message.event)
        if not delay:
            exchange = self._topology.events if events else self._topology.agents
            return str(exchange.name)
        queue = self._topology.delay(delay, exact=exact, events=events)
        if queue.name not in self._declared:
            self._declare([queue])
        name: str = queue.exchange.name
        return name

    def _declare(self, queues: list[Queue]) -> None:
        errors = self._errors
        try:
            with self._lock, self._app.connection_for_write() as connection:
                channel = connection.channel()
                self._topology.unroutable(channel).declare()
                self._topology.agents(channel).declare()
                self._topology.events(channel).declare()
                for queue in queues:
                    queue(channel).declare()
        except PreconditionFailed as error:
            raise _otherwise(error) from error
        except errors as error:
            raise _unusable(error) from error
        self._declared.update(queue.name for queue in queues)

    @cached_property
    def _errors(self) -> tuple[type[Exception], ...]:
        """What the transport may raise when the broker is gone, or refuses."""
        connection = self._app.connection_for_write()
        return (
            OperationalError,
            MessageNacked,
            OSError,
            *connection.connection_errors,
            *connection.channel_errors,
            *connection.recoverable_connection_errors,
        )


def _otherwise(error: PreconditionFailed) -> ServerError:
    """The broker says, for example: inequivalent arg 'x-delivery-limit' for queue 'a.b' in vhost '/': received ..."""
    return ServerError(
        f"the broker has a queue or an exchange with other arguments: {printable(str(error.reply_text), 300)}",
        "nothing was declared, and nothing it holds was touched",
        "set back the setting that was changed (COORDINATOR_DELIVERY_LIMIT), choose a COORDINATOR_NAMESPACE, or let it"
        " run empty and delete it: rabbitmqctl delete_queue NAME",
    )


def _unusable(error: Exception) -> ServerError:
    if isinstance(error, MessageNacked) or isinstance(error.__cause__, MessageNacked):
        return ServerError(
            "the broker has no room for the message: the queue has a bound",
            "it is sent again a little later",
            "start more workers of that agent, or raise its bound (COORDINATOR_QUEUE_LIMITS)",
        )
    return ServerError(
        f"the broker did not take the message: {type(error).__name__}: {str(error)[:200]}",
        "nothing was lost: what was accepted is published again",
        "check COORDINATOR_BROKER_URL, and that the server is up",
    )
