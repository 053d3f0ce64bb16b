"""What the tests of the embedded broker publish and consume with."""

import contextlib
import threading
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import kombu

from tests.waiting import wait_until

Connect = Callable[..., kombu.Connection]

PROMPT = 0.5  # seconds within which something that waits has to notice, far below any polling interval
LONG = 20.0  # seconds that nothing here takes, unless it fails


class Inbox:
    """A consumer of one queue that keeps what it gets."""

    def __init__(
        self, connection: kombu.Connection, queue: str, *, prefetch: int = 0, no_ack: bool = False
    ) -> None:
        self.connection = connection
        self.channel: Any = connection.channel()
        self.channel.basic_qos(0, prefetch, False)
        self.messages: list[Any] = []
        self.tag = self.channel.basic_consume(queue, no_ack, self.messages.append, uuid4().hex)

    def next(self, timeout: float = LONG) -> Any:
        """Wait for the next message."""
        before = len(self.messages)
        self.connection.drain_events(timeout=timeout)
        assert len(self.messages) == before + 1
        return self.messages[-1]

    def drain(self) -> list[str]:
        """The bodies of all messages so far, including those that are waiting."""
        with contextlib.suppress(TimeoutError):
            while True:
                self.connection.drain_events(timeout=0)
        return [body(message) for message in self.messages]


def publish(
    channel: Any, key: str, text: str = "", *, exchange: str = "", headers: Any = None, **properties: Any
) -> None:
    """Publish a text."""
    message = channel.prepare_message(text, headers=headers, properties=properties)
    channel.basic_publish(message, exchange, key)


def body(message: Any) -> str:
    """A message's text."""
    return str(message.body.decode())


def get(channel: Any, queue: str) -> Any:
    """Wait until a queue has a message, and take it."""
    return wait_until(lambda: channel.basic_get(queue), description=f"{queue} has a message", interval=0.002)


def texts(channel: Any, queue: str) -> list[str]:
    """Take all ready messages of a queue, and return their texts."""
    found = []
    while (message := channel.basic_get(queue, no_ack=True)) is not None:
        found.append(body(message))
    return found


def declare_dead_letters(channel: Any, name: str = "dlx", queue: str = "dead") -> None:
    """Declare a fanout exchange for dead letters with one queue."""
    channel.exchange_declare(name, "fanout")
    channel.queue_declare(queue)
    channel.queue_bind(queue, name)


def named_threads(name: str) -> list[str]:
    """The names of the live threads that contain a name."""
    return [thread.name for thread in threading.enumerate() if name in thread.name]
