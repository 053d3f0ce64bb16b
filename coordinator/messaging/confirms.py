"""Pipeline: several messages on their way to the broker at once, confirmed together."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable
from typing import Any, Generic, NamedTuple, TypeVar

from amqp.exceptions import FrameSyntaxError

from handoffs.coordinator.messaging.message import Message

T = TypeVar("T")

_MOMENT = 0.001  # seconds


_MALFORMED = (FrameSyntaxError, struct.error, ValueError, TypeError, OverflowError)
"""What the client raises for what it cannot write, and sometimes where a connection breaks."""


class Unwritable(Exception):
    """AMQP has no form for something in a message."""


class Parcel(NamedTuple):
    """A message, and where it goes."""

    exchange: str
    routing_key: str
    message: Message


def _octets(message: Message) -> bytes:
    try:
        return message.body.encode()
    except UnicodeEncodeError as error:
        raise Unwritable("its body holds a lone surrogate") from error


def _check_writable(prepared: Any) -> None:
    try:
        prepared._serialize_properties()
    except _MALFORMED as error:
        raise Unwritable(f"its headers or its id: {str(error)[:200]}") from error


class Confirms(Generic[T]):
    """A channel of its own on a connection to RabbitMQ, in confirm mode, of which it counts what it sends: whose each message is that
    the broker has not answered for yet, and what it has answered.

    For one thread at a time. After an error it is of no use any more: what it had sent may be confirmed or not.
    """

    def __init__(self, connection: Any) -> None:
        self.blocked = False
        """Whether the broker has an alarm, and takes no messages."""
        self.waiting: dict[int, T] = {}
        connection.on_blocked, connection.on_unblocked = self._on_blocked, self._on_unblocked
        self._channel = connection.channel()
        self._channel.confirm_select()
        self._channel.events["basic_ack"].add(self._acked)
        self._channel.events["basic_nack"].add(self._nacked)
        self._sent = 0
        self._answers: list[tuple[T, bool]] = []

    def post(self, parcel: Parcel, owner: T) -> None:
        """Send a message, and wait for nothing. Raises :class:`Unwritable`, and what the connection raises."""
        self._sent += 1
        self.waiting[self._sent] = owner
        self._publish(parcel)

    def answers(self) -> list[tuple[T, bool]]:
        """What has been answered since it was asked last: for each message its owner, and whether the broker has taken it."""
        answers, self._answers = self._answers, []
        return answers

    def _publish(self, parcel: Parcel) -> None:
        exchange, routing_key, message = parcel
        prepared = self._channel.prepare_message(
            _octets(message),
            content_type="application/json",
            content_encoding="utf-8",
            headers=message.headers,
            properties={"correlation_id": message.id, "message_id": message.id, "delivery_mode": 2},
        )
        # the channel's own basic_publish, that of its class waits for no confirmation
        try:
            type(self._channel).basic_publish(
                self._channel, prepared, exchange=exchange, routing_key=routing_key
            )
        except _MALFORMED:
            _check_writable(prepared)  # or it was the connection
            raise

    def _on_blocked(self, *_: object) -> None:
        self.blocked = True

    def _on_unblocked(self, *_: object) -> None:
        self.blocked = False

    def _acked(self, number: int, multiple: bool) -> None:
        self._answered(number, multiple=multiple, taken=True)

    def _nacked(self, number: int, multiple: bool) -> None:
        self._answered(number, multiple=multiple, taken=False)

    def _answered(self, number: int, *, multiple: bool, taken: bool) -> None:
        """What the broker answers for: one message, or all up to it."""
        numbers = [waiting for waiting in self.waiting if waiting <= number] if multiple else [number]
        self._answers += [
            (self.waiting.pop(waiting), taken) for waiting in numbers if waiting in self.waiting
        ]


class Pipeline:
    """Sends several messages at once, and waits for all of them. For one thread at a time; after an error it is of no use any more."""

    together = True

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._confirms: Confirms[Parcel] = Confirms(connection)

    def send(self, parcels: Iterable[Parcel], within: float) -> list[Parcel]:
        """Send all, and return when the broker has answered for each: those that it has no room for.

        Raises TimeoutError where an answer takes more than ``within`` seconds, and what the connection raises.
        """
        confirms, until = self._confirms, time.monotonic() + within
        try:
            for parcel in parcels:
                confirms.post(parcel, parcel)
            while confirms.waiting:
                self._connection.drain_events(timeout=max(until - time.monotonic(), _MOMENT))
                if confirms.waiting and time.monotonic() > until:
                    raise TimeoutError
        except TimeoutError:
            raise TimeoutError(self._silence()) from None
        return [parcel for parcel, taken in confirms.answers() if not taken]

    def _silence(self) -> str:
        if self._confirms.blocked:
            return "it has an alarm (too little memory or disk) and takes no messages"
        return "it does not confirm what it was sent"
