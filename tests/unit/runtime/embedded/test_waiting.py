"""A connection that waits notices at once what it waits for."""

import threading
import time
from typing import Any

import pytest
from amqp.exceptions import RecoverableConnectionError

from tests.unit.runtime.embedded.amqp import LONG, PROMPT, Connect, Inbox, body, publish


def test_publishing_wakes_a_waiting_consumer(connect: Connect, channel: Any) -> None:
    """A consumer that waits gets a message from another thread at once."""
    channel.queue_declare("q")
    inbox = Inbox(connect(), "q")
    timer = threading.Timer(0.05, publish, [channel, "q", "hello"])
    timer.start()
    start = time.monotonic()
    assert body(inbox.next()) == "hello"
    assert time.monotonic() - start < 0.05 + PROMPT
    timer.join()


def test_acknowledging_wakes_a_waiting_consumer(connect: Connect, channel: Any) -> None:
    """A consumer at its limit that waits gets the next message as soon as another thread acknowledges."""
    channel.queue_declare("q")
    for text in "ab":
        publish(channel, "q", text)
    inbox = Inbox(connect(), "q", prefetch=1)
    timer = threading.Timer(0.05, inbox.next().ack)
    timer.start()
    start = time.monotonic()
    assert body(inbox.next()) == "b"
    assert time.monotonic() - start < 0.05 + PROMPT
    timer.join()


@pytest.mark.parametrize("timeout", [0, 0.03])
def test_waiting_ends_with_the_timeout(connect: Connect, timeout: float) -> None:
    """Waiting for a message that does not come ends when the time is up."""
    connection = connect()
    connection.connect()
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        connection.drain_events(timeout=timeout)
    assert timeout <= time.monotonic() - start < timeout + PROMPT


def test_waiting_can_be_interrupted(connect: Connect) -> None:
    """A connection that waits, or the next one that would, times out at once when it is interrupted."""
    connection = connect()
    connection.connect()
    transport: Any = connection.transport
    timer = threading.Timer(0.05, transport.interrupt)
    timer.start()
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        connection.drain_events(timeout=LONG)
    timer.join()
    transport.interrupt()
    with pytest.raises(TimeoutError):
        connection.drain_events(timeout=LONG)
    assert time.monotonic() - start < 0.05 + PROMPT


def test_connection_closes_while_another_thread_waits(connect: Connect) -> None:
    """A thread that waits on a connection fails at once when another thread closes it."""
    connection = connect()
    connection.connect()
    transport, established = connection.transport, connection.connection
    timer = threading.Timer(0.05, connection.close)
    timer.start()
    start = time.monotonic()
    with pytest.raises(RecoverableConnectionError):
        transport.drain_events(established, timeout=LONG)
    assert time.monotonic() - start < 0.05 + PROMPT
    timer.join()
