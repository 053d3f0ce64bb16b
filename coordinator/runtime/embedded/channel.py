"""Channel: a kombu channel of an embedded broker, with AMQP's methods."""

# ruff: noqa: ARG002 - kombu decides what is passed to a channel.

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol
from uuid import uuid4

from amqp.protocol import queue_declare_ok_t
from kombu.transport import base, virtual

from handoffs.coordinator.messaging.frames import ANYTHING, MOST_OCTETS, taken
from handoffs.coordinator.runtime.embedded.broker import Broker
from handoffs.coordinator.runtime.embedded.messages import Received, as_published, copied
from handoffs.coordinator.runtime.embedded.queues import DeliveredMessage, Inbox, Session

_log = logging.getLogger(__name__)


class BrokerConnection(Protocol):
    """What a channel asks of its connection, which is the transport."""

    broker: Broker
    inbox: Inbox
    client: Any

    def close_channel(self, channel: virtual.Channel) -> None:
        """Forget a channel that was closed."""


class Channel(virtual.Channel):
    """An AMQP channel of a broker in this process."""

    connection: BrokerConnection
    supports_fanout = True
    body_encoding = None  # type: ignore[assignment]  # bodies are kept as they come

    def __init__(self, connection: BrokerConnection, **kwargs: Any) -> None:
        super().__init__(connection, **kwargs)  # type: ignore[no-untyped-call]
        self.no_ack_consumers: set[str] = set()  # type: ignore[assignment]  # as amqp has it
        self.events: defaultdict[str, set[Any]] = defaultdict(set)
        self._broker = connection.broker
        self._options: Mapping[str, Any] = connection.client.transport_options or {}
        self._session = Session(connection.inbox)

    def close(self) -> None:
        """Cancel all consumers and requeue what was not acknowledged."""
        if not self.closed:
            self.closed = True
            self._broker.close_session(self._session)
            if self.connection is not None:
                self.connection.close_channel(self)

    # -- exchanges, queues and bindings

    def exchange_declare(
        self,
        exchange: str | None = None,
        type: str = "direct",
        durable: bool = False,
        auto_delete: bool = False,
        arguments: Mapping[str, Any] | None = None,
        nowait: bool = False,
        passive: bool = False,
        **kwargs: Any,
    ) -> None:
        """Create an exchange.

        Many parameters because they are those that kombu gives.

        Raises :class:`amqp.exceptions.PreconditionFailed` where it is there with another type or other arguments, or
        the type is unknown, and :class:`amqp.exceptions.NotFound` where it is ``passive`` and there is none.
        """
        kind = type or "direct"
        self._broker.declare_exchange(exchange or f"amq.{kind}", kind, arguments or {}, passive)

    def exchange_delete(
        self, exchange: str, if_unused: bool = False, nowait: bool = False, **kwargs: Any
    ) -> None:
        """Remove an exchange and its bindings.

        Raises :class:`amqp.exceptions.PreconditionFailed` where it is to be unused and has bindings.
        """
        self._broker.delete_exchange(exchange, if_unused)

    def queue_declare(
        self,
        queue: str | None = None,
        passive: bool = False,
        auto_delete: bool = False,
        exclusive: bool = False,
        arguments: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Create a queue, and return its name and how many messages and consumers it has.

        Raises :class:`amqp.exceptions.PreconditionFailed` where it is there with other arguments, or the arguments
        make no sense, and :class:`amqp.exceptions.NotFound` where it is ``passive`` and there is none.
        """
        name = queue or f"amq.gen-{uuid4()}"
        owner = self.connection.inbox if exclusive else None
        depth = self._broker.declare_queue(name, arguments or {}, auto_delete, owner, passive)
        return queue_declare_ok_t(name, depth.ready, depth.consumers)

    def queue_delete(self, queue: str, if_unused: bool = False, if_empty: bool = False, **kwargs: Any) -> int:
        """Remove a queue and drop its messages; returns how many were ready.

        Raises :class:`amqp.exceptions.PreconditionFailed` where it is to be unused and has consumers, or to be empty
        and has messages.
        """
        return self._broker.delete_queue(queue, if_unused, if_empty)

    def queue_purge(self, queue: str, **kwargs: Any) -> int:
        """Drop the ready messages of a queue; returns how many they were.

        Raises :class:`amqp.exceptions.NotFound` where there is no such queue.
        """
        return self._broker.purge(queue)

    def queue_bind(
        self,
        queue: str,
        exchange: str | None = None,
        routing_key: str = "",
        arguments: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Bind a queue to an exchange.

        Raises :class:`amqp.exceptions.NotFound` where there is no such queue or exchange.
        """
        self._broker.bind(queue, exchange or "amq.direct", routing_key or "")

    def queue_unbind(
        self,
        queue: str,
        exchange: str | None = None,
        routing_key: str = "",
        arguments: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Undo a binding, if there is one."""
        self._broker.unbind(queue, exchange or "amq.direct", routing_key or "")

    def list_bindings(self) -> list[tuple[str, str, str]]:
        """All bindings, as queue, exchange and key."""
        return self._broker.bindings()

    def get_exchanges(self) -> list[str]:
        """The names of all exchanges."""
        return self._broker.exchange_names()

    def prepare_queue_arguments(self, arguments: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Queue arguments as RabbitMQ knows them; keyword arguments are in kombu's units (seconds)."""
        prepared: dict[str, Any] = base.to_rabbitmq_queue_arguments(arguments, **kwargs)
        return prepared

    def after_reply_message_received(self, queue: str) -> None:
        """Leave the queue of a reply alone."""

    # -- messages

    def basic_publish(self, message: dict[str, Any], exchange: str, routing_key: str, **kwargs: Any) -> None:
        """Put a message into the queues it is routed to; never blocks.

        Raises :class:`amqp.exceptions.NotFound` where there is no such exchange, and
        :class:`amqp.exceptions.RecoverableConnectionError` where the channel is closed.
        """
        self._broker.publish(self._session, as_published(message, exchange, routing_key))

    def basic_consume(
        self,
        queue: str,
        no_ack: bool,
        callback: Callable[[Any], Any],
        consumer_tag: str | None = None,
        **kwargs: Any,
    ) -> str:
        """Have messages of a queue given to ``callback`` whenever the connection is drained.

        Raises :class:`amqp.exceptions.NotFound` where there is no such queue, and
        :class:`amqp.exceptions.NotAllowed` where the channel has a consumer with this tag.
        """
        tag = consumer_tag or f"amq.ctag-{uuid4()}"
        if no_ack:
            self.no_ack_consumers.add(tag)
            callback = partial(taken, callback)

        def deliver(delivery: DeliveredMessage) -> Any:
            message = self._message(delivery)
            return None if self._refused(message, no_ack) else callback(message)

        self._broker.consume(self._session, queue, tag, bool(no_ack), deliver)
        return tag

    def basic_cancel(self, consumer_tag: str, **kwargs: Any) -> None:
        """Stop a consumer; messages it was given stay unacknowledged."""
        self._broker.cancel(self._session, consumer_tag)

    def basic_get(self, queue: str, no_ack: bool = False, **kwargs: Any) -> Any:
        """The first message of a queue that can be read, or ``None``.

        Raises :class:`amqp.exceptions.NotFound` where there is no such queue.
        """
        while (delivery := self._broker.get(self._session, queue, no_ack)) is not None:
            message = self._message(delivery)
            if not self._refused(message, no_ack):
                return message
        return None

    def basic_ack(self, delivery_tag: int, multiple: bool = False) -> None:
        """Acknowledge a message, or all up to it.

        Raises :class:`amqp.exceptions.PreconditionFailed` where the channel holds no such message, and
        :class:`amqp.exceptions.RecoverableConnectionError` where the channel is closed, so that the message was requeued.
        """
        self._broker.acknowledge(self._session, delivery_tag, multiple)

    def basic_reject(self, delivery_tag: int, requeue: bool = False) -> None:
        """Requeue a message at its place, or dead-letter it.

        Raises :class:`amqp.exceptions.PreconditionFailed` where the channel holds no such message, and
        :class:`amqp.exceptions.RecoverableConnectionError` where the channel is closed, so that the message was requeued.
        """
        self._broker.reject(self._session, delivery_tag, requeue)

    def basic_recover(self, requeue: bool = False) -> None:
        """Requeue everything the channel holds.

        Raises :class:`NotImplementedError` without ``requeue``.
        """
        if not requeue:
            raise NotImplementedError("recover(requeue=False)")
        self._broker.recover(self._session)

    def basic_qos(self, prefetch_size: int = 0, prefetch_count: int = 0, apply_global: bool = False) -> None:
        """Limit how many unacknowledged messages the channel is pushed (0: no limit)."""
        self._broker.set_prefetch(self._session, prefetch_count or 0)

    def _message(self, delivery: DeliveredMessage) -> Any:
        queued = delivery.queued
        published = queued.published
        headers = copied(published.headers)
        if queued.delivery_count and delivery.queue.counts_deliveries:
            headers["x-delivery-count"] = queued.delivery_count
        delivery_info = {
            "exchange": published.exchange,
            "routing_key": published.routing_key,
            "redelivered": queued.delivery_count > 0,
            "priority": published.properties.get("priority"),
        }
        if delivery.consumer is not None:
            delivery_info["consumer_tag"] = delivery.consumer.tag
        if "compression" in headers:  # it is never unpacked: to whatever size that would be
            headers["compressed"] = headers.pop("compression")
        payload = {
            "body": published.body,
            "content-type": published.content_type,
            "content-encoding": published.content_encoding,
            "headers": headers,
            "properties": {
                **published.properties,
                "delivery_tag": delivery.tag,
                "delivery_info": delivery_info,
            },
        }
        fault = published.fault or self._too_large(published.body)
        return Received(payload, self, fault, published.octets)

    def _too_large(self, body: bytes | str) -> str:
        most = self._options.get(MOST_OCTETS)
        if most is None or len(body) <= most // 4 or self._options.get(ANYTHING):
            return ""
        octets = len(body if isinstance(body, bytes) else body.encode())
        return f"its body has {octets} bytes, over the limit of {most}" if octets > most else ""

    def _refused(self, message: Received, no_ack: bool) -> bool:
        """Whether a message is one that cannot be read; it is rejected, then."""
        if not message.fault or self._options.get(ANYTHING):
            return False
        _log.warning("a message was %s unread: %s", "dropped" if no_ack else "parked", message.fault)
        if not no_ack:
            self.basic_reject(message.delivery_tag)
        return True

    # -- what tools built on kombu's virtual transports call

    def _has_queue(self, queue: str, **kwargs: Any) -> bool:
        return queue in self._broker.depths()

    def _size(self, queue: str) -> int:
        depth = self._broker.depths().get(queue)
        return 0 if depth is None else depth.ready

    def _purge(self, queue: str) -> int:
        return self.queue_purge(queue)
