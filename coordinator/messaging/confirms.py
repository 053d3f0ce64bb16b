"""Pipeline: several messages on their way to the broker at once, confirmed together."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from handoffs.coordinator.messaging.message import Message


class Parcel(NamedTuple):
    """A message, and where it goes."""

    exchange: str
    routing_key: str
    message: Message


class Pipeline:
    """A channel of its own on a connection to RabbitMQ, in confirm mode, of which it counts what it sends.

    For one thread at a time. After an error it is of no use any more: what it had sent may be confirmed or not.
    """

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self._channel = connection.channel()
        self._channel.confirm_select()
        self._channel.events["basic_ack"].add(self._acked)
        self._channel.events["basic_nack"].add(self._nacked)
        self._sent = 0
        self._waiting: dict[int, Parcel] = {}
        self._refused: list[Parcel] = []

    @staticmethod
    def possible(channel: Any) -> bool:
        """Whether a transport's channel has confirmations to wait for."""
        return hasattr(channel, "confirm_select")

    def send(self, parcels: Iterable[Parcel], within: float) -> list[Parcel]:
        """Send all, and return when the broker has answered for each: those that it has no room for.

        Raises TimeoutError where an answer takes more than ``within`` seconds, and what the connection raises.
        """
        self._refused = []
        for parcel in parcels:
            self._publish(parcel)
        until = time.monotonic() + within
        while self._waiting:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError("the broker does not confirm")
            self.connection.drain_events(timeout=left)
        return self._refused

    def _publish(self, parcel: Parcel) -> None:
        exchange, routing_key, message = parcel
        prepared = self._channel.prepare_message(
            message.body.encode(),
            content_type="application/json",
            content_encoding="utf-8",
            headers=message.headers,
            properties={"correlation_id": message.id, "message_id": message.id, "delivery_mode": 2},
        )
        self._sent += 1
        self._waiting[self._sent] = parcel
        # the channel's own basic_publish, that of its class waits for no confirmation
        type(self._channel).basic_publish(self._channel, prepared, exchange=exchange, routing_key=routing_key)

    def _acked(self, number: int, multiple: bool) -> None:
        self._answered(number, multiple=multiple)

    def _nacked(self, number: int, multiple: bool) -> None:
        self._refused += self._answered(number, multiple=multiple)

    def _answered(self, number: int, *, multiple: bool) -> list[Parcel]:
        """What the broker answers for: one message, or all up to it."""
        numbers = [waiting for waiting in self._waiting if waiting <= number] if multiple else [number]
        return [self._waiting.pop(waiting) for waiting in numbers if waiting in self._waiting]
