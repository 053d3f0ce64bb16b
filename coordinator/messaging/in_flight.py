"""In flight: messages that are on their way to RabbitMQ, of which none is waited for alone."""

from __future__ import annotations

import select
from collections.abc import Iterable
from typing import Any, Generic, TypeAlias, TypeVar

import amqp
from celery import Celery
from kombu import Connection

from handoffs.coordinator.messaging.confirms import Confirms, Parcel
from handoffs.coordinator.messaging.lines import Direct, connected, cut
from handoffs.coordinator.messaging.read_ahead import has_frame

T = TypeVar("T")


class InFlight(Generic[T]):
    """A channel in confirm mode on a connection of its own. What is posted is not waited for: :meth:`answers` tells what the broker
    has answered since.

    For one thread. What the broker's client raises leaves its methods; after that it is of no use any more, and what was posted may
    be with the broker or not.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._bare: Any = connection.connection
        self._confirms: Confirms[T] = Confirms(self._bare)
        self._poll = select.poll()
        self._poll.register(self._bare.sock.fileno(), select.POLLIN)

    @property
    def blocked(self) -> bool:
        """Whether the broker has an alarm, and takes no messages."""
        return self._confirms.blocked

    def fileno(self) -> int | None:
        """The socket on which the broker answers."""
        number: int = self._bare.sock.fileno()
        return number

    def post(self, parcels: Iterable[Parcel], owner: T) -> None:
        """Send messages of an owner."""
        for parcel in parcels:
            self._confirms.post(parcel, owner)

    def answers(self) -> list[tuple[T, bool]]:
        """What has been answered since: for each message its owner, and whether the broker has taken it. Returns at once."""
        while has_frame(self._bare) or self._poll.poll(0):
            self._bare.drain_events()
        return self._confirms.answers()

    def cut(self) -> None:
        """End the connection without a word."""
        cut(self._connection)


class AnsweredAtOnce(Generic[T]):
    """The same with a broker in this process: whatever is posted is answered then and there."""

    blocked = False

    def __init__(self, connection: Connection, seconds: float) -> None:
        self._connection = connection
        self._direct = Direct(connection)
        self._seconds = seconds
        self._answers: list[tuple[T, bool]] = []

    def fileno(self) -> int | None:
        """There is no socket."""
        return None

    def post(self, parcels: Iterable[Parcel], owner: T) -> None:
        """Send messages of an owner."""
        for parcel in parcels:
            self._answers.append((owner, not self._direct.send([parcel], self._seconds)))

    def answers(self) -> list[tuple[T, bool]]:
        """What has been answered since: for each message its owner, and whether the broker has taken it."""
        answers, self._answers = self._answers, []
        return answers

    def cut(self) -> None:
        """End the connection."""
        cut(self._connection)


Line: TypeAlias = InFlight[T] | AnsweredAtOnce[T]


def line(app: Celery, seconds: float) -> Line[Any]:
    """A connection for what is to be in flight; ``seconds`` is how long the broker may take for an answer.

    Raises :class:`TimeoutError`, and what the broker's client raises where it cannot be reached.
    """
    connection = connected(app, seconds)
    bare = connection.connection
    return InFlight(connection) if isinstance(bare, amqp.Connection) else AnsweredAtOnce(connection, seconds)
