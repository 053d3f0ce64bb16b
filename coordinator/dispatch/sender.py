"""Sender: the one place where what comes next becomes messages and is published."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from handoffs.coordinator.dispatch.routing import Batches, Outgoing
from handoffs.coordinator.messaging.envelopes import Sending, envelope_for
from handoffs.coordinator.messaging.message import Message, message
from handoffs.coordinator.messaging.publisher import Publisher

Sent = tuple[Message, timedelta]
"""A message, and after what wait it comes."""


class Sender:
    """Publishes what routing finds. Doing it again gives the same messages, and they count once. Safe for threads."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    def send(self, batches: Batches, sending: Sending, *, declare: bool = False) -> None:
        """Publish batch after batch, confirmed; with ``declare`` the queues of the agents first.

        Raises :class:`~handoffs.coordinator.errors.ServerError` where a server fails: what was sent before is with the broker.
        """
        for outgoing in batches:
            if declare:
                self._publisher.declare(dict.fromkeys(out.send.agent for out in outgoing))
            self.publish(written(outgoing, sending))

    def publish(self, sent: Iterable[Sent]) -> None:
        """Publish messages, each after its wait: those of one wait together, in the order in which the waits first come.

        Raises :class:`~handoffs.coordinator.errors.ServerError`.
        """
        waits: dict[timedelta, list[Message]] = {}
        for one, wait in sent:
            waits.setdefault(wait, []).append(one)
        for wait, messages in waits.items():
            self._publisher.publish(messages, delay=wait or None, exact=True)


def written(outgoing: Iterable[Outgoing], sending: Sending) -> list[Sent]:
    """What is to be sent, as messages."""
    return [(_message(out, sending), out.wait) for out in outgoing]


def _message(out: Outgoing, sending: Sending) -> Message:
    step = out.send.step
    key = sending.keys.get(step, sending.key if out.own else None)
    envelope = envelope_for(
        step, out.written, sending, key=key, join_schemas=out.parts, fallback=out.fallback
    )
    return message(out.send, envelope)
