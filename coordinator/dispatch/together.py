"""Together: performs what several ask, at once. What all of them ask of Redis leaves in one round trip, their messages side by side."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from datetime import timedelta
from typing import Any, Generic, TypeVar

from handoffs.coordinator.dispatch.driver import Driver
from handoffs.coordinator.dispatch.requests import Asking, Invoke, Publish, Request
from handoffs.coordinator.errors import QueueFull, ServerError, passes
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.store import scripts
from handoffs.coordinator.store.asking import Call, Command, RoundTrip

T = TypeVar("T")


class Together(Generic[T]):
    """Several that ask. Each comes as far as it can before any of their messages is sent; what fails for one of them, fails for none
    of the others. In the order in which they were added Redis is asked and messages are sent. For one thread."""

    def __init__(self, driver: Driver) -> None:
        """``driver`` would perform what one of them asks alone."""
        self._driver = driver
        self._askings: list[Asking[T]] = []
        self._requests: dict[int, Request] = {}
        self._found: dict[int, T | Exception] = {}
        self.octets = 0
        """How much the scripts are given that those ask for first which were added."""

    def __len__(self) -> int:
        return len(self._askings)

    @property
    def last(self) -> T | Exception | None:
        """What the one that was added last has found, or the error that it ended with; None where it still asks."""
        return self._found.get(len(self._askings) - 1)

    def add(self, asking: Asking[T]) -> None:
        """Add one that asks, and have it come to its first request."""
        self._askings.append(asking)
        self._go_on(len(self._askings) - 1, None)
        request = self._requests.get(len(self._askings) - 1)
        if isinstance(request, RoundTrip):
            self.octets += sum(map(_octets, request.calls))

    def perform(self) -> list[T | Exception]:
        """Perform all that is asked; gives what each has found, or the error that it ended with, in the order in which they were
        added."""
        while self._requests:
            requests = sorted(self._requests.items())
            if trips := {number: one for number, one in requests if isinstance(one, RoundTrip)}:
                self._ask(trips)
            elif calls := {number: one for number, one in requests if isinstance(one, Invoke)}:
                for number, call in calls.items():
                    self._answer(number, self._invoked(call))
            else:
                self._send({number: one for number, one in requests if isinstance(one, Publish)})
        return [self._found[number] for number in range(len(self._askings))]

    def _ask(self, trips: Mapping[int, RoundTrip]) -> None:
        """One round trip for all: Redis answers each for itself."""
        found = scripts.run_together(self._driver.redis, [trip.calls for trip in trips.values()])
        for number, answer in zip(trips, found, strict=True):
            self._answer(number, answer)

    def _send(self, publishes: Mapping[int, Publish]) -> None:
        ready: dict[tuple[timedelta | None, bool], dict[int, Publish]] = {}
        for number, publish in publishes.items():
            if error := self._unfit(publish):
                self._answer(number, error)
            else:
                ready.setdefault((publish.delay, publish.exact), {})[number] = publish
        for group in ready.values():
            if self._driver.publisher.overlaps(
                [message for one in group.values() for message in one.messages]
            ):
                self._send_together(group)
            else:
                self._send_in_turn(group)

    def _send_together(self, group: Mapping[int, Publish]) -> None:
        try:
            self._publish(*group.values())
        except ServerError as error:
            if passes(error) and not isinstance(error, QueueFull):
                for number in group:
                    self._answer(number, _another(error))
            else:  # for one of them; what is there already counts once
                self._send_in_turn(group)
            return
        for number in group:
            self._answer(number, None)

    def _send_in_turn(self, group: Mapping[int, Publish]) -> None:
        """Each by itself. Where the broker is away or has no room, none after it waits for that as well."""
        away: ServerError | None = None
        for number, publish in group.items():
            error = _another(away) if away is not None else None
            if error is None:
                try:
                    self._publish(publish)
                except ServerError as raised:
                    error, away = raised, raised if passes(raised) else None
            self._answer(number, error)

    def _publish(self, *publishes: Publish) -> None:
        """Publish the messages of several, each once: its id says what it is."""
        messages: dict[tuple[str, str], Message] = {}
        for publish in publishes:
            for message in publish.messages:
                messages.setdefault((message.id, message.agent), message)
        if agents := dict.fromkeys(agent for publish in publishes for agent in publish.declare):
            self._driver.publisher.declare(agents)
        first = publishes[0]
        self._driver.publisher.publish(list(messages.values()), delay=first.delay, exact=first.exact)

    def _unfit(self, publish: Publish) -> Exception | None:
        """Why the messages cannot be read where they go; None where they can, or are not new."""
        try:
            self._driver.check(publish)
        except Exception as error:  # noqa: BLE001 - it is dealt with by the one that asks
            return error
        return None

    @staticmethod
    def _invoked(call: Invoke) -> Any:
        try:
            return call.function()
        except Exception as error:  # noqa: BLE001 - it is dealt with by the one that asks
            return error

    def _answer(self, number: int, answer: Any) -> None:
        """Give one its answer, or throw the error into it that it is."""
        del self._requests[number]
        if isinstance(answer, Exception):
            self._go_on(number, None, answer)
        else:
            self._go_on(number, answer)

    def _go_on(self, number: int, answer: Any, error: Exception | None = None) -> None:
        asking = self._askings[number]
        try:
            request = asking.send(answer) if error is None else asking.throw(error)
        except StopIteration as end:
            self._found[number] = end.value
        except Exception as raised:  # noqa: BLE001 - it is given to whoever wants the others as well
            self._found[number] = raised
        else:
            self._requests[number] = request


def _another(error: ServerError) -> ServerError:
    """The same error for one more: each is raised with a traceback of its own."""
    again = copy(error)
    again.__cause__ = error.__cause__
    return again


def _octets(call: Call | Command) -> int:
    given = call.arguments.values() if isinstance(call, Call) else ()
    return sum(len(value) for value in given if isinstance(value, str))
