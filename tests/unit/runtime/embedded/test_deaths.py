"""Messages that are rejected or returned too often are dead-lettered as by RabbitMQ."""

import time
from typing import Any

import pytest

from handoffs.coordinator.runtime.embedded.brokers import queue_depths
from handoffs.coordinator.runtime.embedded.queues import QueueDepth
from tests.unit.runtime.embedded.amqp import Connect, Inbox, body, declare_dead_letters, publish, texts


def test_delivery_limit_dead_letters(channel: Any) -> None:
    """A message returned more often than the delivery limit is dead-lettered for that reason."""
    declare_dead_letters(channel)
    channel.queue_declare("q", arguments={"x-delivery-limit": 2, "x-dead-letter-exchange": "dlx"})
    publish(channel, "q", "hello")
    counts = []
    while (message := channel.basic_get("q")) is not None:
        counts.append(message.headers.get("x-delivery-count"))
        message.requeue()
    assert counts == [None, 1, 2]
    dead = channel.basic_get("dead")
    assert dead.headers["x-death"][0]["reason"] == "delivery_limit"
    assert "x-delivery-count" not in dead.headers
    assert dead.delivery_info["redelivered"] is False


def test_lost_connections_count_towards_the_delivery_limit(connect: Connect, channel: Any) -> None:
    """A message whose consumers' connections close again and again is dead-lettered."""
    declare_dead_letters(channel)
    channel.queue_declare("q", arguments={"x-delivery-limit": 1, "x-dead-letter-exchange": "dlx"})
    publish(channel, "q", "poison")
    for _ in range(2):
        inbox = Inbox(connect(), "q")
        inbox.next()
        inbox.connection.close()
    assert texts(channel, "q") == []
    assert texts(channel, "dead") == ["poison"]


@pytest.mark.parametrize("arguments", [{}, {"x-delivery-limit": -1}])
def test_without_delivery_limit_a_message_returns_for_ever(channel: Any, arguments: dict[str, int]) -> None:
    """A queue without a delivery limit takes a message back however often it is returned."""
    channel.queue_declare("q", arguments=arguments)
    publish(channel, "q")
    for _ in range(50):
        channel.basic_get("q").requeue()
    assert channel.basic_get("q") is not None


def test_rejected_message_is_dead_lettered(channel: Any) -> None:
    """A rejected message is dead-lettered with the reason, and tells where it came from and when."""
    channel.exchange_declare("x", "direct")
    declare_dead_letters(channel)
    channel.queue_declare("q", arguments={"x-dead-letter-exchange": "dlx"})
    channel.queue_bind("q", "x", "k")
    publish(channel, "k", "hello", exchange="x", headers={"mine": 1})
    channel.basic_get("q").reject()
    dead = channel.basic_get("dead")
    (death,) = dead.headers["x-death"]
    assert abs(death.pop("time").timestamp() - time.mktime(time.gmtime())) < 5
    assert death == {"queue": "q", "reason": "rejected", "count": 1, "exchange": "x", "routing-keys": ["k"]}
    assert {name: value for name, value in dead.headers.items() if name != "x-death"} == {
        "mine": 1,
        "x-first-death-queue": "q",
        "x-first-death-reason": "rejected",
        "x-first-death-exchange": "x",
        "x-last-death-queue": "q",
        "x-last-death-reason": "rejected",
        "x-last-death-exchange": "x",
    }
    assert body(dead) == "hello"
    assert (dead.delivery_info["exchange"], dead.delivery_info["routing_key"]) == ("dlx", "k")


def test_dead_letter_routing_key(channel: Any) -> None:
    """A dead letter gets the routing key that its queue states, also for the default exchange."""
    channel.queue_declare("dead")
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}
    channel.queue_declare("q", arguments=arguments)
    publish(channel, "q", "hello")
    channel.basic_get("q").reject()
    message = channel.basic_get("dead")
    assert (body(message), message.delivery_info["routing_key"]) == ("hello", "dead")


@pytest.mark.parametrize("arguments", [{}, {"x-dead-letter-exchange": "nowhere"}])
def test_dead_letter_without_a_way_is_dropped(
    channel: Any, namespace: str, arguments: dict[str, str]
) -> None:
    """A rejected message without a dead-letter exchange, or with one that is not there, is dropped."""
    channel.queue_declare("q", arguments=arguments)
    publish(channel, "q")
    channel.basic_get("q").reject()
    assert queue_depths(namespace)["q"] == QueueDepth(0, 0, 0)


def test_deaths_are_counted(channel: Any) -> None:
    """Deaths are counted by queue and reason, the latest first; the first one stays on record."""
    channel.queue_declare("q", arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "r"})
    channel.queue_declare("r", arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "q"})
    publish(channel, "q")
    for queue in ("q", "r", "q"):
        channel.basic_get(queue).reject()
    headers = channel.basic_get("r").headers
    assert [(death["queue"], death["count"]) for death in headers["x-death"]] == [("q", 2), ("r", 1)]
    assert (headers["x-first-death-queue"], headers["x-first-death-exchange"]) == ("q", "")
    assert headers["x-last-death-queue"] == "q"


def test_deaths_from_clients_do_not_count(channel: Any) -> None:
    """An x-death header that a client published is passed on, and replaced at the first real death."""
    declare_dead_letters(channel)
    channel.queue_declare("q", arguments={"x-dead-letter-exchange": "dlx"})
    claimed = [{"queue": "q", "reason": "rejected", "count": 7}]
    publish(channel, "q", headers={"x-death": claimed})
    message = channel.basic_get("q")
    assert message.headers["x-death"] == claimed
    message.reject()
    assert [death["count"] for death in channel.basic_get("dead").headers["x-death"]] == [1]


def test_dead_letter_goes_to_all_queues(channel: Any) -> None:
    """Dead letters go through the dead-letter exchange like other messages, its alternate included."""
    declare_dead_letters(channel)
    channel.queue_declare("also-dead")
    channel.queue_bind("also-dead", "dlx")
    channel.exchange_declare("narrow", "direct", arguments={"alternate-exchange": "dlx"})
    channel.queue_declare("q", arguments={"x-dead-letter-exchange": "narrow"})
    publish(channel, "q", "hello")
    channel.basic_get("q").reject()
    assert texts(channel, "dead") == texts(channel, "also-dead") == ["hello"]
