"""Sender: the one place where what comes next becomes messages and is published."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from handoffs.coordinator.dispatch.outgoing import Batches, Outgoing, hand_over
from handoffs.coordinator.dispatch.requests import Asking, Publish
from handoffs.coordinator.messaging.envelopes import Sending, envelope_for
from handoffs.coordinator.messaging.message import Message, message

Sent = tuple[Message, timedelta]
"""A message, and after what wait it comes."""


def send(batches: Batches, sending: Sending, *, declare: bool = False) -> Asking[None]:
    """Ask for what routing asks, and for its batches as messages, each with the broker before the next is made; with ``declare``
    the queues of their agents first. Doing it again gives the same messages, and they count once."""

    def take(outgoing: tuple[Outgoing, ...]) -> Asking[None]:
        agents = dict.fromkeys(out.send.agent for out in outgoing) if declare else ()
        return publish(written(outgoing, sending), declare=agents)

    yield from hand_over(batches, take)


def publish(sent: Iterable[Sent], *, declare: Iterable[str] = ()) -> Asking[None]:
    """Ask for messages to be published, each after its wait: those of one wait together, in the order in which the waits first
    come."""
    waits: dict[timedelta, list[Message]] = {}
    for one, wait in sent:
        waits.setdefault(wait, []).append(one)
    agents = tuple(declare)
    for wait, messages in waits.items():
        yield Publish(tuple(messages), wait or None, declare=agents)
        agents = ()  # they are there by now


def publish_later(message: Message, delay: timedelta) -> Asking[None]:
    """Ask for one message to be published after ``delay``, or up to half as long again."""
    yield Publish((message,), delay, exact=False)


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
