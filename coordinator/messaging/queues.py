"""Queues: what the broker says of those that are there."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from amqp.exceptions import AMQPError, NotFound
from celery import Celery
from kombu import Connection
from kombu.exceptions import OperationalError

from handoffs.config.forks import after_fork, leave
from handoffs.contracts.text import printable
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.messaging.lines import connected, cut, opened, wait_at_most


class Depth(NamedTuple):
    """How many messages are ``ready`` in a queue, and how many ``consumers`` it has."""

    ready: int
    consumers: int


_WITHIN = 5.0  # seconds


def depths(app: Celery, queues: Iterable[str], *, cause: str, consequence: str) -> dict[str, Depth]:
    """The depth of each queue; nothing of one that does not exist.

    Raises :class:`~handoffs.coordinator.errors.ServerError` where the broker does not answer, for that ``cause`` and with that
    ``consequence``.
    """
    try:
        with opened(app, _WITHIN, reading=True) as connection:
            return dict(depths_on(connection, queues))
    except (OperationalError, OSError, AMQPError) as error:
        raise ServerError(
            f"{cause}: {type(error).__name__}: {printable(error, 200)}",
            consequence,
            "check COORDINATOR_BROKER_URL, and that the server is up",
        ) from error


def depths_on(connection: Connection, queues: Iterable[str]) -> Iterator[tuple[str, Depth]]:
    """Each queue that exists, with its depth, asked of the broker one by one."""
    channel = connection.channel()
    for queue in queues:
        try:
            _, ready, consumers = channel.queue_declare(queue=queue, passive=True)
        except NotFound:  # the broker has closed the channel
            channel = connection.channel()
        else:
            yield queue, Depth(int(ready), int(consumers))
    channel.close()


class QueueWatch:
    """Asks again and again how deep queues are, over one connection that it keeps. Safe for threads, and after a fork."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._connection: Connection | None = None
        self._renew()

    def _renew(self) -> None:
        """A parent's connection stays with the parent."""
        leave(self._connection)
        self._connection, self._lock = None, threading.Lock()
        after_fork(self, QueueWatch._renew)

    def depths(self, queues: Iterable[str], seconds: float) -> dict[str, Depth]:
        """The depth of each queue, asked for ``seconds`` at most; nothing of one that does not exist.

        Raises :class:`~handoffs.coordinator.errors.ServerError` where the broker does not answer.
        """
        names, until = list(queues), time.monotonic() + seconds
        if not self._lock.acquire(timeout=seconds):
            raise _unanswered(TimeoutError("it does not answer another thread"))
        try:
            if self._connection is not None:
                try:
                    return self._asked(self._connection, names, until)
                except (OperationalError, OSError, AMQPError):  # it may have ended long ago
                    self._cut()
            self._connection = connected(self._app, max(until - time.monotonic(), 0.01), reading=True)
            return self._asked(self._connection, names, until)
        except (OperationalError, OSError, AMQPError) as error:
            self._cut()
            raise _unanswered(error) from error
        finally:
            self._lock.release()

    def close(self) -> None:
        """End the connection, without a word to a broker that may not listen."""
        self._cut()

    def _asked(self, connection: Connection, names: list[str], until: float) -> dict[str, Depth]:
        wait_at_most(connection, max(until - time.monotonic(), 0.01))
        return dict(depths_on(connection, names))

    def _cut(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            cut(connection)


def _unanswered(error: Exception) -> ServerError:
    return ServerError(
        f"the broker cannot be asked for its queues: {type(error).__name__}: {printable(error, 200)}",
        "how many messages wait is not known",
        "check COORDINATOR_BROKER_URL, and that the server is up",
    )
