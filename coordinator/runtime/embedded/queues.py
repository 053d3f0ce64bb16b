"""The queues of the embedded broker, their consumers, and what the consumers' channels and connections hold of them.

Nothing here takes a lock: the broker holds its own while it uses them.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from time import monotonic
from typing import Any, NamedTuple

from handoffs.coordinator.runtime.embedded.messages import QueuedMessage
from handoffs.coordinator.runtime.embedded.refusals import BASIC_ACK, QUEUE_DECLARE, failed


class QueueDepth(NamedTuple):
    """How many messages and consumers a queue has."""

    ready: int
    unacked: int
    consumers: int


@dataclass(eq=False, slots=True)
class DeliveredMessage:
    """A message on its way to, or held by, a channel; ``seen`` once the channel's client has it."""

    tag: int
    queued: QueuedMessage
    queue: Queue
    session: Session
    consumer: QueueConsumer | None
    seen: bool = False


@dataclass(eq=False, slots=True)
class QueueConsumer:
    """A channel's consumer of a queue."""

    tag: str
    queue: Queue
    session: Session
    no_ack: bool
    deliver: Callable[[DeliveredMessage], None]

    def has_room(self) -> bool:
        """Whether another message may be pushed to this consumer."""
        return self.no_ack or self.session.has_room()


class Inbox:
    """The broker's side of a connection: deliveries that wait for it to be drained. It waits on the broker's lock."""

    def __init__(self, lock: threading.Lock) -> None:
        self.arrived = threading.Condition(lock)
        self.deliveries: deque[DeliveredMessage] = deque()
        self.waiting = 0
        self.interrupted = False
        self.closed = False

    def append(self, delivery: DeliveredMessage) -> None:
        """Add a delivery and wake one thread that waits for it."""
        self.deliveries.append(delivery)
        if self.waiting:
            self.arrived.notify()

    def remove(self, unwanted: Callable[[DeliveredMessage], bool]) -> None:
        """Drop the deliveries that are unwanted."""
        if self.deliveries:
            self.deliveries = deque(d for d in self.deliveries if not unwanted(d))

    def take(self) -> DeliveredMessage:
        """The delivery that waited longest, now seen, and settled where its consumer does not acknowledge."""
        delivery = self.deliveries.popleft()
        delivery.seen = True
        if delivery.consumer is not None and delivery.consumer.no_ack:
            delivery.session.settle(delivery)
        return delivery

    def wait(self, deadline: float | None) -> None:
        """Wait until something arrives, with the lock released meanwhile; ``deadline`` is on the monotonic clock.

        Raises :class:`TimeoutError` where the deadline has passed.
        """
        remaining = None if deadline is None else deadline - monotonic()
        if remaining is not None and remaining <= 0:
            raise TimeoutError("timed out")
        self.waiting += 1
        try:
            self.arrived.wait(remaining)
        finally:
            self.waiting -= 1


@dataclass(eq=False, slots=True)
class Session:
    """The broker's side of a channel: what it consumes and what it has not acknowledged."""

    inbox: Inbox
    prefetch: int = 0  # 0: no limit
    outstanding: int = 0
    closed: bool = False
    unacked: dict[int, DeliveredMessage] = field(default_factory=dict)
    #: By tag; the consumer that was given a message last is at the end.
    consumers: dict[str, QueueConsumer] = field(default_factory=dict)
    tags: count[int] = field(default_factory=lambda: count(1))

    def has_room(self) -> bool:
        """Whether the prefetch count allows another message."""
        return not self.prefetch or self.outstanding < self.prefetch

    def hand_over(self, queue: Queue, consumer: QueueConsumer | None) -> DeliveredMessage:
        """Take the first ready message of a queue; without ``consumer`` it was asked for."""
        delivery = DeliveredMessage(next(self.tags), queue.take(), queue, self, consumer)
        self.unacked[delivery.tag] = delivery
        queue.unacked += 1
        if consumer is not None and not consumer.no_ack:
            self.outstanding += 1
        return delivery

    def settle(self, delivery: DeliveredMessage) -> None:
        """Take a delivery off this channel and its queue."""
        del self.unacked[delivery.tag]
        delivery.queue.unacked -= 1
        if delivery.consumer is not None and not delivery.consumer.no_ack:
            self.outstanding -= 1

    def held(self, tag: int, multiple: bool) -> list[DeliveredMessage]:
        """The delivery with a tag; with ``multiple`` all that were seen up to it (all there are, if the tag is 0).

        Raises :class:`amqp.exceptions.PreconditionFailed` for one delivery that is not there.
        """
        if multiple:
            return [d for d in self.unacked.values() if d.seen and (d.tag <= tag or not tag)]
        delivery = self.unacked.get(tag)
        if delivery is None:
            raise failed(f"unknown delivery tag {tag}", BASIC_ACK)
        return [delivery]


class Queue:
    """A queue: its settings, ready messages by position, and consumers in turn.

    Raises :class:`amqp.exceptions.PreconditionFailed` for arguments that make no sense.
    """

    def __init__(
        self, name: str, arguments: Mapping[str, Any], auto_delete: bool, owner: Inbox | None
    ) -> None:
        self.name = name
        self.arguments = dict(arguments)
        self.auto_delete = auto_delete
        self.owner = owner
        ttl = _natural(arguments, "x-message-ttl")
        self.ttl = None if ttl is None else ttl / 1000  # seconds
        self.dead_letter_exchange: str | None = arguments.get("x-dead-letter-exchange")
        self.dead_letter_key: str | None = arguments.get("x-dead-letter-routing-key")
        if self.dead_letter_key is not None and self.dead_letter_exchange is None:
            raise failed(f"routing_key_but_no_dlx_defined for queue {name!r}", QUEUE_DECLARE)
        self.delivery_limit = _natural(arguments, "x-delivery-limit")
        self.counts_deliveries = self.delivery_limit is not None or arguments.get("x-queue-type") == "quorum"
        self.max_length = _natural(arguments, "x-max-length")
        self.ready: list[tuple[int, QueuedMessage]] = []
        self.consumers: deque[QueueConsumer] = deque()
        self.unacked = 0
        self.positions = count()
        self.wake_at: float | None = None  # when its first message is looked at, on the monotonic clock
        self.deleted = False

    def put(self, message: QueuedMessage) -> None:
        """Make a message ready, at its position."""
        heappush(self.ready, (message.position, message))

    def is_full(self) -> bool:
        """Whether it refuses what is published: it has a bound and, as a quorum queue, has passed it."""
        return self.max_length is not None and len(self.ready) > self.max_length

    def take(self) -> QueuedMessage:
        """Take the first ready message off."""
        return heappop(self.ready)[1]

    def expires_at(self) -> float | None:
        """When the first ready message expires, on the monotonic clock."""
        return self.ready[0][1].expires_at if self.ready else None

    def depth(self) -> QueueDepth:
        """How many messages and consumers it has."""
        return QueueDepth(len(self.ready), self.unacked, len(self.consumers))

    def remove_consumer(self, consumer: QueueConsumer) -> None:
        """Let a consumer take no more turns."""
        if consumer in self.consumers:  # else the queue was deleted
            self.consumers.remove(consumer)

    def next_consumer(self) -> QueueConsumer | None:
        """The consumer whose turn it is, among those with room."""
        consumers = self.consumers
        for _ in range(len(consumers)):
            consumer = consumers[0]
            consumers.rotate(-1)
            if consumer.has_room():
                return consumer
        return None


def _natural(arguments: Mapping[str, Any], name: str) -> int | None:
    """An argument that must not be negative; a delivery limit of -1 is none."""
    value = arguments.get(name)
    if value is None or (name == "x-delivery-limit" and value == -1):
        return None
    if not isinstance(value, int) or value < 0:
        raise failed(f"invalid {name}: {value!r}", QUEUE_DECLARE)
    return value
