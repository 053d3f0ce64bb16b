"""The embedded brokers of a process are separate, and are dropped with all they have."""

import threading
import time
from typing import Any

import kombu
import pytest
from amqp.exceptions import NotFound, RecoverableConnectionError

from handoffs.coordinator.runtime.embedded.brokers import forget, queue_depths
from handoffs.coordinator.runtime.embedded.transport import Transport
from tests.unit.runtime.embedded.amqp import LONG, PROMPT, Connect, named_threads, publish, texts


def test_brokers_of_different_names_are_separate(connect: Connect, namespace: str) -> None:
    """Two brokers in a process share no exchange, queue or message."""
    one, other = connect().channel(), connect(f"{namespace}-other").channel()
    for channel in (one, other):
        channel.queue_declare("q")
    one.exchange_declare("x", "direct")
    publish(one, "q", "hello")
    assert texts(other, "q") == []
    assert texts(one, "q") == ["hello"]
    with pytest.raises(NotFound):
        other.exchange_declare("x", passive=True)


def test_connections_of_one_name_share_a_broker(connect: Connect) -> None:
    """What one connection publishes, another one of the same broker gets."""
    one, other = connect().channel(), connect().channel()
    one.queue_declare("q")
    publish(one, "q", "hello")
    assert texts(other, "q") == ["hello"]


def test_virtual_host_names_the_broker(connect: Connect, namespace: str) -> None:
    """The broker is named by the virtual host if there is one, and case does not matter."""
    connect().channel().queue_declare("q")
    url = f"memory://somewhere/{namespace.upper()}"
    with kombu.Connection(url, transport=Transport) as connection:
        assert connection.channel().queue_declare("q", passive=True).queue == "q"


def test_forget_drops_everything(connect: Connect, namespace: str) -> None:
    """A broker that was dropped is replaced by an empty one for connections made later."""
    old = connect().channel()
    old.queue_declare("q")
    forget(namespace.upper())
    assert queue_depths(namespace) == {}
    with pytest.raises(NotFound):
        connect().channel().queue_declare("q", passive=True)
    with pytest.raises(RecoverableConnectionError):
        publish(old, "q")


def test_forget_ends_waiting(connect: Connect, namespace: str) -> None:
    """Dropping a broker fails the connections that wait for its messages at once."""
    connection = connect()
    connection.connect()
    timer = threading.Timer(0.05, forget, [namespace])
    timer.start()
    start = time.monotonic()
    with pytest.raises(RecoverableConnectionError):
        connection.drain_events(timeout=LONG)
    assert time.monotonic() - start < PROMPT + 0.05
    assert not connection.connected
    timer.join()


def test_forget_stops_the_timer_thread(channel: Any, namespace: str) -> None:
    """A broker has at most one thread, which is a daemon and ends when the broker is dropped."""
    assert named_threads(namespace) == []
    for number in range(20):
        channel.queue_declare(f"q{number}", arguments={"x-message-ttl": 60_000})
        publish(channel, f"q{number}")
    assert named_threads(namespace) == [f"embedded-broker-{namespace}"]
    assert all(thread.daemon for thread in threading.enumerate() if namespace in thread.name)
    forget(namespace)
    assert named_threads(namespace) == []
    forget(namespace)


def test_producer_reconnects_after_forget(connect: Connect, namespace: str) -> None:
    """A producer that retries finds the new broker after its own was dropped."""
    connection = connect()
    queue = kombu.Queue("q")
    producer = connection.Producer()
    producer.publish({}, routing_key="q", declare=[queue])
    forget(namespace)
    producer.publish({}, routing_key="q", declare=[queue], retry=True, retry_policy={"max_retries": 1})
    assert queue_depths(namespace)["q"].ready == 1
