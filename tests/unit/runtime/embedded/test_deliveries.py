"""Messages are delivered, acknowledged and redelivered as by RabbitMQ."""

from typing import Any

import pytest
from amqp.exceptions import NotAllowed, PreconditionFailed, RecoverableConnectionError

from handoffs.coordinator.runtime.embedded.brokers import queue_depths
from handoffs.coordinator.runtime.embedded.queues import QueueDepth
from tests.unit.runtime.embedded.amqp import PROMPT, Connect, Inbox, body, publish, texts


def test_message_arrives_as_published(channel: Any) -> None:
    """A consumer gets body, headers and properties as they were when the message was published."""
    channel.queue_declare("q")
    headers: dict[str, Any] = {"nested": {"list": [1]}, "none": None}
    publish(channel, "q", "grüße", headers=headers, correlation_id="c", reply_to="r")
    headers["nested"]["list"].append(2)
    first = channel.basic_get("q")
    first.headers["nested"]["list"].append(3)
    first.requeue()
    message = channel.basic_get("q")
    assert body(message) == "grüße"
    assert message.headers == {"nested": {"list": [1]}, "none": None}
    assert (message.properties["correlation_id"], message.properties["reply_to"]) == ("c", "r")


def test_confirm_publish_is_accepted(connect: Connect) -> None:
    """The option for publisher confirms is accepted: a published message is in its queue anyway."""
    connection = connect(confirm_publish=True)
    channel = connection.channel()
    channel.queue_declare("q")
    connection.Producer(channel).publish({"a": 1}, routing_key="q", confirm_timeout=1, timeout=1)
    assert channel.basic_get("q").payload == {"a": 1}


def test_acknowledged_message_is_gone(connect: Connect, namespace: str) -> None:
    """An acknowledged message is not requeued when its channel closes."""
    channel = connect().channel()
    channel.queue_declare("q")
    publish(channel, "q")
    channel.basic_get("q").ack()
    channel.close()
    assert queue_depths(namespace)["q"] == QueueDepth(0, 0, 0)


def test_acknowledging_several(channel: Any, namespace: str) -> None:
    """An acknowledgement may cover all earlier messages of its channel."""
    channel.queue_declare("q")
    for _ in range(4):
        publish(channel, "q")
    _, _, third, _ = (channel.basic_get("q") for _ in range(4))
    third.ack(multiple=True)
    assert queue_depths(namespace)["q"].unacked == 1
    channel.basic_ack(0, multiple=True)
    assert queue_depths(namespace)["q"].unacked == 0


def test_settling_twice_is_refused(channel: Any) -> None:
    """A channel cannot settle a message that it does not hold."""
    channel.queue_declare("q")
    publish(channel, "q")
    tag = channel.basic_get("q").delivery_tag
    channel.basic_ack(tag)
    for settle in (channel.basic_ack, channel.basic_reject):
        with pytest.raises(PreconditionFailed, match="unknown delivery tag"):
            settle(tag)


def test_no_ack_consumer_acknowledges_on_delivery(connect: Connect, namespace: str) -> None:
    """A consumer without acknowledgements holds nothing, is not limited, and may acknowledge to no effect."""
    connection = connect()
    publisher = connection.channel()
    publisher.queue_declare("q")
    inbox = Inbox(connection, "q", prefetch=1, no_ack=True)
    for text in "abc":
        publish(publisher, "q", text)
    assert inbox.drain() == ["a", "b", "c"]
    assert queue_depths(namespace)["q"] == QueueDepth(0, 0, 1)
    inbox.messages[0].ack()


def test_consumer_tag_is_used_once(channel: Any) -> None:
    """A channel cannot have two consumers with one tag."""
    channel.queue_declare("q")
    channel.basic_consume("q", False, print, "tag")
    with pytest.raises(NotAllowed):
        channel.basic_consume("q", False, print, "tag")


def test_requeued_message_returns_to_its_place(channel: Any) -> None:
    """A requeued message comes before later ones, whatever the order in which they are requeued."""
    channel.queue_declare("q")
    for text in "abcd":
        publish(channel, "q", text)
    a, b, c = (channel.basic_get("q") for _ in range(3))
    for message in (b, a, c):
        message.requeue()
    assert texts(channel, "q") == ["a", "b", "c", "d"]


def test_redelivered_message_is_marked(channel: Any) -> None:
    """A message is marked as redelivered from its second delivery on."""
    channel.queue_declare("q")
    publish(channel, "q")
    first = channel.basic_get("q")
    assert first.delivery_info["redelivered"] is False
    first.requeue()
    second = channel.basic_get("q")
    assert second.delivery_info["redelivered"] is True
    assert "x-delivery-count" not in second.headers


@pytest.mark.parametrize("close", ["channel", "connection"])
def test_unacknowledged_message_is_requeued_on_close(connect: Connect, channel: Any, close: str) -> None:
    """What a channel or connection holds returns to the front, in order, when it closes."""
    channel.queue_declare("q")
    for text in "abc":
        publish(channel, "q", text)
    inbox = Inbox(connect(), "q", prefetch=2)
    inbox.next()
    inbox.next()
    if close == "channel":
        inbox.channel.close()
    else:
        inbox.connection.close()
    messages = [channel.basic_get("q") for _ in range(3)]
    assert [body(message) for message in messages] == ["a", "b", "c"]
    assert [message.delivery_info["redelivered"] for message in messages] == [True, True, False]


def test_settling_on_closed_channel_fails(connect: Connect, channel: Any) -> None:
    """A message that was requeued because its channel closed can no longer be acknowledged there."""
    channel.queue_declare("q")
    publish(channel, "q", "hello")
    other = connect().channel()
    message = other.basic_get("q")
    other.close()
    with pytest.raises(RecoverableConnectionError):
        message.ack()
    assert texts(channel, "q") == ["hello"]


def test_closed_consumer_hands_over_to_another(connect: Connect, channel: Any) -> None:
    """What a closing connection holds goes to another consumer at once."""
    channel.queue_declare("q")
    publish(channel, "q", "hello")
    first = Inbox(connect(), "q")
    second = Inbox(connect(), "q")
    first.next()
    first.connection.close()
    assert body(second.next(timeout=PROMPT)) == "hello"


def test_untaken_message_returns_unmarked(connect: Connect, channel: Any) -> None:
    """A message that its consumer was never given returns as if it had not been delivered."""
    channel.queue_declare("q", arguments={"x-delivery-limit": 0})
    publish(channel, "q")
    cancelled, closed = Inbox(connect(), "q"), Inbox(connect(), "q")
    cancelled.channel.basic_cancel(cancelled.tag)
    closed.connection.close()
    message = channel.basic_get("q")
    assert message.delivery_info["redelivered"] is False
    assert "x-delivery-count" not in message.headers


def test_cancelled_consumer_keeps_what_it_holds(connect: Connect, namespace: str) -> None:
    """Cancelling a consumer ends its deliveries, and what it was given can still be acknowledged."""
    connection = connect()
    publisher = connection.channel()
    publisher.queue_declare("q")
    inbox = Inbox(connection, "q")
    publish(publisher, "q")
    message = inbox.next()
    inbox.channel.basic_cancel(inbox.tag)
    publish(publisher, "q")
    assert len(inbox.drain()) == 1
    assert queue_depths(namespace)["q"] == QueueDepth(1, 1, 0)
    message.ack()
    assert queue_depths(namespace)["q"] == QueueDepth(1, 0, 0)


def test_recover_requeues_all(channel: Any) -> None:
    """Recovering a channel requeues all that it holds."""
    channel.queue_declare("q")
    for text in "ab":
        publish(channel, "q", text)
        channel.basic_get("q")
    channel.basic_recover(requeue=True)
    assert texts(channel, "q") == ["a", "b"]
    with pytest.raises(NotImplementedError):
        channel.basic_recover()
