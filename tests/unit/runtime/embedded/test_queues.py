"""Queues come and go as in RabbitMQ."""

from typing import Any

import kombu
import pytest
from amqp.exceptions import PreconditionFailed

from handoffs.coordinator.runtime.embedded.brokers import queue_depths
from handoffs.coordinator.runtime.embedded.transport import Transport
from tests.unit.runtime.embedded.amqp import Connect, Inbox, body, declare_dead_letters, get, publish, texts


def test_auto_delete_queue_goes_with_its_last_consumer(connect: Connect, namespace: str) -> None:
    """An auto-delete queue is removed when its last consumer is cancelled or closed, and not before."""
    connection = connect()
    connection.channel().queue_declare("q", auto_delete=True)
    first, second = Inbox(connection, "q"), Inbox(connection, "q")
    first.channel.basic_cancel(first.tag)
    assert "q" in queue_depths(namespace)
    second.channel.close()
    assert "q" not in queue_depths(namespace)


def test_exclusive_queue_goes_with_its_connection(connect: Connect, namespace: str) -> None:
    """An exclusive queue is removed when the connection that declared it closes."""
    with kombu.Connection(f"memory://{namespace}", transport=Transport) as connection:
        connection.channel().queue_declare("q", exclusive=True)
        assert "q" in queue_depths(namespace)
    assert "q" not in queue_depths(namespace)


def test_purge_and_delete_count_messages(channel: Any) -> None:
    """Purging and deleting a queue drop its ready messages and tell how many they were."""
    channel.queue_declare("q")
    for _ in range(3):
        publish(channel, "q")
    assert channel.queue_declare("q", passive=True).message_count == 3
    assert channel.queue_purge("q") == 3
    publish(channel, "q")
    with pytest.raises(PreconditionFailed):
        channel.queue_delete("q", if_empty=True)
    assert channel.queue_delete("q") == 1
    assert channel.queue_delete("q") == 0


def test_message_of_deleted_queue_may_be_settled(channel: Any) -> None:
    """A message of a queue that is gone can be acknowledged, requeued or rejected, all to no effect."""
    declare_dead_letters(channel)
    channel.queue_declare("q", arguments={"x-dead-letter-exchange": "dlx"})
    for _ in range(3):
        publish(channel, "q")
    first, second, third = (channel.basic_get("q") for _ in range(3))
    channel.queue_delete("q")
    first.ack()
    second.requeue()
    third.reject()
    channel.queue_declare("q")
    assert texts(channel, "q") == texts(channel, "dead") == []


def test_queue_settings_of_kombu_apply(channel: Any) -> None:
    """kombu's own queue settings, which are in seconds, become RabbitMQ's arguments."""
    declare_dead_letters(channel)
    queue = kombu.Queue("q", message_ttl=0.02, queue_arguments={"x-dead-letter-exchange": "dlx"})
    queue(channel).declare()
    publish(channel, "q", "hello")
    assert body(get(channel, "dead")) == "hello"
