"""Messages expire as in RabbitMQ."""

import time
from typing import Any

from handoffs.coordinator.runtime.embedded.brokers import queue_depths
from tests.unit.runtime.embedded.amqp import (
    PROMPT,
    Connect,
    Inbox,
    body,
    declare_dead_letters,
    get,
    named_threads,
    publish,
    texts,
)
from tests.waiting import wait_until


def test_message_expires_without_a_consumer(channel: Any) -> None:
    """A message that outlives its queue's time to live is dead-lettered, though no consumer looks at the queue."""
    declare_dead_letters(channel)
    channel.queue_declare("delay", arguments={"x-message-ttl": 50, "x-dead-letter-exchange": "dlx"})
    start = time.monotonic()
    publish(channel, "delay", "hello")
    dead = get(channel, "dead")
    assert 0.05 <= time.monotonic() - start < 0.05 + PROMPT
    assert dead.headers["x-death"][0]["reason"] == dead.headers["x-first-death-reason"] == "expired"


def test_expiry_wakes_a_waiting_consumer(connect: Connect, channel: Any) -> None:
    """A consumer that waits is woken at once when a message expires into its queue."""
    channel.queue_declare("work")
    arguments = {
        "x-message-ttl": 100,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": "work",
    }
    channel.queue_declare("delay", arguments=arguments)
    inbox = Inbox(connect(), "work")
    start = time.monotonic()
    publish(channel, "delay", "hello")
    assert body(inbox.next()) == "hello"
    assert 0.1 <= time.monotonic() - start < 0.1 + PROMPT


def test_shorter_delay_overtakes_longer(connect: Connect, channel: Any) -> None:
    """Queues with different times to live do not hold each other up, and each keeps its order."""
    channel.queue_declare("work")
    for milliseconds in (150, 30):
        arguments = {
            "x-message-ttl": milliseconds,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": "work",
        }
        channel.queue_declare(f"delay{milliseconds}", arguments=arguments)
        for text in "ab":
            publish(channel, f"delay{milliseconds}", f"{text}{milliseconds}")
    inbox = Inbox(connect(), "work")
    assert [body(inbox.next()) for _ in range(4)] == ["a30", "b30", "a150", "b150"]


def test_held_message_does_not_expire(channel: Any) -> None:
    """A message that a consumer holds does not expire, but does as soon as it is requeued too late."""
    declare_dead_letters(channel)
    channel.queue_declare("q", arguments={"x-message-ttl": 30, "x-dead-letter-exchange": "dlx"})
    publish(channel, "q", "held")
    message = channel.basic_get("q")
    publish(channel, "q", "marker")
    assert body(get(channel, "dead")) == "marker"
    message.requeue()
    assert body(get(channel, "dead")) == "held"


def test_expired_message_is_not_delivered(connect: Connect, channel: Any) -> None:
    """A message that waits behind a full consumer expires, and is not delivered afterwards."""
    declare_dead_letters(channel)
    channel.queue_declare("q", arguments={"x-message-ttl": 30, "x-dead-letter-exchange": "dlx"})
    inbox = Inbox(connect(), "q", prefetch=1)
    for text in ("held", "expiring"):
        publish(channel, "q", text)
    held = inbox.next()
    assert body(get(channel, "dead")) == "expiring"
    held.ack()
    assert inbox.drain() == ["held"]


def test_zero_time_to_live(connect: Connect, channel: Any) -> None:
    """With a time to live of 0, a message reaches a consumer that is there, or expires."""
    declare_dead_letters(channel)
    channel.queue_declare("q", arguments={"x-message-ttl": 0, "x-dead-letter-exchange": "dlx"})
    publish(channel, "q", "early")
    assert body(get(channel, "dead")) == "early"
    inbox = Inbox(connect(), "q")
    publish(channel, "q", "in time")
    assert body(inbox.next()) == "in time"


def test_own_expiration_counts(channel: Any) -> None:
    """A message's own expiration holds where it is shorter, is recorded, and ends with its death."""
    declare_dead_letters(channel)
    channel.queue_declare("q", arguments={"x-message-ttl": 60_000, "x-dead-letter-exchange": "dlx"})
    publish(channel, "q", expiration="20")
    dead = get(channel, "dead")
    assert dead.headers["x-death"][0]["original-expiration"] == "20"
    assert "expiration" not in dead.properties


def test_own_expiration_waits_for_the_front(channel: Any) -> None:
    """A message with its own expiration stays behind an earlier one, and expires once that one is gone."""
    declare_dead_letters(channel)
    channel.queue_declare("q", arguments={"x-dead-letter-exchange": "dlx"})
    publish(channel, "q", "first")
    publish(channel, "q", "second", expiration="10")
    channel.queue_declare("marker", arguments={"x-message-ttl": 40, "x-dead-letter-exchange": "dlx"})
    publish(channel, "marker", "marker")
    assert body(get(channel, "dead")) == "marker"
    assert body(channel.basic_get("q")) == "first"
    assert body(get(channel, "dead")) == "second"


def test_cycle_of_automatic_deaths_is_broken(channel: Any, namespace: str) -> None:
    """A message that would return to a queue where it expired before is dropped."""
    for name, target in (("a", "b"), ("b", "a")):
        arguments = {
            "x-message-ttl": 5,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": target,
        }
        channel.queue_declare(name, arguments=arguments)
    publish(channel, "a")
    wait_until(
        lambda: not any(depth.ready for depth in queue_depths(namespace).values()),
        description="the message is gone",
    )


def test_cycle_with_a_rejection_goes_on(connect: Connect, channel: Any) -> None:
    """A message that is rejected on the way may go round for ever: that is how delayed retries work."""
    channel.queue_declare(
        "work", arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "wait"}
    )
    channel.queue_declare(
        "wait",
        arguments={"x-message-ttl": 5, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "work"},
    )
    inbox = Inbox(connect(), "work")
    publish(channel, "work")
    for _ in range(5):
        inbox.next().reject()
    deaths = inbox.next().headers["x-death"]
    assert [(death["queue"], death["reason"], death["count"]) for death in deaths] == [
        ("wait", "expired", 5),
        ("work", "rejected", 5),
    ]


def test_many_messages_expire(channel: Any, namespace: str) -> None:
    """Thousands of messages expire in order, all by one thread."""
    declare_dead_letters(channel)
    channel.queue_declare("delay", arguments={"x-message-ttl": 20, "x-dead-letter-exchange": "dlx"})
    for number in range(3000):
        publish(channel, "delay", str(number))
    assert len(named_threads(namespace)) == 1
    wait_until(lambda: queue_depths(namespace)["dead"].ready == 3000, description="all have expired")
    assert texts(channel, "dead") == [str(number) for number in range(3000)]
