"""Queues: what the broker says of those that are there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from amqp.exceptions import AMQPError, NotFound
from celery import Celery
from kombu import Connection
from kombu.exceptions import OperationalError

from handoffs.contracts.text import printable
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.messaging.lines import opened


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
