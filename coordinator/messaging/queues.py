"""Queues: what the broker says of those that are there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from amqp.exceptions import AMQPError, NotFound
from celery import Celery
from kombu.exceptions import OperationalError

from handoffs.contracts.text import printable
from handoffs.coordinator.errors import ServerError


class Depth(NamedTuple):
    """How many messages are ``ready`` in a queue, and how many ``consumers`` it has."""

    ready: int
    consumers: int


def depths(app: Celery, queues: Iterable[str], *, cause: str, consequence: str) -> dict[str, Depth]:
    """The depth of each queue; nothing of one that does not exist.

    Raises :class:`~handoffs.coordinator.errors.ServerError` where the broker does not answer, for that ``cause`` and with that
    ``consequence``.
    """
    found: dict[str, Depth] = {}
    try:
        with app.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0.2, timeout=5)
            channel = connection.channel()
            for queue in queues:
                try:
                    _, ready, consumers = channel.queue_declare(queue=queue, passive=True)
                    found[queue] = Depth(int(ready), int(consumers))
                except NotFound:  # the broker has closed the channel
                    channel = connection.channel()
    except (OperationalError, OSError, AMQPError) as error:
        raise ServerError(
            f"{cause}: {type(error).__name__}: {printable(error, 200)}",
            consequence,
            "check COORDINATOR_BROKER_URL, and that the server is up",
        ) from error
    return found
