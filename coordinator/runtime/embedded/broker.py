"""Broker: one embedded broker, which routes messages to queues and pushes them to consumers."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from amqp.exceptions import MessageNacked, NotAllowed, RecoverableConnectionError

from handoffs.config import clock
from handoffs.coordinator.runtime.embedded import deaths
from handoffs.coordinator.runtime.embedded.directory import Directory
from handoffs.coordinator.runtime.embedded.expiry import ExpiryTimer
from handoffs.coordinator.runtime.embedded.messages import PublishedMessage, QueuedMessage
from handoffs.coordinator.runtime.embedded.queues import (
    DeliveredMessage,
    Inbox,
    Queue,
    QueueConsumer,
    QueueDepth,
    Session,
)
from handoffs.coordinator.runtime.embedded.refusals import BASIC_CONSUME


class Broker:
    """The state of one broker. Public methods take its one lock; the others need it held.

    What was closed is refused with :class:`amqp.exceptions.RecoverableConnectionError`, and what was never declared with
    :class:`amqp.exceptions.NotFound`.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.closed = False
        self._lock = threading.Lock()
        self._directory = Directory(name)
        self._inboxes: weakref.WeakSet[Inbox] = weakref.WeakSet()
        self._timer = ExpiryTimer(f"embedded-broker-{name}", self._lock, self._expire_due)

    # -- connections and channels

    def open_inbox(self) -> Inbox:
        """The broker's side of a new connection."""
        with self._lock:
            inbox = Inbox(self._lock)
            self._inboxes.add(inbox)
            return inbox

    def close_inbox(self, inbox: Inbox) -> None:
        """End a connection, whose channels are closed already: its exclusive queues go."""
        with self._lock:
            inbox.closed = True
            inbox.arrived.notify_all()
            self._inboxes.discard(inbox)
            for queue in self._directory.queues():
                if queue.owner is inbox:
                    self._directory.remove(queue)

    def close_session(self, session: Session) -> None:
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
                self._directory.remove_if_abandoned(queue)

    def interrupt(self, inbox: Inbox) -> None:
        """Let the drain that is waiting, or else the next one that would, time out at once."""
        with self._lock:
            inbox.interrupted = True
            inbox.arrived.notify_all()

    def close(self) -> None:
        """Refuse all further use, wake up every thread that waits, and stop the timer thread."""
        with self._lock:
            self.closed = True
            for queue in self._directory.queues():
                self._directory.remove(queue)
            self._timer.close()
            for inbox in list(self._inboxes):
                inbox.arrived.notify_all()
        self._timer.join()

    # -- exchanges, queues and bindings

    def depths(self) -> dict[str, QueueDepth]:
        """The depth of every queue by name."""
        with self._lock:
            return self._directory.depths()

    def declare_exchange(self, name: str, type: str, arguments: Mapping[str, Any], passive: bool) -> None:
        """Create an exchange, or check that it is there as wanted."""
        with self._lock:
            self._check_open()
            self._directory.declare_exchange(name, type, arguments, passive)

    def delete_exchange(self, name: str, if_unused: bool) -> None:
        """Remove an exchange and its bindings."""
        with self._lock:
            self._directory.delete_exchange(name, if_unused)

    def exchange_names(self) -> list[str]:
        """The names of all exchanges but the default one."""
        with self._lock:
            return self._directory.exchange_names()

    def declare_queue(
        self, name: str, arguments: Mapping[str, Any], auto_delete: bool, owner: Inbox | None, passive: bool
    ) -> QueueDepth:
        """Create a queue, or check that it is there as wanted."""
        with self._lock:
            self._check_open()
            return self._directory.declare_queue(name, arguments, auto_delete, owner, passive).depth()

    def delete_queue(self, name: str, if_unused: bool, if_empty: bool) -> int:
        """Remove a queue with its messages, and return how many were ready."""
        with self._lock:
            return self._directory.delete_queue(name, if_unused, if_empty)

    def purge(self, name: str) -> int:
        """Drop the ready messages of a queue, and return how many they were."""
        with self._lock:
            queue = self._directory.queue(name)
            ready = len(queue.ready)
            queue.ready.clear()
            return ready

    def bind(self, queue: str, exchange: str, key: str) -> None:
        """Bind a queue to an exchange."""
        with self._lock:
            self._check_open()
            self._directory.bind(queue, exchange, key)

    def unbind(self, queue: str, exchange: str, key: str) -> None:
        """Undo a binding, if there is one."""
        with self._lock:
            self._directory.unbind(queue, exchange, key)

    def bindings(self) -> list[tuple[str, str, str]]:
        """All bindings, as queue, exchange and key."""
        with self._lock:
            return self._directory.bindings()

    # -- messages

    def publish(self, session: Session, message: PublishedMessage) -> None:
        """Route a message to its queues.

        Raises :class:`amqp.exceptions.MessageNacked` where one of them has a bound and no room; the others have it.
        """
        with self._lock:
            self._check_session(session)
            if message.exchange:
                self._directory.exchange(message.exchange)
            now, refused = clock.monotonic(), False
            for queue in self._directory.route(message.exchange, message.routing_key):
                if queue.is_full():
                    refused = True
                else:
                    self._enqueue(queue, message, now)
            if refused:
                raise MessageNacked

    def consume(
        self,
        session: Session,
        queue_name: str,
        tag: str,
        no_ack: bool,
        deliver: Callable[[DeliveredMessage], None],
    ) -> None:
        """Start pushing messages to a new consumer.

        Raises :class:`amqp.exceptions.NotAllowed` where the channel has a consumer with this tag.
        """
        with self._lock:
            self._check_session(session)
            if tag in session.consumers:
                raise NotAllowed(f"attempt to reuse consumer tag {tag!r}", *BASIC_CONSUME)
            queue = self._directory.queue(queue_name)
            consumer = session.consumers[tag] = QueueConsumer(tag, queue, session, no_ack, deliver)
            queue.consumers.append(consumer)
            self._dispatch(queue, clock.monotonic())

    def cancel(self, session: Session, tag: str) -> None:
        """Stop a consumer; what was pushed to it and not yet taken returns to the queue."""
        with self._lock:
            consumer = session.consumers.pop(tag, None)
            if consumer is None:
                return
            consumer.queue.remove_consumer(consumer)
            untaken = [delivery for delivery in session.inbox.deliveries if delivery.consumer is consumer]
            session.inbox.remove(lambda delivery: delivery.consumer is consumer)
            self._requeue(untaken)
            self._directory.remove_if_abandoned(consumer.queue)

    def get(self, session: Session, queue_name: str, no_ack: bool) -> DeliveredMessage | None:
        """Take the first ready message of a queue, if there is one."""
        with self._lock:
            self._check_session(session)
            queue = self._directory.queue(queue_name)
            self._expire(queue, clock.monotonic())
            if not queue.ready:
                return None
            delivery = session.hand_over(queue, None)
            delivery.seen = True
            if no_ack:
                session.settle(delivery)
            self._timer.watch(queue)
            return delivery

    def next_delivery(self, inbox: Inbox, timeout: float | None) -> DeliveredMessage:
        """Wait up to ``timeout`` seconds (for ever if ``None``) for a connection's next message.

        Raises :class:`TimeoutError` where nothing came in time, or the wait was interrupted, and
        :class:`amqp.exceptions.RecoverableConnectionError` where the connection or the broker was closed.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._lock:
            while True:
                if self.closed or inbox.closed:
                    raise RecoverableConnectionError(f"the connection to broker {self.name!r} is closed")
                if inbox.deliveries:
                    return inbox.take()
                if inbox.interrupted:
                    inbox.interrupted = False
                    raise TimeoutError("interrupted")
                inbox.wait(deadline)

    def acknowledge(self, session: Session, tag: int, multiple: bool) -> None:
        """Forget one message, or all up to it (all there are, if the tag is 0)."""
        with self._lock:
            self._check_session(session)
            had_room = session.has_room()
            for delivery in session.held(tag, multiple):
                session.settle(delivery)
            if not had_room:
                self._dispatch_session(session)

    def reject(self, session: Session, tag: int, requeue: bool) -> None:
        """Requeue a message, or dead-letter it."""
        with self._lock:
            self._check_session(session)
            had_room = session.has_room()
            for delivery in session.held(tag, multiple=False):
                if requeue:
                    self._requeue([delivery])
                else:
                    session.settle(delivery)
                    self._dead_letter(delivery.queue, delivery.queued, deaths.REJECTED, clock.monotonic())
            if not had_room:
                self._dispatch_session(session)

    def recover(self, session: Session) -> None:
        """Requeue all that a channel holds."""
        with self._lock:
            self._check_session(session)
            self._requeue([delivery for delivery in session.unacked.values() if delivery.seen])
            self._dispatch_session(session)

    def set_prefetch(self, session: Session, prefetch: int) -> None:
        """Limit how many unacknowledged messages a channel is pushed (0: no limit)."""
        with self._lock:
            session.prefetch = prefetch
            self._dispatch_session(session)

    # -- time

    def next_expiry(self) -> float | None:
        """When the next message expires that waits for that, on the process' monotonic clock; None where none does."""
        with self._lock:
            waiting = [queue.expires_at() for queue in self._directory.queues()]
            return min((due for due in waiting if due is not None), default=None)

    def time_moved(self) -> None:
        """Time was moved: what has expired by now goes where it is to go, before this returns."""
        with self._lock:
            now = clock.monotonic()
            for queue in list(self._directory.queues()):
                self._expire_due(queue, now)
            self._timer.wake()

    def is_idle(self) -> bool:
        """Whether no consumer has a message in hand, or could take one."""
        depths = self.depths().values()
        return not any(depth.unacked or (depth.ready and depth.consumers) for depth in depths)

    # -- with the lock held

    def _check_open(self) -> None:
        if self.closed:
            raise RecoverableConnectionError(f"broker {self.name!r} was dropped")

    def _check_session(self, session: Session) -> None:
        self._check_open()
        if session.closed:
            raise RecoverableConnectionError("the channel is closed")

    def _enqueue(self, queue: Queue, message: PublishedMessage, now: float) -> None:
        ttl = queue.ttl
        if "expiration" in message.properties:
            own = message.ttl()
            ttl = own if ttl is None or own is None else min(ttl, own)
        queue.put(QueuedMessage(message, next(queue.positions), None if ttl is None else now + ttl))
        self._dispatch(queue, now)

    def _dispatch(self, queue: Queue, now: float) -> None:
        """Push what is ready to the consumers that have room, and note when the rest expires."""
        if queue.consumers:
            self._expire(queue, now)
            while queue.ready:
                consumer = queue.next_consumer()
                if consumer is None:
                    break
                session = consumer.session
                session.inbox.append(session.hand_over(queue, consumer))
                if len(session.consumers) > 1:
                    session.consumers[consumer.tag] = session.consumers.pop(consumer.tag)
        self._timer.watch(queue)

    def _dispatch_session(self, session: Session) -> None:
        """Use a channel's room, first for the queue that it was last given a message from the longest ago."""
        now = clock.monotonic()
        for consumer in list(session.consumers.values()):
            self._dispatch(consumer.queue, now)

    def _requeue(self, deliveries: list[DeliveredMessage]) -> None:
        """Return deliveries to their positions, or dead-letter those returned too often."""
        now = clock.monotonic()
        queues: dict[str, Queue] = {}
        for delivery in deliveries:
            delivery.session.settle(delivery)
            queue, message = delivery.queue, delivery.queued
            if queue.deleted:
                continue
            queues[queue.name] = queue
            message.delivery_count += delivery.seen
            limit = queue.delivery_limit
            if limit is not None and message.delivery_count > limit:
                self._dead_letter(queue, message, deaths.DELIVERY_LIMIT, now)
            else:
                queue.put(message)
        for queue in queues.values():
            self._dispatch(queue, now)

    def _dead_letter(self, queue: Queue, message: QueuedMessage, reason: str, now: float) -> None:
        """Publish a message to its queue's dead-letter exchange, if there is one."""
        exchange = queue.dead_letter_exchange
        if exchange is None or queue.deleted:
            return
        dead = deaths.died(message.published, queue.name, reason, exchange, queue.dead_letter_key)
        for target in self._directory.route(exchange, dead.routing_key):
            if reason == deaths.REJECTED or not deaths.is_cycle(target.name, dead.deaths):
                self._enqueue(target, dead, now)

    def _expire(self, queue: Queue, now: float, inclusive: bool = False) -> None:
        """Dead-letter what expired before now (or is just expiring), from the first message on."""
        while True:
            expires_at = queue.expires_at()
            if expires_at is None or expires_at > now or (expires_at == now and not inclusive):
                return
            self._dead_letter(queue, queue.take(), deaths.EXPIRED, now)

    def _expire_due(self, queue: Queue, now: float) -> None:
        self._expire(queue, now, inclusive=True)
