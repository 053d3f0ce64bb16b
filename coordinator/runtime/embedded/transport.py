"""An in-memory message broker with RabbitMQ's semantics, as a kombu transport.

A Celery app uses it with two settings::

    app.conf.broker_url = "memory://NAME"
    app.conf.broker_transport = "handoffs.coordinator.runtime.embedded.transport:Transport"

and a bare connection with ``kombu.Connection("memory://NAME", transport=Transport)``.
``broker_transport`` (``transport``) wins over the scheme of the URL, which must merely be one that kombu
knows; without that setting kombu's own ``memory`` transport would be taken, silently.
``broker_transport_options={"confirm_publish": True}`` is accepted and changes nothing: a message is in
its queues when ``basic_publish`` returns.

NAME is the virtual host of the URL (``memory:///NAME``) or else its host (``memory://NAME``), without
regard to case, since URLs lower-case hosts. Connections with one name in one process share a broker,
which appears with the first of them; brokers of different names see nothing of each other.
``brokers.forget()`` drops a broker, its messages and its timer thread.

What holds as in RabbitMQ:

* Exchanges are ``direct``, ``topic`` or ``fanout``, and may name an ``alternate-exchange``. Anything
  unroutable is dropped without notice, ``mandatory`` or not. Publishing to, binding or consuming what was
  never declared raises :exc:`amqp.exceptions.NotFound`, and declaring something again with other
  arguments :exc:`amqp.exceptions.PreconditionFailed`.
* Queues honour ``x-message-ttl`` (milliseconds), ``x-dead-letter-exchange``,
  ``x-dead-letter-routing-key`` and ``x-delivery-limit``, and are removed when they are ``auto_delete``
  and lose their last consumer, or ``exclusive`` and lose their connection. A message's own ``expiration``
  counts too, but, as in RabbitMQ, only from when it is first in its queue.
* Dead-lettered messages carry ``x-death``, ``x-first-death-*`` and ``x-last-death-*``. Those which a
  client put into a message do not count, as from RabbitMQ 3.13 on. A message that comes round to a queue
  where it died before without having been rejected on the way is dropped.
* Messages are pushed to the consumers of a queue in turn, as far as the prefetch count of their channels
  allows. A requeued one returns to its original place, marked as redelivered.

What differs: nothing outlives the process; priorities, length limits, ``x-expires``, headers exchanges
and bindings between exchanges are not implemented; the prefetch count is always that of the channel, as
AMQP has it; a queue has no delivery limit unless it states one; and a message pushed to a consumer that
went away before it took the message was not delivered, so that it returns unmarked and uncounted.
"""

# ruff: noqa: ARG002 - kombu decides what is passed to a transport.

from __future__ import annotations

from typing import Any

from amqp.exceptions import RecoverableChannelError, RecoverableConnectionError
from kombu.transport import virtual

from handoffs.coordinator.runtime.embedded.broker import Broker
from handoffs.coordinator.runtime.embedded.brokers import broker_named
from handoffs.coordinator.runtime.embedded.channel import Channel
from handoffs.coordinator.runtime.embedded.exchanges import EXCHANGE_TYPES
from handoffs.coordinator.runtime.embedded.queues import Inbox

_DEFAULT_NAME = "default"


class Transport(virtual.Transport):
    """A kombu transport to a broker in this process, chosen by the URL's virtual host or host."""

    Channel = Channel

    driver_type = "memory"
    driver_name = "embedded"
    recoverable_connection_errors = (RecoverableConnectionError,)
    recoverable_channel_errors = (RecoverableChannelError,)
    implements = virtual.Transport.implements.extend(exchange_type=EXCHANGE_TYPES)

    broker: Broker
    inbox: Inbox

    def establish_connection(self) -> Transport:
        """Connect to the broker, which comes into being if need be."""
        self.broker = broker_named(_broker_name(self.client))
        self.inbox = self.broker.open_inbox()
        super().establish_connection()  # type: ignore[no-untyped-call]
        return self

    def close_connection(self, connection: Transport) -> None:
        """Close all channels, whose unacknowledged messages are requeued."""
        super().close_connection(connection)  # type: ignore[no-untyped-call]
        self.broker.close_inbox(self.inbox)

    def verify_connection(self, connection: Transport) -> bool:
        """Whether the broker is still there."""
        return not self.broker.closed

    def drain_events(self, connection: Transport, timeout: float | None = None, **kwargs: Any) -> None:
        """Wait up to ``timeout`` seconds for a message, and give it to its consumer.

        Raises :class:`TimeoutError` (that is ``socket.timeout``) where none came, and
        :class:`amqp.exceptions.RecoverableConnectionError` where the connection or the broker was closed.
        """
        delivery = self.broker.next_delivery(self.inbox, timeout)
        if delivery.consumer is not None:
            delivery.consumer.deliver(delivery)

    def interrupt(self) -> None:
        """Let a drain that is waiting in another thread, or else the next one, time out at once."""
        self.broker.interrupt(self.inbox)

    def driver_version(self) -> str:
        """There is just the one."""
        return "N/A"


def _broker_name(client: Any) -> str:
    vhost = (client.virtual_host or "").strip("/")
    name: str = vhost or client.hostname or _DEFAULT_NAME
    return name.lower()
