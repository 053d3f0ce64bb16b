"""Messages are routed as RabbitMQ routes them, and what was not declared is refused."""

from typing import Any

import pytest
from amqp.exceptions import NotFound, PreconditionFailed

from tests.unit.runtime.embedded.amqp import body, publish, texts


@pytest.mark.parametrize(
    ("kind", "binding", "key", "routed"),
    [
        ("direct", "a.b", "a.b", True),
        ("direct", "a.*", "a.b", False),
        ("fanout", "a", "b", True),
        ("topic", "a.b", "a.b", True),
        ("topic", "a.*", "a.b", True),
        ("topic", "a.*", "a", False),
        ("topic", "a.*", "a.b.c", False),
        ("topic", "a.#", "a", True),
        ("topic", "a.#", "a.b.c", True),
        ("topic", "#", "", True),
        ("topic", "#.c", "a.b.c", True),
        ("topic", "#.c", "a.b", False),
        ("topic", "*.b.#", "a.b", True),
        ("topic", "a.#.z", "a.z", True),
        ("topic", "a+", "aa", False),
    ],
)
def test_exchange_routes(channel: Any, kind: str, binding: str, key: str, routed: bool) -> None:
    """Direct, fanout and topic exchanges route by key as AMQP defines."""
    channel.exchange_declare("x", kind, durable=True)
    channel.queue_declare("q", durable=True)
    channel.queue_bind("q", "x", binding)
    publish(channel, key, "hello", exchange="x")
    assert texts(channel, "q") == (["hello"] if routed else [])


def test_message_goes_to_each_queue_once(channel: Any) -> None:
    """A message that matches several bindings of several queues reaches each queue once."""
    channel.exchange_declare("x", "topic")
    for name in ("q", "r"):
        channel.queue_declare(name)
        channel.queue_bind(name, "x", "a.*")
        channel.queue_bind(name, "x", "*.b")
    publish(channel, "a.b", "hello", exchange="x")
    assert texts(channel, "q") == texts(channel, "r") == ["hello"]


def test_unbound_queue_gets_nothing(channel: Any) -> None:
    """A binding that was undone, or whose queue was deleted, routes no more."""
    channel.exchange_declare("x", "direct")
    for name in ("q", "r"):
        channel.queue_declare(name)
        channel.queue_bind(name, "x", "k")
    publish(channel, "k", "one", exchange="x")
    channel.queue_unbind("q", "x", "k")
    assert channel.queue_delete("r") == 1
    publish(channel, "k", "two", exchange="x")
    assert texts(channel, "q") == ["one"]
    assert list(channel.list_bindings()) == []


def test_alternate_exchange_takes_the_unroutable(channel: Any) -> None:
    """A message that an exchange cannot route goes to its alternate exchange, and to that one's."""
    channel.exchange_declare("first", "direct", arguments={"alternate-exchange": "second"})
    channel.exchange_declare("second", "direct", arguments={"alternate-exchange": "third"})
    channel.exchange_declare("third", "fanout")
    for name, exchange in (("q", "first"), ("r", "third")):
        channel.queue_declare(name)
        channel.queue_bind(name, exchange, "k")
    publish(channel, "k", "routable", exchange="first")
    publish(channel, "other", "unroutable", exchange="first")
    assert texts(channel, "q") == ["routable"]
    message = channel.basic_get("r", no_ack=True)
    assert (body(message), message.delivery_info["exchange"]) == ("unroutable", "first")


def test_unroutable_is_dropped(channel: Any) -> None:
    """A message without a route is dropped in silence, also where alternate exchanges lead in a circle."""
    channel.exchange_declare("one", "direct", arguments={"alternate-exchange": "two"})
    channel.exchange_declare("two", "direct", arguments={"alternate-exchange": "one"})
    channel.exchange_declare("lost", "direct", arguments={"alternate-exchange": "nowhere"})
    for exchange in ("", "one", "lost"):
        message = channel.prepare_message("hello")
        channel.basic_publish(message, exchange, "k", mandatory=True)


def test_undeclared_is_refused(channel: Any) -> None:
    """Exchanges and queues have to be declared before they are used."""
    channel.queue_declare("q")
    for use in (
        lambda: publish(channel, "k", exchange="nowhere"),
        lambda: channel.queue_bind("q", "nowhere", "k"),
        lambda: channel.queue_bind("nowhere", "amq.direct", "k"),
        lambda: channel.basic_consume("nowhere", False, print, "tag"),
        lambda: channel.basic_get("nowhere"),
        lambda: channel.queue_purge("nowhere"),
        lambda: channel.queue_declare("nowhere", passive=True),
        lambda: channel.exchange_declare("nowhere", passive=True),
    ):
        with pytest.raises(NotFound, match="nowhere"):
            use()


def test_inequivalent_declaration_is_refused(channel: Any) -> None:
    """Declaring something again works with equal arguments only."""
    channel.exchange_declare("x", "direct")
    channel.exchange_declare("x", "direct", durable=True)
    channel.queue_declare("q", arguments={"x-message-ttl": 1000})
    channel.queue_declare("q", arguments={"x-message-ttl": 1000}, durable=True)
    with pytest.raises(PreconditionFailed, match="inequivalent"):
        channel.exchange_declare("x", "topic")
    with pytest.raises(PreconditionFailed, match="inequivalent"):
        channel.queue_declare("q", arguments={"x-message-ttl": 2000})


@pytest.mark.parametrize(
    "arguments",
    [
        {"x-message-ttl": -1},
        {"x-message-ttl": "1"},
        {"x-delivery-limit": -2},
        {"x-dead-letter-routing-key": "k"},
    ],
)
def test_senseless_queue_arguments_are_refused(channel: Any, arguments: dict[str, Any]) -> None:
    """Queue arguments that RabbitMQ refuses are refused."""
    with pytest.raises(PreconditionFailed):
        channel.queue_declare("q", arguments=arguments)


def test_unknown_exchange_type_is_refused(channel: Any) -> None:
    """An exchange of a type that is not implemented cannot be declared."""
    with pytest.raises(PreconditionFailed, match="headers"):
        channel.exchange_declare("x", "headers")
