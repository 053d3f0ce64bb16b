"""An in-memory message broker with RabbitMQ's semantics, as a kombu transport.

A Celery app uses it with two settings::

    app.conf.broker_url = "memory://NAME"
    app.conf.broker_transport = "handoffs.coordinator.runtime.embedded.broker:Transport"

and a bare connection with ``kombu.Connection("memory://NAME", transport=Transport)``.
``broker_transport`` (``transport``) wins over the scheme of the URL, which must merely be one that kombu
knows; without that setting kombu's own ``memory`` transport would be taken, silently.
``broker_transport_options={"confirm_publish": True}`` is accepted and changes nothing: a message is in
its queues when ``basic_publish`` returns.

NAME is the virtual host of the URL (``memory:///NAME``) or else its host (``memory://NAME``), without
regard to case, since URLs lower-case hosts. Connections with one name in one process share a broker,
which appears with the first of them; brokers of different names see nothing of each other.
:func:`forget` drops a broker, its messages and its timer thread.

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

# ruff: noqa: ARG002 - kombu decides what is passed to a channel or transport.

from __future__ import annotations

import threading
import weakref
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from heapq import heappop, heappush
from itertools import count
from time import monotonic
from typing import Any, NamedTuple
from uuid import uuid4

from amqp.exceptions import (
    NotAllowed,
    NotFound,
    PreconditionFailed,
    RecoverableChannelError,
    RecoverableConnectionError,
)
from amqp.protocol import queue_declare_ok_t
from kombu.transport import base, virtual

__all__ = ["Channel", "QueueDepth", "Transport", "forget", "queue_depths"]

_DEFAULT_NAME = "default"
_EXCHANGE_TYPES = frozenset({"direct", "topic", "fanout"})
_ROUTE_CACHE_SIZE = 4096
_QUEUE_DECLARE = ((50, 10), "Queue.declare")
_EXCHANGE_DECLARE = ((40, 10), "Exchange.declare")


class QueueDepth(NamedTuple):
    """How many messages and consumers a queue has."""

    ready: int
    unacked: int
    consumers: int


@dataclass(eq=False, slots=True)
class _Content:
    """A message as published; shared by the queues it was routed to and never modified."""

    body: Any
    content_type: str | None
    content_encoding: str | None
    headers: dict[str, Any]
    properties: dict[str, Any]
    exchange: str
    routing_key: str
    deaths: tuple[dict[str, Any], ...] = ()

    def ttl(self) -> float | None:
        """The message's own time to live in seconds."""
        expiration = self.properties.get("expiration")
        return None if expiration is None else int(expiration) / 1000


@dataclass(eq=False, slots=True)
class _Entry:
    """A message's place in one queue."""

    content: _Content
    place: int
    expires_at: float | None
    delivery_count: int = 0


@dataclass(eq=False, slots=True)
class _Delivery:
    """A message on its way to, or held by, a channel."""

    tag: int
    entry: _Entry
    queue: _Queue
    session: _Session
    consumer: _Consumer | None
    seen: bool = False


@dataclass(eq=False, slots=True)
class _Consumer:
    """A subscription of a channel to a queue."""

    tag: str
    queue: _Queue
    session: _Session
    no_ack: bool
    deliver: Callable[[_Delivery], None]

    def has_room(self) -> bool:
        """Whether another message may be pushed to this consumer."""
        session = self.session
        return self.no_ack or not session.prefetch or session.outstanding < session.prefetch


@dataclass(eq=False, slots=True)
class _Session:
    """The broker's side of a channel: what it consumes and what it has not acknowledged."""

    inbox: _Inbox
    prefetch: int = 0
    outstanding: int = 0
    closed: bool = False
    unacked: dict[int, _Delivery] = field(default_factory=dict)
    #: By tag, those who were given a message last at the end.
    consumers: dict[str, _Consumer] = field(default_factory=dict)
    tags: count[int] = field(default_factory=lambda: count(1))


class _Inbox:
    """The broker's side of a connection: deliveries that wait for it to be drained."""

    def __init__(self, lock: threading.Lock) -> None:
        self.arrived = threading.Condition(lock)
        self.deliveries: deque[_Delivery] = deque()
        self.waiting = 0
        self.interrupted = False
        self.closed = False

    def append(self, delivery: _Delivery) -> None:
        """Add a delivery and wake one thread that waits for it."""
        self.deliveries.append(delivery)
        if self.waiting:
            self.arrived.notify()

    def remove(self, unwanted: Callable[[_Delivery], bool]) -> None:
        """Drop the deliveries that are unwanted."""
        if self.deliveries:
            self.deliveries = deque(d for d in self.deliveries if not unwanted(d))


class _Queue:
    """A queue: its settings, ready messages by place, and consumers in turn."""

    def __init__(
        self, name: str, arguments: Mapping[str, Any], auto_delete: bool, owner: _Inbox | None
    ) -> None:
        self.name = name
        self.arguments = dict(arguments)
        self.auto_delete = auto_delete
        self.owner = owner
        ttl = _natural(arguments, "x-message-ttl")
        self.ttl = None if ttl is None else ttl / 1000
        self.dead_letter_exchange: str | None = arguments.get("x-dead-letter-exchange")
        self.dead_letter_key: str | None = arguments.get("x-dead-letter-routing-key")
        if self.dead_letter_key is not None and self.dead_letter_exchange is None:
            raise _failed(f"routing_key_but_no_dlx_defined for queue {name!r}", *_QUEUE_DECLARE)
        self.delivery_limit = _natural(arguments, "x-delivery-limit")
        self.counts_deliveries = self.delivery_limit is not None or arguments.get("x-queue-type") == "quorum"
        self.ready: list[tuple[int, _Entry]] = []
        self.consumers: deque[_Consumer] = deque()
        self.unacked = 0
        self.places = count()
        self.wake_at: float | None = None
        self.deleted = False

    def put(self, entry: _Entry) -> None:
        """Make an entry ready, at its place."""
        heappush(self.ready, (entry.place, entry))

    def expires_at(self) -> float | None:
        """When the first ready message expires, on the monotonic clock."""
        return self.ready[0][1].expires_at if self.ready else None

    def remove_consumer(self, consumer: _Consumer) -> None:
        """Let a consumer take no more turns."""
        if consumer in self.consumers:  # else the queue was deleted
            self.consumers.remove(consumer)

    def next_consumer(self) -> _Consumer | None:
        """The consumer whose turn it is, among those with room."""
        consumers = self.consumers
        for _ in range(len(consumers)):
            consumer = consumers[0]
            consumers.rotate(-1)
            if consumer.has_room():
                return consumer
        return None


class _Exchange:
    """An exchange: its bindings and the routes found so far."""

    def __init__(self, name: str, type: str, arguments: Mapping[str, Any]) -> None:
        if type not in _EXCHANGE_TYPES:
            raise _failed(f"exchange type {type!r} is not supported", *_EXCHANGE_DECLARE)
        self.name = name
        self.type = type
        self.arguments = dict(arguments)
        self.alternate: str | None = arguments.get("alternate-exchange")
        self.bindings: dict[tuple[str, str], _Queue] = {}
        self._routes: dict[str, tuple[_Queue, ...]] = {}

    def bind(self, key: str, queue: _Queue) -> None:
        """Route messages with a key, or that match it, to a queue."""
        self.bindings[key, queue.name] = queue
        self._routes.clear()

    def unbind(self, key: str, queue: str) -> None:
        """Undo a binding, if there is one."""
        self.bindings.pop((key, queue), None)
        self._routes.clear()

    def unbind_queue(self, queue: str) -> None:
        """Undo all bindings of a queue."""
        for key, name in [binding for binding in self.bindings if binding[1] == queue]:
            self.unbind(key, name)

    def route(self, key: str) -> tuple[_Queue, ...]:
        """The queues that get a message with this routing key."""
        found = self._routes.get(key)
        if found is None:
            if len(self._routes) >= _ROUTE_CACHE_SIZE:
                self._routes.clear()
            found = self._routes[key] = self._find(key)
        return found

    def _find(self, key: str) -> tuple[_Queue, ...]:
        queues = {
            queue.name: queue for (binding, _), queue in self.bindings.items() if self._matches(binding, key)
        }
        return tuple(queues.values())

    def _matches(self, binding: str, key: str) -> bool:
        if self.type == "topic":
            return _topic_matches(binding.split("."), key.split("."))
        return self.type == "fanout" or binding == key


class _Broker:
    """The state of one broker. Public methods take the lock; the others need it held."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.closed = False
        self._lock = threading.Lock()
        self._exchanges = {f"amq.{type}": _Exchange(f"amq.{type}", type, {}) for type in _EXCHANGE_TYPES}
        self._queues: dict[str, _Queue] = {}
        self._inboxes: weakref.WeakSet[_Inbox] = weakref.WeakSet()
        self._wake_ups: list[tuple[float, int, _Queue]] = []
        self._wake_up_ids = count()
        self._timer_wanted = threading.Condition(self._lock)
        self._timer: threading.Thread | None = None

    # -- connections and channels

    def open_inbox(self) -> _Inbox:
        """The broker's side of a new connection."""
        with self._lock:
            inbox = _Inbox(self._lock)
            self._inboxes.add(inbox)
            return inbox

    def close_inbox(self, inbox: _Inbox) -> None:
        """End a connection, whose channels are closed already: its exclusive queues go."""
        with self._lock:
            inbox.closed = True
            inbox.arrived.notify_all()
            self._inboxes.discard(inbox)
            for queue in [queue for queue in self._queues.values() if queue.owner is inbox]:
                self._delete_queue(queue)

    def close_session(self, session: _Session) -> None:
        """End a channel: its consumers go, and what it did not acknowledge is requeued."""
        with self._lock:
            session.closed = True
            consumed = [consumer.queue for consumer in session.consumers.values()]
            for consumer in session.consumers.values():
                consumer.queue.remove_consumer(consumer)
            session.consumers.clear()
            session.inbox.remove(lambda delivery: delivery.session is session)
            self._requeue(list(session.unacked.values()))
            for queue in consumed:
                self._delete_if_abandoned(queue)

    def interrupt(self, inbox: _Inbox) -> None:
        """Let the drain that is waiting, or else the next one that would, time out at once."""
        with self._lock:
            inbox.interrupted = True
            inbox.arrived.notify_all()

    def close(self) -> None:
        """Refuse all further use, wake up whoever waits, and stop the timer thread."""
        with self._lock:
            self.closed = True
            for queue in list(self._queues.values()):
                self._delete_queue(queue)
            self._wake_ups.clear()
            self._timer_wanted.notify_all()
            for inbox in list(self._inboxes):
                inbox.arrived.notify_all()
        if self._timer is not None and self._timer is not threading.current_thread():
            self._timer.join()

    def depths(self) -> dict[str, QueueDepth]:
        """The depth of every queue by name."""
        with self._lock:
            return {
                name: QueueDepth(len(queue.ready), queue.unacked, len(queue.consumers))
                for name, queue in self._queues.items()
            }

    # -- exchanges, queues and bindings

    def declare_exchange(self, name: str, type: str, arguments: Mapping[str, Any], passive: bool) -> None:
        """Create an exchange, or check that it is there as wanted."""
        with self._lock:
            self._check_open()
            present = self._exchanges.get(name)
            if passive:
                self._exchange(name)
            elif present is None:
                self._exchanges[name] = _Exchange(name, type, arguments)
            elif (present.type, present.arguments) != (type, dict(arguments)):
                raise _failed(
                    f"inequivalent type or arguments for exchange {name!r}: {type!r} {dict(arguments)!r}, "
                    f"but it has {present.type!r} {present.arguments!r}",
                    *_EXCHANGE_DECLARE,
                )

    def delete_exchange(self, name: str, if_unused: bool) -> None:
        """Remove an exchange and its bindings."""
        with self._lock:
            exchange = self._exchanges.get(name)
            if exchange is not None and if_unused and exchange.bindings:
                raise _failed(f"exchange {name!r} in use", (40, 20), "Exchange.delete")
            self._exchanges.pop(name, None)

    def exchange_names(self) -> list[str]:
        """The names of all exchanges but the default one."""
        with self._lock:
            return list(self._exchanges)

    def declare_queue(
        self, name: str, arguments: Mapping[str, Any], auto_delete: bool, owner: _Inbox | None, passive: bool
    ) -> QueueDepth:
        """Create a queue, or check that it is there as wanted."""
        with self._lock:
            self._check_open()
            queue = self._queues.get(name)
            if queue is None and passive:
                raise _missing("queue", name, self.name, *_QUEUE_DECLARE)
            if queue is None:
                queue = self._queues[name] = _Queue(name, arguments, auto_delete, owner)
            elif not passive and queue.arguments != dict(arguments):
                raise _failed(
                    f"inequivalent arguments for queue {name!r}: {dict(arguments)!r}, "
                    f"but it has {queue.arguments!r}",
                    *_QUEUE_DECLARE,
                )
            return QueueDepth(len(queue.ready), queue.unacked, len(queue.consumers))

    def delete_queue(self, name: str, if_unused: bool, if_empty: bool) -> int:
        """Remove a queue with its messages, and return how many were ready."""
        with self._lock:
            queue = self._queues.get(name)
            if queue is None:
                return 0
            if (if_unused and queue.consumers) or (if_empty and queue.ready):
                raise _failed(f"queue {name!r} in use or not empty", (50, 40), "Queue.delete")
            ready = len(queue.ready)
            self._delete_queue(queue)
            return ready

    def purge(self, name: str) -> int:
        """Drop the ready messages of a queue, and return how many they were."""
        with self._lock:
            queue = self._queue(name)
            ready = len(queue.ready)
            queue.ready.clear()
            return ready

    def bind(self, queue: str, exchange: str, key: str) -> None:
        """Bind a queue to an exchange."""
        with self._lock:
            self._check_open()
            self._exchange(exchange).bind(key, self._queue(queue))

    def unbind(self, queue: str, exchange: str, key: str) -> None:
        """Undo a binding, if there is one."""
        with self._lock:
            if exchange in self._exchanges:
                self._exchanges[exchange].unbind(key, queue)

    def bindings(self) -> list[tuple[str, str, str]]:
        """All bindings, as queue, exchange and key."""
        with self._lock:
            return [
                (queue, exchange.name, key)
                for exchange in self._exchanges.values()
                for key, queue in exchange.bindings
            ]

    # -- messages

    def publish(self, session: _Session, content: _Content) -> None:
        """Route a message to its queues."""
        with self._lock:
            self._check_session(session)
            if content.exchange:
                self._exchange(content.exchange)
            now = monotonic()
            for queue in self._route(content.exchange, content.routing_key):
                self._enqueue(queue, content, now)

    def consume(
        self, session: _Session, queue_name: str, tag: str, no_ack: bool, deliver: Callable[[_Delivery], None]
    ) -> None:
        """Start pushing messages to a new consumer."""
        with self._lock:
            self._check_session(session)
            if tag in session.consumers:
                raise NotAllowed(f"attempt to reuse consumer tag {tag!r}", (60, 20), "Basic.consume")
            queue = self._queue(queue_name)
            consumer = session.consumers[tag] = _Consumer(tag, queue, session, no_ack, deliver)
            queue.consumers.append(consumer)
            self._dispatch(queue, monotonic())

    def cancel(self, session: _Session, tag: str) -> None:
        """Stop a consumer; what was pushed to it and not yet taken returns to the queue."""
        with self._lock:
            consumer = session.consumers.pop(tag, None)
            if consumer is None:
                return
            consumer.queue.remove_consumer(consumer)
            untaken = [delivery for delivery in session.inbox.deliveries if delivery.consumer is consumer]
            session.inbox.remove(lambda delivery: delivery.consumer is consumer)
            self._requeue(untaken)
            self._delete_if_abandoned(consumer.queue)

    def get(self, session: _Session, queue_name: str, no_ack: bool) -> _Delivery | None:
        """Take the first ready message of a queue, if there is one."""
        with self._lock:
            self._check_session(session)
            queue = self._queue(queue_name)
            self._expire(queue, monotonic())
            if not queue.ready:
                return None
            delivery = self._hand_over(queue, session, None)
            delivery.seen = True
            if no_ack:
                self._settle(delivery)
            self._schedule(queue)
            return delivery

    def next_delivery(self, inbox: _Inbox, timeout: float | None) -> _Delivery:
        """Wait up to ``timeout`` seconds (for ever if ``None``) for a connection's next message.

        Raises
        ------
        TimeoutError
            Nothing came in time, or the wait was interrupted.
        RecoverableConnectionError
            The connection or the broker was closed.
        """
        deadline = None if timeout is None else monotonic() + timeout
        with self._lock:
            while True:
                if self.closed or inbox.closed:
                    raise RecoverableConnectionError(f"the connection to broker {self.name!r} is closed")
                if inbox.deliveries:
                    return self._take(inbox)
                if inbox.interrupted:
                    inbox.interrupted = False
                    raise TimeoutError("interrupted")
                self._wait(inbox, deadline)

    def acknowledge(self, session: _Session, tag: int, multiple: bool) -> None:
        """Forget one message, or all up to it (all there are, if the tag is 0)."""
        with self._lock:
            self._check_session(session)
            had_room = self._has_room(session)
            for delivery in self._unacked(session, tag, multiple):
                self._settle(delivery)
            if not had_room:
                self._dispatch_session(session)

    def reject(self, session: _Session, tag: int, requeue: bool) -> None:
        """Requeue a message, or dead-letter it."""
        with self._lock:
            self._check_session(session)
            had_room = self._has_room(session)
            for delivery in self._unacked(session, tag, multiple=False):
                if requeue:
                    self._requeue([delivery])
                else:
                    self._settle(delivery)
                    self._dead_letter(delivery.queue, delivery.entry, "rejected", monotonic())
            if not had_room:
                self._dispatch_session(session)

    def recover(self, session: _Session) -> None:
        """Requeue all that a channel holds."""
        with self._lock:
            self._check_session(session)
            self._requeue([delivery for delivery in session.unacked.values() if delivery.seen])
            self._dispatch_session(session)

    def set_prefetch(self, session: _Session, prefetch: int) -> None:
        """Limit how many unacknowledged messages a channel is pushed (0: no limit)."""
        with self._lock:
            session.prefetch = prefetch
            self._dispatch_session(session)

    # -- with the lock held: checks

    def _check_open(self) -> None:
        if self.closed:
            raise RecoverableConnectionError(f"broker {self.name!r} was dropped")

    def _check_session(self, session: _Session) -> None:
        self._check_open()
        if session.closed:
            raise RecoverableConnectionError("the channel is closed")

    def _exchange(self, name: str) -> _Exchange:
        exchange = self._exchanges.get(name)
        if exchange is None:
            raise _missing("exchange", name, self.name, *_EXCHANGE_DECLARE)
        return exchange

    def _queue(self, name: str) -> _Queue:
        queue = self._queues.get(name)
        if queue is None:
            raise _missing("queue", name, self.name, *_QUEUE_DECLARE)
        return queue

    def _unacked(self, session: _Session, tag: int, multiple: bool) -> list[_Delivery]:
        if multiple:
            return [d for d in session.unacked.values() if d.seen and (d.tag <= tag or not tag)]
        delivery = session.unacked.get(tag)
        if delivery is None:
            raise _failed(f"unknown delivery tag {tag}", (60, 80), "Basic.ack")
        return [delivery]

    def _has_room(self, session: _Session) -> bool:
        return not session.prefetch or session.outstanding < session.prefetch

    # -- with the lock held: the way in

    def _route(self, exchange_name: str, key: str) -> Iterable[_Queue]:
        if not exchange_name:
            queue = self._queues.get(key)
            return () if queue is None else (queue,)
        tried: set[str] = set()
        name: str | None = exchange_name
        while name is not None and name not in tried and name in self._exchanges:
            exchange = self._exchanges[name]
            queues = exchange.route(key)
            if queues:
                return queues
            tried.add(name)
            name = exchange.alternate
        return ()

    def _enqueue(self, queue: _Queue, content: _Content, now: float) -> None:
        ttl = queue.ttl
        if "expiration" in content.properties:
            own = content.ttl()
            ttl = own if ttl is None or own is None else min(ttl, own)
        queue.put(_Entry(content, next(queue.places), None if ttl is None else now + ttl))
        self._dispatch(queue, now)

    def _delete_queue(self, queue: _Queue) -> None:
        queue.deleted = True
        queue.ready.clear()
        queue.consumers.clear()
        self._queues.pop(queue.name, None)
        for exchange in self._exchanges.values():
            exchange.unbind_queue(queue.name)

    def _delete_if_abandoned(self, queue: _Queue) -> None:
        if queue.auto_delete and not queue.consumers and not queue.deleted:
            self._delete_queue(queue)

    # -- with the lock held: the way out

    def _dispatch(self, queue: _Queue, now: float) -> None:
        """Push what is ready to the consumers that have room, and note when the rest expires."""
        if queue.consumers:
            self._expire(queue, now)
            while queue.ready:
                consumer = queue.next_consumer()
                if consumer is None:
                    break
                session = consumer.session
                session.inbox.append(self._hand_over(queue, session, consumer))
                if len(session.consumers) > 1:
                    session.consumers[consumer.tag] = session.consumers.pop(consumer.tag)
        self._schedule(queue)

    def _dispatch_session(self, session: _Session) -> None:
        """Use a channel's room, first for the queue that it was last given a message from the longest ago."""
        now = monotonic()
        for consumer in list(session.consumers.values()):
            self._dispatch(consumer.queue, now)

    def _hand_over(self, queue: _Queue, session: _Session, consumer: _Consumer | None) -> _Delivery:
        entry = heappop(queue.ready)[1]
        delivery = _Delivery(next(session.tags), entry, queue, session, consumer)
        session.unacked[delivery.tag] = delivery
        queue.unacked += 1
        if consumer is not None and not consumer.no_ack:
            session.outstanding += 1
        return delivery

    def _take(self, inbox: _Inbox) -> _Delivery:
        delivery = inbox.deliveries.popleft()
        delivery.seen = True
        if delivery.consumer is not None and delivery.consumer.no_ack:
            self._settle(delivery)
        return delivery

    def _wait(self, inbox: _Inbox, deadline: float | None) -> None:
        remaining = None if deadline is None else deadline - monotonic()
        if remaining is not None and remaining <= 0:
            raise TimeoutError("timed out")
        inbox.waiting += 1
        try:
            inbox.arrived.wait(remaining)
        finally:
            inbox.waiting -= 1

    def _settle(self, delivery: _Delivery) -> None:
        """Take a delivery off its channel and queue."""
        session, consumer = delivery.session, delivery.consumer
        del session.unacked[delivery.tag]
        delivery.queue.unacked -= 1
        if consumer is not None and not consumer.no_ack:
            session.outstanding -= 1

    def _requeue(self, deliveries: list[_Delivery]) -> None:
        """Return deliveries to their places, or dead-letter those returned too often."""
        now = monotonic()
        queues: dict[str, _Queue] = {}
        for delivery in deliveries:
            self._settle(delivery)
            queue, entry = delivery.queue, delivery.entry
            if queue.deleted:
                continue
            queues[queue.name] = queue
            entry.delivery_count += delivery.seen
            limit = queue.delivery_limit
            if limit is not None and entry.delivery_count > limit:
                self._dead_letter(queue, entry, "delivery_limit", now)
            else:
                queue.put(entry)
        for queue in queues.values():
            self._dispatch(queue, now)

    # -- with the lock held: dead letters

    def _dead_letter(self, queue: _Queue, entry: _Entry, reason: str, now: float) -> None:
        """Publish a message to its queue's dead-letter exchange, if there is one."""
        exchange = queue.dead_letter_exchange
        if exchange is None or queue.deleted:
            return
        key = queue.dead_letter_key
        dead = _died(entry.content, queue.name, reason, exchange, key)
        for target in self._route(exchange, dead.routing_key):
            if reason == "rejected" or not _is_cycle(target.name, dead.deaths):
                self._enqueue(target, dead, now)

    def _expire(self, queue: _Queue, now: float, inclusive: bool = False) -> None:
        """Dead-letter what expired before now (or is just expiring), from the first message on."""
        while True:
            expires_at = queue.expires_at()
            if expires_at is None or expires_at > now or (expires_at == now and not inclusive):
                return
            self._dead_letter(queue, heappop(queue.ready)[1], "expired", now)

    def _schedule(self, queue: _Queue) -> None:
        """See that the timer looks at a queue when its first message expires."""
        expires_at = queue.expires_at()
        if expires_at is None or (queue.wake_at is not None and queue.wake_at <= expires_at):
            return
        queue.wake_at = expires_at
        is_next = not self._wake_ups or expires_at < self._wake_ups[0][0]
        heappush(self._wake_ups, (expires_at, next(self._wake_up_ids), queue))
        if self._timer is None:
            self._timer = threading.Thread(
                target=self._run_timer, name=f"embedded-broker-{self.name}", daemon=True
            )
            self._timer.start()
        elif is_next:
            self._timer_wanted.notify()

    def _run_timer(self) -> None:
        """Expire messages when they are due, until the broker is closed."""
        with self._lock:
            while not self.closed:
                now = monotonic()
                while self._wake_ups and self._wake_ups[0][0] <= now:
                    self._wake(heappop(self._wake_ups), now)
                next_at = self._wake_ups[0][0] if self._wake_ups else None
                self._timer_wanted.wait(None if next_at is None else next_at - monotonic())

    def _wake(self, wake_up: tuple[float, int, _Queue], now: float) -> None:
        due, _, queue = wake_up
        if queue.wake_at == due:
            queue.wake_at = None
        self._expire(queue, now, inclusive=True)
        self._schedule(queue)


_brokers: dict[str, _Broker] = {}
_brokers_lock = threading.Lock()


def forget(name: str) -> None:
    """Drop a broker with all its messages and stop its timer thread, if there is such a broker.

    Connections to it fail with :exc:`amqp.exceptions.RecoverableConnectionError` from then on, also where
    they are waiting; one that is made later under the same name finds a new and empty broker. So stop
    what would connect again, such as workers, first.
    """
    with _brokers_lock:
        broker = _brokers.pop(name.lower(), None)
    if broker is not None:
        broker.close()


def queue_depths(name: str) -> dict[str, QueueDepth]:
    """How many messages and consumers each queue of a broker has; nothing if there is no such broker."""
    with _brokers_lock:
        broker = _brokers.get(name.lower())
    return {} if broker is None else broker.depths()


def _broker(name: str) -> _Broker:
    with _brokers_lock:
        if name not in _brokers:
            _brokers[name] = _Broker(name)
        return _brokers[name]


class Channel(virtual.Channel):
    """An AMQP channel of a broker in this process."""

    connection: Transport
    supports_fanout = True
    body_encoding = None  # type: ignore[assignment]  # bodies are kept as they come

    def __init__(self, connection: Transport, **kwargs: Any) -> None:
        super().__init__(connection, **kwargs)  # type: ignore[no-untyped-call]
        self.no_ack_consumers: set[str] = set()  # type: ignore[assignment]  # as amqp has it
        self.events: defaultdict[str, set[Any]] = defaultdict(set)
        self._broker = connection.broker
        self._session = _Session(connection.inbox)

    def close(self) -> None:
        """Cancel all consumers and requeue what was not acknowledged."""
        if not self.closed:
            self.closed = True
            self._broker.close_session(self._session)
            if self.connection is not None:
                self.connection.close_channel(self)  # type: ignore[no-untyped-call]

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

        Raises
        ------
        PreconditionFailed
            It is there with another type or other arguments, or the type is unknown.
        NotFound
            ``passive``, and there is none.
        """
        kind = type or "direct"
        self._broker.declare_exchange(exchange or f"amq.{kind}", kind, arguments or {}, passive)

    def exchange_delete(
        self, exchange: str, if_unused: bool = False, nowait: bool = False, **kwargs: Any
    ) -> None:
        """Remove an exchange and its bindings.

        Raises
        ------
        PreconditionFailed
            ``if_unused``, and it has bindings.
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

        Raises
        ------
        PreconditionFailed
            It is there with other arguments, or the arguments make no sense.
        NotFound
            ``passive``, and there is none.
        """
        name = queue or f"amq.gen-{uuid4()}"
        owner = self.connection.inbox if exclusive else None
        depth = self._broker.declare_queue(name, arguments or {}, auto_delete, owner, passive)
        return queue_declare_ok_t(name, depth.ready, depth.consumers)

    def queue_delete(self, queue: str, if_unused: bool = False, if_empty: bool = False, **kwargs: Any) -> int:
        """Remove a queue and drop its messages; returns how many were ready.

        Raises
        ------
        PreconditionFailed
            ``if_unused``, and it has consumers, or ``if_empty``, and it has messages.
        """
        return self._broker.delete_queue(queue, if_unused, if_empty)

    def queue_purge(self, queue: str, **kwargs: Any) -> int:
        """Drop the ready messages of a queue; returns how many they were.

        Raises
        ------
        NotFound
            There is no such queue.
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

        Raises
        ------
        NotFound
            There is no such queue or exchange.
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

        Raises
        ------
        NotFound
            There is no such exchange.
        RecoverableConnectionError
            The channel is closed.
        """
        properties = dict(message["properties"])
        properties.pop("delivery_info", None)
        content = _Content(
            message["body"],
            message.get("content-type"),
            message.get("content-encoding"),
            _copied(message.get("headers") or {}),
            properties,
            exchange or "",
            routing_key or "",
        )
        self._broker.publish(self._session, content)

    def basic_consume(
        self,
        queue: str,
        no_ack: bool,
        callback: Callable[[Any], Any],
        consumer_tag: str | None = None,
        **kwargs: Any,
    ) -> str:
        """Have messages of a queue given to ``callback`` whenever the connection is drained.

        Raises
        ------
        NotFound
            There is no such queue.
        NotAllowed
            The channel has a consumer with this tag.
        """
        tag = consumer_tag or f"amq.ctag-{uuid4()}"
        if no_ack:
            self.no_ack_consumers.add(tag)
        self._broker.consume(
            self._session, queue, tag, bool(no_ack), lambda delivery: callback(self._message(delivery))
        )
        return tag

    def basic_cancel(self, consumer_tag: str, **kwargs: Any) -> None:
        """Stop a consumer; messages it was given stay unacknowledged."""
        self._broker.cancel(self._session, consumer_tag)

    def basic_get(self, queue: str, no_ack: bool = False, **kwargs: Any) -> Any:
        """The first message of a queue, or ``None``.

        Raises
        ------
        NotFound
            There is no such queue.
        """
        delivery = self._broker.get(self._session, queue, no_ack)
        return None if delivery is None else self._message(delivery)

    def basic_ack(self, delivery_tag: int, multiple: bool = False) -> None:
        """Acknowledge a message, or all up to it.

        Raises
        ------
        PreconditionFailed
            The channel holds no such message.
        RecoverableConnectionError
            The channel is closed, so that the message was requeued.
        """
        self._broker.acknowledge(self._session, delivery_tag, multiple)

    def basic_reject(self, delivery_tag: int, requeue: bool = False) -> None:
        """Requeue a message at its place, or dead-letter it.

        Raises
        ------
        PreconditionFailed
            The channel holds no such message.
        RecoverableConnectionError
            The channel is closed, so that the message was requeued.
        """
        self._broker.reject(self._session, delivery_tag, requeue)

    def basic_recover(self, requeue: bool = False) -> None:
        """Requeue everything the channel holds.

        Raises
        ------
        NotImplementedError
            Without ``requeue``.
        """
        if not requeue:
            raise NotImplementedError("recover(requeue=False)")
        self._broker.recover(self._session)

    def basic_qos(self, prefetch_size: int = 0, prefetch_count: int = 0, apply_global: bool = False) -> None:
        """Limit how many unacknowledged messages the channel is pushed (0: no limit)."""
        self._broker.set_prefetch(self._session, prefetch_count or 0)

    def _message(self, delivery: _Delivery) -> Any:
        entry = delivery.entry
        content = entry.content
        headers = _copied(content.headers)
        if entry.delivery_count and delivery.queue.counts_deliveries:
            headers["x-delivery-count"] = entry.delivery_count
        delivery_info = {
            "exchange": content.exchange,
            "routing_key": content.routing_key,
            "redelivered": entry.delivery_count > 0,
            "priority": content.properties.get("priority"),
        }
        if delivery.consumer is not None:
            delivery_info["consumer_tag"] = delivery.consumer.tag
        payload = {
            "body": content.body,
            "content-type": content.content_type,
            "content-encoding": content.content_encoding,
            "headers": headers,
            "properties": {
                **content.properties,
                "delivery_tag": delivery.tag,
                "delivery_info": delivery_info,
            },
        }
        return self.Message(payload, channel=self)  # type: ignore[no-untyped-call]

    # -- what tools built on kombu's virtual transports call

    def _has_queue(self, queue: str, **kwargs: Any) -> bool:
        return queue in self._broker.depths()

    def _size(self, queue: str) -> int:
        depth = self._broker.depths().get(queue)
        return 0 if depth is None else depth.ready

    def _purge(self, queue: str) -> int:
        return self.queue_purge(queue)


class Transport(virtual.Transport):
    """A kombu transport to a broker in this process, chosen by the URL's virtual host or host."""

    Channel = Channel

    driver_type = "memory"
    driver_name = "embedded"
    recoverable_connection_errors = (RecoverableConnectionError,)
    recoverable_channel_errors = (RecoverableChannelError,)
    implements = virtual.Transport.implements.extend(exchange_type=_EXCHANGE_TYPES)

    broker: _Broker
    inbox: _Inbox

    def establish_connection(self) -> Transport:
        """Connect to the broker, which comes into being if need be."""
        self.broker = _broker(_broker_name(self.client))
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

        Raises
        ------
        TimeoutError
            None came (that is ``socket.timeout``).
        RecoverableConnectionError
            The connection or the broker was closed.
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


def _natural(arguments: Mapping[str, Any], name: str) -> int | None:
    """An argument that must not be negative; a delivery limit of -1 is none."""
    value = arguments.get(name)
    if value is None or (name == "x-delivery-limit" and value == -1):
        return None
    if not isinstance(value, int) or value < 0:
        raise _failed(f"invalid {name}: {value!r}", *_QUEUE_DECLARE)
    return value


def _failed(reason: str, method: tuple[int, int], method_name: str) -> PreconditionFailed:
    return PreconditionFailed(f"PRECONDITION_FAILED - {reason}", method, method_name)


def _missing(kind: str, name: str, broker: str, method: tuple[int, int], method_name: str) -> NotFound:
    return NotFound(f"NOT_FOUND - no {kind} {name!r} in vhost {broker!r}", method, method_name)


def _copied(table: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a message's headers that shares no dict or list with them."""
    return {
        key: _copied_value(value) if value.__class__ in _NESTED else value for key, value in table.items()
    }


_NESTED: frozenset[type] = frozenset({dict, list, tuple})


def _copied_value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _copied(value)
    if isinstance(value, list | tuple):
        return [_copied_value(item) for item in value]
    return value


def _topic_matches(pattern: list[str], words: list[str]) -> bool:
    """Whether words match a pattern where ``*`` is any one word, and ``#`` any number of them."""
    if not pattern:
        return not words
    if pattern[0] == "#":
        return any(_topic_matches(pattern[1:], words[start:]) for start in range(len(words) + 1))
    return bool(words) and pattern[0] in ("*", words[0]) and _topic_matches(pattern[1:], words[1:])


def _died(content: _Content, queue: str, reason: str, exchange: str, key: str | None) -> _Content:
    """A message as it is published to a dead-letter exchange."""
    properties = dict(content.properties)
    expiration = properties.pop("expiration", None)
    deaths = _with_death(content, queue, reason, expiration)
    headers = {**content.headers, "x-death": list(deaths), **_death_headers("last", queue, reason, content)}
    if not content.deaths:
        headers.update(_death_headers("first", queue, reason, content))
    return replace(
        content,
        headers=headers,
        properties=properties,
        exchange=exchange,
        routing_key=content.routing_key if key is None else key,
        deaths=deaths,
    )


def _with_death(
    content: _Content, queue: str, reason: str, expiration: str | None
) -> tuple[dict[str, Any], ...]:
    """A message's deaths with another one, the latest first, counted by queue and reason."""
    same = [death for death in content.deaths if (death["queue"], death["reason"]) == (queue, reason)]
    others = [death for death in content.deaths if death not in same]
    if same:
        death = {**same[0], "count": same[0]["count"] + 1}
    else:
        death = {
            "queue": queue,
            "reason": reason,
            "count": 1,
            "exchange": content.exchange,
            "routing-keys": [content.routing_key],
            "time": datetime.now(UTC).replace(microsecond=0, tzinfo=None),
        }
        if expiration is not None:
            death["original-expiration"] = expiration
    return (death, *others)


def _death_headers(which: str, queue: str, reason: str, content: _Content) -> dict[str, str]:
    prefix = f"x-{which}-death"
    return {f"{prefix}-queue": queue, f"{prefix}-reason": reason, f"{prefix}-exchange": content.exchange}


def _is_cycle(queue: str, deaths: tuple[dict[str, Any], ...]) -> bool:
    """Whether a message died in this queue before, and was not rejected since."""
    for death in deaths:
        if death["reason"] == "rejected":
            return False
        if death["queue"] == queue:
            return True
    return False
