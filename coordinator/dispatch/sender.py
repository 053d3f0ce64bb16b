"""Sender: the one place where what comes next becomes messages and is published."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from handoffs.config.delays import LONGEST_DELAY, is_usual, stage
from handoffs.contracts import strictjson
from handoffs.coordinator.continuation.moves import Arrival, Go, Hold, Move
from handoffs.coordinator.continuation.signature import TIMER
from handoffs.coordinator.dispatch.outgoing import Batches, Outgoing, hand_over
from handoffs.coordinator.dispatch.requests import Asking, Publish
from handoffs.coordinator.dispatch.route import Route, schema_of
from handoffs.coordinator.messaging.envelopes import Sending, Written, envelope_for
from handoffs.coordinator.messaging.far_off import far_off
from handoffs.coordinator.messaging.message import Message, message
from handoffs.coordinator.messaging.room import Room
from handoffs.coordinator.messaging.spans import linked
from handoffs.coordinator.store import clock
from handoffs.coordinator.store.asking import RoundTrip

_ANY_KEY = "handoff.clock"
"""It is asked what time it is, and nothing is there."""

Sent = tuple[Message, timedelta]
"""A message, and after what wait it comes."""


def send(batches: Batches, sending: Sending, *, declare: bool = False) -> Asking[None]:
    """Ask for what routing asks, and for its batches as messages, each with the broker before the next is made; with ``declare``
    the queues of their agents first. Doing it again gives the same messages, and they count once."""

    def take(outgoing: tuple[Outgoing, ...]) -> Asking[None]:
        agents = dict.fromkeys(out.send.agent for out in outgoing) if declare else ()
        unmeasured = any(out.send.step not in sending.made for out in outgoing)
        return publish(written(outgoing, sending), declare=agents, new=unmeasured)

    yield from hand_over(batches, take)


def publish(sent: Iterable[Sent], *, declare: Iterable[str] = (), new: bool = True) -> Asking[None]:
    """Ask for messages to be published, each after its wait: those of one wait together, in the order in which the waits first
    come. Timers are first: a budget begins though the queue of its step has no room. They are never late, so a budget of a
    length of its own is spent in stages. What is not ``new`` was accepted before: if nobody can read it by now, it is to be
    parked where it comes."""
    waits: dict[tuple[bool, timedelta], list[Message]] = {}
    for one, wait in sorted(sent, key=lambda one: one[0].agent != TIMER):
        waits.setdefault((one.agent == TIMER, wait), []).append(one)
    agents = tuple(declare)
    for (timers, wait), messages in waits.items():
        if wait > LONGEST_DELAY or (timers and not is_usual(wait)):
            yield from _publish_far_off(messages, wait, agents, new=new)
        else:
            yield Publish(tuple(messages), wait or None, declare=agents, new=new)
        agents = ()  # they are there by now


def _publish_far_off(
    messages: Iterable[Message], wait: timedelta, declare: tuple[str, ...], *, new: bool
) -> Asking[None]:
    """Ask for messages to be published into the first stage of their wait."""
    [now] = yield RoundTrip.of(clock.asked(_ANY_KEY))
    waiting = tuple(far_off(message, wait, int(now)) for message in messages)
    yield Publish(waiting, stage(wait), declare=declare, new=new)


def publish_later(message: Message, delay: timedelta) -> Asking[None]:
    """Ask for one message to be published after ``delay``, or up to half as long again."""
    yield Publish((message,), delay, exact=False, new=False)


def written(outgoing: Iterable[Outgoing], sending: Sending) -> list[Sent]:
    """What is to be sent, as messages."""
    return [(sending.made.get(out.send.step) or _message(out, sending), out.wait) for out in outgoing]


def prepared(route: Route, sending: Sending, room: Room) -> tuple[Route, Sending]:
    """The same with the messages that the route sends at once, and with what room its joins have then: what cannot be passed on is
    known before anything is recorded. Raises what :func:`checked` raises."""
    route = route.beside(sending.baggage)
    return route, replace(sending, made=checked(route, sending, room))


def checked(route: Route, sending: Sending, room: Room) -> dict[str, Message]:
    """The messages that a route sends at once, by step, before anything is recorded: each is one that can be read where it goes.

    Raises :class:`~handoffs.contracts.errors.TooLarge` where one is not, where an item that waits for its turn will not be, or
    where a join would be nested too deep with what arrives there.
    """
    found: dict[str, Message] = {}
    arriving: defaultdict[str, list[str]] = defaultdict(list)
    for move in route.moves:
        if isinstance(move, Go):
            out = Outgoing.of(move, route.sent[move.send.step])
            message = sending.made.get(move.send.step) or _message(out, sending)
            room.check(message)
            found[move.send.step] = message
        elif isinstance(move, Arrival) and route.most.octets:
            room.check_part(route.sent[move.place].data, move.joins)
            arriving[move.joins[0].path].append(route.sent[move.place].data)
        elif isinstance(move, Hold):
            check_held(move, route.moves, sending, room)
    for parts in arriving.values():  # several, where branches have nothing to do
        room.check_parts(parts, route.most.octets)
    return found


def check_held(hold: Hold, moves: Iterable[Move], sending: Sending, room: Room) -> None:
    """Raise where the longest of the items that are kept until their turn will not be readable in the place of one that is sent."""
    beside = next(
        (go for go in moves if isinstance(go, Go) and go.send.step.startswith(f"{hold.path}.")), None
    )
    longest = max(map(strictjson.dumps, hold.items.values()), key=len, default="")
    if beside is not None and longest:
        item = Written(schema_of(beside), longest)
        room.check(_message(Outgoing.of(beside, item), sending))


def _message(out: Outgoing, sending: Sending) -> Message:
    step = out.send.step
    key = out.key or sending.keys.get(step, sending.key if out.own else None)
    envelope = envelope_for(
        step, out.written, sending, key=key, join_schemas=out.parts, fallback=out.fallback
    )
    return linked(message(out.send, envelope), out.links)
