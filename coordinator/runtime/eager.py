"""Eager mode: every step runs at once in the caller, through the real message, envelope, task and desk."""

from __future__ import annotations

import heapq
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

from celery import Celery
from celery.app.trace import build_tracer
from celery.states import FAILURE

from handoffs.config import clock as host
from handoffs.config.forks import after_fork
from handoffs.config.intake import Intake
from handoffs.contracts.errors import InvalidInput
from handoffs.contracts.topic import matches
from handoffs.coordinator.continuation.path import is_onward
from handoffs.coordinator.continuation.signature import TIMER
from handoffs.coordinator.letters.raw import RawLetter
from handoffs.coordinator.messaging.address import addressed
from handoffs.coordinator.messaging.far_off import arrived, is_far_off, left
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.messaging.wire import Body, read_body
from handoffs.coordinator.payloads.payloads import Payloads
from handoffs.coordinator.runtime.task import AgentTask, Parked
from handoffs.coordinator.store import clock


class EagerPublisher:
    """Runs what is published, in order, before the outermost call returns.

    A delay is not waited for; a budget is spent when nothing else can be done, so it takes the place of what failed, and not of
    what is slow. Where time is held (:func:`handoffs.config.clock.hold`), both wait for their time instead, until :meth:`run_due`.
    What comes back from a run that is held is laid aside until :meth:`again`. A fault of the engine, not of an agent, is raised.
    """

    def __init__(self, app: Celery) -> None:
        """``park``, ``fire`` and ``unheard`` take letters, timers and events that were not heard, ``refuse`` why a timer is to be a
        letter: they are set later, for what they belong to needs this publisher."""
        self._app = app
        self._pending: deque[Message] = deque()
        self._timers: list[tuple[timedelta, Message]] = []
        self._waiting: list[tuple[float, int, Message]] = []  # until when (monotonic), its number
        self._numbers = count()
        self._held: list[Message] = []
        self.payloads = Payloads()
        self._running = False
        self.park: Callable[[RawLetter], object] = _dropped
        self.fire: Callable[[bytes | str, str], object] = _no_timer
        self.refuse: Callable[[RawLetter, Exception], object] = lambda letter, _: _dropped(letter)
        self.unheard: Callable[[RawLetter], object] = _dropped
        self._patterns: dict[str, tuple[str, ...]] = {}
        after_fork(self, EagerPublisher._forked)

    def _forked(self) -> None:
        """In a child that was forked: what was running is the parent's, and runs there."""
        self._running = False
        self._pending.clear()
        self._timers.clear()
        self._waiting.clear()

    def publish(
        self,
        messages: Iterable[Message],
        *,
        delay: timedelta | None = None,
        exact: bool = False,  # noqa: ARG002
    ) -> None:
        """Run messages, and what they lead to; within a run, only put them at the end."""
        for given in messages:
            body = self.payloads.lighten(given.body)
            message, wait = _near(replace(given, body=body), delay)
            goes_on = is_onward(str(message.headers.get("handoff_step")))  # a delay is not waited for
            if host.is_held() and wait is not None and wait > timedelta():
                due = host.monotonic() + wait.total_seconds()
                heapq.heappush(self._waiting, (due, next(self._numbers), message))
            elif (message.agent == TIMER and not goes_on) or (wait and "handoff_gathered" in message.headers):
                self._timers.append((wait or timedelta(), message))
            elif message.event:
                self._emit(message)
            else:
                self._pending.append(message)
        if not self._running:
            self._run_all()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Run what is published in here only when all of it is: a timer is published before the step that it is for."""
        if self._running:
            yield
            return
        self._running = True
        try:
            yield
        finally:
            self._running = False
            self._run_all()

    def _run_all(self) -> None:
        self._running = True
        try:
            while self._pending or self._timers:
                if self._pending:
                    self._run(self._pending.popleft())
                else:  # what could be done has been done
                    self._spend_shortest_budget()
        finally:
            self._running = False
            self._pending.clear()
            self._timers.clear()

    def next_due(self) -> float | None:
        """When the next message is due of those that wait for their time, on the process' monotonic clock."""
        return self._waiting[0][0] if self._waiting else None

    def run_due(self) -> None:
        """Run what has waited for its time, and is due by now, and what that leads to: what was due first is run first."""
        while self._waiting and self._waiting[0][0] <= host.monotonic():
            self.publish([heapq.heappop(self._waiting)[2]])

    def again(self) -> None:
        """Run what was laid aside: a run goes on, or has ended."""
        self._pending.extend(self._held)
        self._held.clear()
        self.publish(())

    def overlaps(self, messages: Iterable[Message]) -> bool:  # noqa: ARG002
        """Each is run before the next is published."""
        return False

    def declare(self, agents: Iterable[str], *, again: bool = False) -> None:
        """There are no queues."""

    def subscribe(self, agent: str, intake: Intake) -> None:
        """Give ``agent`` what is emitted from now on and fits its patterns."""
        self._patterns[agent] = intake.patterns

    def impatient(self) -> EagerPublisher:
        """Itself: no queue is ever full."""
        return self

    def know(self, agent: str, patterns: Iterable[str]) -> None:
        """It is told by :meth:`subscribe`."""

    def has_waiting(self, agents: Iterable[str]) -> bool:  # noqa: ARG002
        """Nothing waits once a call has returned."""
        return False

    def probe(self, within: float) -> None:
        """There is no broker that could refuse."""

    def close(self) -> None:
        """There are no connections."""

    def _last(self) -> Message:
        """What was published last, which runs no more by itself."""
        if not self._waiting or not host.is_held():
            return self._pending.pop()
        latest = max(self._waiting, key=lambda waiting: waiting[1])
        self._waiting.remove(latest)
        heapq.heapify(self._waiting)
        return latest[2]

    def _spend_shortest_budget(self) -> None:
        self._timers.sort(key=lambda timer: timer[0])
        message = self._timers.pop(0)[1]
        self._run(message)

    def _emit(self, message: Message) -> None:
        """Address an event to each agent that subscribes to it."""
        agents = [
            agent
            for agent, patterns in self._patterns.items()
            if any(matches(pattern, message.event) for pattern in patterns)
        ]
        [envelope], kwargs, continuation = json.loads(message.body)
        read = Body(envelope, kwargs, continuation)
        for agent in agents:
            headers, body, _ = addressed(message.headers, read, agent)
            self._pending.append(Message(headers["id"], agent, headers, body))
        if not agents:
            self.unheard(_letter(message))

    def _fire(self, message: Message) -> None:
        try:
            self.fire(message.body, "application/json")
        except InvalidInput as error:
            letter = _letter(message)
            self.refuse(letter, error)
            self.park(letter)

    def _run(self, message: Message) -> None:
        if message.agent == TIMER:
            self._fire(message)
            return
        letter = _letter(message)
        task = self._app.tasks.get(message.agent)
        if not isinstance(task, AgentTask) or message.headers.get("task") != message.agent:
            self.park(replace(letter, headers={**letter.headers, "x-death": [{"reason": "rejected"}]}))
            return
        try:
            envelope, kwargs, continuation = read_body(letter.body, letter.content_type, task.limits)
        except InvalidInput:  # the letter says why
            self.park(letter)
            return
        request = {
            **message.headers,
            **continuation,
            "hostname": "eager",
            "is_eager": True,
            "delivery_info": {},
        }
        tracer = build_tracer(task.name, task, eager=True, app=self._app)
        result: Any = tracer(message.id, [envelope], kwargs, request)
        if result.retval == "paused":  # it has put itself at the end
            self._held.append(self._last())
        error = result.info.retval if result.info else None
        if isinstance(error, Parked):
            self.park(letter)
        elif isinstance(error, BaseException) and result.info.state == FAILURE:
            raise error  # a fault of the engine, not of an agent


def _near(message: Message, delay: timedelta | None) -> tuple[Message, timedelta | None]:
    """A message whose time is far off, which waits in no stages here, and its whole wait; any other as it is."""
    if not is_far_off(message.headers):
        return message, delay
    return arrived(message), left(message, clock.now())


def _letter(message: Message) -> RawLetter:
    return RawLetter({**message.headers}, message.body.encode(), "application/json")


def _no_timer(body: bytes | str, content_type: str) -> None:
    raise RuntimeError(
        f"this publisher was given nothing that takes timers: {len(body)} bytes of {content_type}"
    )


def _dropped(letter: RawLetter) -> None:
    raise RuntimeError(f"this publisher was given nothing that takes letters: {letter.id}")
