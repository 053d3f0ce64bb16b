"""Consumers share what there is as RabbitMQ shares it."""

import contextlib
import threading
from collections import Counter
from typing import Any

from handoffs.coordinator.runtime.embedded.brokers import queue_depths
from tests.unit.runtime.embedded.amqp import Connect, Inbox, body, publish


def test_prefetch_count_limits_deliveries(connect: Connect, channel: Any) -> None:
    """A channel is given as many unacknowledged messages as its prefetch count allows, and no more."""
    channel.queue_declare("q")
    for number in range(10):
        publish(channel, "q", str(number))
    inbox = Inbox(connect(), "q", prefetch=3)
    assert inbox.drain() == ["0", "1", "2"]
    inbox.messages[0].ack()
    inbox.messages[1].reject()
    assert inbox.drain() == ["0", "1", "2", "3", "4"]
    inbox.channel.basic_qos(0, 4, False)
    assert len(inbox.drain()) == 6
    inbox.channel.basic_qos(0, 0, False)
    assert len(inbox.drain()) == 10


def test_prefetch_count_is_shared_by_the_queues_of_a_channel(connect: Connect, channel: Any) -> None:
    """A channel that consumes from several queues serves them in turn when its prefetch count is small."""
    inbox = Inbox(connect(), channel.queue_declare("q").queue, prefetch=1)
    for name in ("r", "s"):
        channel.queue_declare(name)
        inbox.channel.basic_consume(name, False, inbox.messages.append, name)
    for name in ("q", "r", "s"):
        for number in range(4):
            publish(channel, name, f"{name}{number}")
    for _ in range(12):
        inbox.next().ack()
    order = [body(message) for message in inbox.messages]
    assert all(len({text[0] for text in order[start : start + 3]}) == 3 for start in range(0, 12, 3))
    assert sorted(order) == [f"{name}{number}" for name in "qrs" for number in range(4)]


def test_consumers_share_a_queue_in_turn(connect: Connect, channel: Any) -> None:
    """Consumers of one queue get equal shares, on one connection or on several."""
    channel.queue_declare("q")
    shared = connect()
    inboxes = [Inbox(shared, "q"), Inbox(shared, "q"), Inbox(connect(), "q")]
    for number in range(30):
        publish(channel, "q", str(number))
    for inbox in inboxes:
        inbox.drain()
    assert [len(inbox.messages) for inbox in inboxes] == [10, 10, 10]


def test_busy_consumer_is_passed_over(connect: Connect, channel: Any) -> None:
    """A consumer at its limit leaves its turn to those that have room."""
    channel.queue_declare("q")
    busy, idle = Inbox(connect(), "q", prefetch=1), Inbox(connect(), "q")
    for number in range(10):
        publish(channel, "q", str(number))
    assert len(busy.drain()) == 1
    assert len(idle.drain()) == 9


def test_many_threads_lose_and_double_nothing(connect: Connect, namespace: str) -> None:
    """Messages published and consumed by many threads at once are each delivered exactly once."""
    publishers, consumers, each = 4, 4, 500
    connect().channel().queue_declare("q")
    received: list[list[str]] = [[] for _ in range(consumers)]
    left = threading.Semaphore(0)

    def produce(number: int) -> None:
        channel = connect().channel()
        for index in range(each):
            publish(channel, "q", f"{number}-{index}")

    def consume(number: int) -> None:
        inbox = Inbox(connect(), "q", prefetch=5)
        while sum(map(len, received)) < publishers * each:
            with contextlib.suppress(TimeoutError):
                message = inbox.next(timeout=0.05)
                received[number].append(body(message))
                message.ack()
        left.release()

    threads = [threading.Thread(target=consume, args=[number]) for number in range(consumers)]
    threads += [threading.Thread(target=produce, args=[number]) for number in range(publishers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    counts = Counter(text for texts in received for text in texts)
    assert set(counts.values()) == {1}
    assert len(counts) == publishers * each
    assert queue_depths(namespace)["q"][:2] == (0, 0)
