"""Publisher: hands messages to the broker, and returns when the broker has confirmed them."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from typing import Any, Protocol

from amqp.exceptions import (
    ChannelError,
    ContentTooLarge,
    FrameError,
    FrameSyntaxError,
    MessageNacked,
    PreconditionFailed,
)
from celery import Celery
from kombu import Queue
from kombu.exceptions import OperationalError

from handoffs.config.forks import after_fork
from handoffs.config.intake import Intake
from handoffs.config.topology import Topology
from handoffs.contracts.text import printable
from handoffs.contracts.topic import matches
from handoffs.coordinator.continuation.signature import EVENT
from handoffs.coordinator.errors import QueueFull, Refused, ServerError
from handoffs.coordinator.messaging.confirms import Parcel, Unwritable
from handoffs.coordinator.messaging.in_flight import Line, line
from handoffs.coordinator.messaging.lines import Lines, opened
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.messaging.queues import depths_on
from handoffs.coordinator.payloads.payloads import Payloads

_REFUSALS = (Unwritable, PreconditionFailed, ContentTooLarge, FrameError, FrameSyntaxError)
"""What is raised where a message is at fault, and neither the broker nor the way to it: AMQP has no form for something in it, it is
larger than the broker takes, or its headers are more than a frame holds."""
_PAUSES = (0.1, 0.4, 0.7, 1.0, 1.3)
"""Seconds between tries to reach the broker."""
_ROOM_WITHIN = 3.0  # seconds, for which a full queue is waited for
_ROOM_PAUSE = 0.1  # seconds; what has room again may have none a moment later
_LONGEST_PAUSE = 0.8  # seconds
_TOGETHER = 100  # messages
_REMEMBERED = 10_000  # events that some have, and others have no room for

Hears = Callable[[str, str], bool | None]
"""Whether an agent hears the events of a contract; None where nothing is known of it."""


class Publisher(Protocol):
    """Where messages go. What is large in them is put where :attr:`payloads` has it."""

    payloads: Payloads

    def publish(
        self, messages: Iterable[Message], *, delay: timedelta | None = None, exact: bool = False
    ) -> None:
        """Publish, after ``delay`` if given: at least that, and at most half as long again, or a sixth where it is to be
        ``exact``; each length needs a queue, so there are few. Returns when all are safe; raises
        :class:`~handoffs.coordinator.errors.QueueFull` where a queue with a bound has no room for long,
        :class:`~handoffs.coordinator.errors.Refused` where the broker is there and does not take a message for what it is, and
        :class:`ServerError` otherwise.
        """

    def overlaps(self, messages: Iterable[Message]) -> bool:
        """Whether messages may be on their way at once. Otherwise each that fails for itself is to be published by itself: one may
        have no room where others have, or is run at once."""

    def declare(self, agents: Iterable[str], *, again: bool = False) -> None:
        """Make sure that the agents' queues exist, so that messages wait for workers that are not started yet.

        What was declared before is taken to be there still, unless ``again`` says to look.
        """

    def subscribe(self, agent: str, intake: Intake) -> None:
        """Declare the queue of an agent that hears events, so that they come there, whether it works or not."""

    def impatient(self) -> Publisher:
        """The same, that waits for no room in a full queue: for who has others to serve. For several messages it waits all the
        same: who gave up at once would send all of them once more, and the queue would fill with what it has had."""

    def know(self, agent: str, patterns: Iterable[str]) -> None:
        """Note which events an agent hears by the code that is loaded here."""

    def has_waiting(self, agents: Iterable[str]) -> bool:
        """Whether a message waits in the queue of one of ``agents``, or in one of the coordinator process', that nobody has in
        hand."""

    def probe(self, within: float) -> None:
        """Raise :class:`ServerError` where the broker takes no messages, found out in ``within`` seconds at most."""

    def close(self) -> None:
        """Give connections back. One that does not answer is cut."""


class BrokerPublisher:
    """Publishes to RabbitMQ, confirmed, and waits for it no longer than ``timeout``. Safe for threads, and after a fork."""

    def __init__(
        self,
        app: Celery,
        topology: Topology,
        timeout: timedelta = timedelta(seconds=10),
        hears: Hears = lambda _agent, _event: None,
    ) -> None:
        self._app = app
        self._topology = topology
        self._timeout = timeout.total_seconds()
        self._hears = hears
        self._waits_for_one = True
        self.payloads = Payloads()
        self._known: dict[str, tuple[str, ...]] = {}
        self._declared: set[str] = set()
        self._told: OrderedDict[str, list[Parcel]] = OrderedDict()
        self._lines = Lines(app)
        # names of what is made anew each time that it is asked for
        self._agents, self._events = str(topology.agents.name), str(topology.events.name)
        self._own = {queue.name for queue in self._own_queues()}
        self._renew()

    def impatient(self) -> BrokerPublisher:
        """The same, on the same connections, that waits for no room for one message."""
        hasty = copy(self)
        hasty._waits_for_one = False
        hasty._renew()
        return hasty

    def know(self, agent: str, patterns: Iterable[str]) -> None:
        """Note which events an agent hears by the code that is loaded here, for where nobody has announced it."""
        self._known[agent] = tuple(patterns)

    def _renew(self) -> None:
        self._lock = threading.Lock()
        after_fork(self, BrokerPublisher._renew)

    def publish(
        self, messages: Iterable[Message], *, delay: timedelta | None = None, exact: bool = False
    ) -> None:
        self.declare(())
        try:
            parcels = [self._parcel(message, self._exchange(message, delay, exact)) for message in messages]
            room_within = _ROOM_WITHIN if len(parcels) > 1 or self._waits_for_one else 0.0
            if self.overlaps(parcel.message for parcel in parcels):
                for first in range(0, len(parcels), _TOGETHER):
                    self._send(parcels[first : first + _TOGETHER], room_within)
            else:
                for parcel in parcels:
                    tell = self._tell if parcel.message.event and not delay else self._send_one
                    tell(parcel, room_within)
        except _REFUSALS as error:
            raise _not_taken(error) from error
        except self._errors as error:
            self._declared.clear()  # perhaps the broker has lost what was declared
            raise _unusable(error) from error

    def overlaps(self, messages: Iterable[Message]) -> bool:
        """Not where one may come to a queue with a bound: more would get in than it has room for, and of several events for an agent
        that hears them in order, one that was refused would be the last."""
        limits = self._topology.limits
        return not limits or not any(message.event or message.agent in limits for message in messages)

    def declare(self, agents: Iterable[str], *, again: bool = False) -> None:
        name = self._topology.queue_name
        wanted = [
            agent for agent in agents if agent != EVENT and (again or name(agent) not in self._declared)
        ]
        own = again or not self._own <= self._declared
        if wanted or own:
            missing = [*(self._own_queues() if own else ()), *map(self._topology.queue, wanted)]
            self._declare([*missing, self._topology.unroutable_letters])

    def _own_queues(self) -> list[Queue]:
        """Those of the coordinator process."""
        return [self._topology.dead_letters, self._topology.unheard_events, self._topology.timers]

    def at_once(self, messages: Iterable[Message], agents: Iterable[str] = ()) -> list[Parcel] | None:
        """Messages as parcels that may be on their way together with those of others; None where one is an event or may come to a
        queue with a bound, or where a queue that is to be there, such as those of ``agents``, was not declared yet: these are for
        :meth:`publish`."""
        if not self._declared >= self._own.union(map(self._topology.queue_name, agents)):
            return None
        messages = list(messages)
        if any(message.event for message in messages) or not self.overlaps(messages):
            return None
        if any(self.payloads.concern(message.body) for message in messages):  # their place is waited for
            return None
        return [self._parcel(message, self._agents) for message in messages]

    def in_flight(self) -> Line[Any]:
        """A connection of its own for what may be on its way together. Raises :class:`ServerError`."""
        try:
            return line(self._app, self._timeout)
        except self._errors as error:
            raise _unusable(error) from error

    @property
    def timeout(self) -> float:
        """How long the broker may take for an answer, in seconds."""
        return self._timeout

    def subscribe(self, agent: str, intake: Intake) -> None:
        self._declare([self._topology.unheard_events, self._topology.queue(agent, intake)])

    def has_waiting(self, agents: Iterable[str]) -> bool:
        own = [self._topology.timers.name, self._topology.dead_letters.name]
        names = [*sorted(map(self._topology.queue_name, agents)), *own]
        try:
            with opened(self._app, self._timeout) as connection:
                return any(depth.ready for _, depth in depths_on(connection, names))
        except self._errors as error:
            raise _unusable(error) from error

    def probe(self, within: float) -> None:
        """Send a message for which there is no queue: the broker drops it, and confirms that."""
        nowhere = Parcel("", f"{self._topology.prefix}handoff.probe", Message("probe", "", {}, "[]"))
        try:
            until = time.monotonic() + within
            with self._lines.take(until) as line:
                line.send([nowhere], until - time.monotonic())
        except self._errors as error:
            raise _unusable(error) from error

    def close(self) -> None:
        self._lines.close()

    def _parcel(self, message: Message, exchange: str) -> Parcel:
        if self.payloads.concern(message.body):
            message = replace(message, body=self.payloads.lighten(message.body))
        return Parcel(exchange, message.event or self._topology.queue_name(message.agent), message)

    def _send_one(self, parcel: Parcel, room_within: float) -> None:
        self._send([parcel], room_within)

    def _tell(self, parcel: Parcel, room_within: float) -> None:
        """Send an event to all who hear it, once. Where some have no room, it is then sent to those alone: the others have it."""
        number = parcel.message.id
        left = self._told.get(number) or self._sent([parcel])
        if left == [parcel]:
            left = self._for_those_without_room(parcel)
            if left == [parcel]:
                self._send(left, room_within)
                return
            self._told[number] = left
            while len(self._told) > _REMEMBERED:
                self._told.popitem(last=False)
        for one in left:
            self._send([one], room_within)
        self._told.pop(number, None)

    def _for_those_without_room(self, parcel: Parcel) -> list[Parcel]:
        """An event that was refused, for each who may have refused it; as it is where that is not known."""
        hearing = {agent: self._is_heard(agent, parcel.message.event) for agent in self._topology.limits}
        unknown = [agent for agent, hears in hearing.items() if hears is None]
        if any(map(self._exists, unknown)):
            return [parcel]
        return [
            Parcel(self._agents, self._topology.queue_name(agent), parcel.message)
            for agent, hears in hearing.items()
            if hears
        ] or [parcel]

    def _is_heard(self, agent: str, event: str) -> bool | None:
        """Whether an agent hears an event, as it was announced, or else as the code says that is loaded here."""
        announced = self._hears(agent, event)
        if announced is None and agent in self._known:
            return any(matches(pattern, event) for pattern in self._known[agent])
        return announced

    def _exists(self, agent: str) -> bool:
        with opened(self._app, self._timeout) as connection:
            return any(depths_on(connection, [self._topology.queue_name(agent)]))

    def _send(self, parcels: list[Parcel], room_within: float) -> None:
        """Send messages, and wait a little where a queue is full."""
        deadline, pause = time.monotonic() + room_within, _ROOM_PAUSE
        while parcels := self._sent(parcels):
            if time.monotonic() >= deadline:
                raise MessageNacked
            time.sleep(pause)
            if any(parcel.exchange == self._events for parcel in parcels):
                pause = min(2 * pause, _LONGEST_PAUSE)  # each time, all others who hear it get it again

    def _sent(self, parcels: list[Parcel]) -> list[Parcel]:
        """Send messages; gives those back that the broker has no room for. After an error all are sent again on another
        connection: a message that comes twice counts once."""
        until = time.monotonic() + self._timeout
        for pause in (*_PAUSES, None):
            try:
                with self._lines.take(until) as line:
                    if line.together or len(parcels) == 1:
                        return line.send(parcels, until - time.monotonic())
                    return [
                        one for parcel in parcels for one in line.send([parcel], until - time.monotonic())
                    ]
            except _REFUSALS:
                raise  # the same message on another connection would be refused there as well
            except self._errors as error:
                self._lines.cut()
                if pause is None or isinstance(error, ChannelError) or time.monotonic() + pause > until:
                    raise
                time.sleep(pause)
        raise AssertionError

    def _exchange(self, message: Message, delay: timedelta | None, exact: bool) -> str:
        if not delay:
            return self._events if message.event else self._agents
        queue = self._topology.delay(delay, message.agent, exact=exact, event=message.event)
        if queue.name not in self._declared:
            self._declare([queue])
        name: str = queue.exchange.name
        return name

    def _declare(self, queues: list[Queue]) -> None:
        until = time.monotonic() + self._timeout
        if not self._lock.acquire(timeout=self._timeout):
            raise _unusable(TimeoutError("it does not answer another thread"))
        try:
            with opened(self._app, until - time.monotonic()) as connection:
                channel = connection.channel()
                self._topology.unroutable(channel).declare()
                self._topology.agents(channel).declare()
                self._topology.events(channel).declare()
                for queue in queues:
                    queue(channel).declare()
        except PreconditionFailed as error:
            raise _otherwise(error) from error
        except self._errors as error:
            raise _unusable(error) from error
        finally:
            self._lock.release()
        self._declared.update(queue.name for queue in queues)

    @cached_property
    def _errors(self) -> tuple[type[Exception], ...]:
        """What the transport may raise when the broker is gone, or refuses."""
        connection = self._app.connection_for_write()
        return (
            OperationalError,
            MessageNacked,
            OSError,
            *connection.connection_errors,
            *connection.channel_errors,
            *connection.recoverable_connection_errors,
        )


def _not_taken(error: Exception) -> Refused:
    return Refused(
        f"the broker does not take the message: {type(error).__name__}: {printable(error, 200)}",
        "it was not sent",
        "make it smaller, or what is in its headers such as AMQP has a form for",
    )


def _otherwise(error: PreconditionFailed) -> ServerError:
    """The broker says, for example: inequivalent arg 'x-delivery-limit' for queue 'a.b' in vhost '/': received ..."""
    return ServerError(
        f"the broker has a queue or an exchange with other arguments: {printable(str(error.reply_text), 300)}",
        "nothing was declared, and nothing it holds was touched",
        "set back the setting that was changed (COORDINATOR_DELIVERY_LIMIT), choose a COORDINATOR_NAMESPACE, or let it"
        " run empty and delete it: rabbitmqctl delete_queue NAME",
    )


def _unusable(error: Exception) -> ServerError:
    if isinstance(error, MessageNacked) or isinstance(error.__cause__, MessageNacked):
        return QueueFull(
            "the broker has no room for the message: the queue has a bound",
            "it is sent again a little later",
            "start more workers of that agent, or raise its bound (COORDINATOR_QUEUE_LIMITS)",
        )
    return ServerError(
        f"the broker did not take the message: {type(error).__name__}: {str(error)[:200]}",
        "nothing was lost: what was accepted is published again",
        "check COORDINATOR_BROKER_URL, and that the server is up, has no alarm and answers",
    )
