"""Eager mode: every step runs at once in the caller, through the real message, envelope, task and desk."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from celery import Celery
from celery.app.trace import build_tracer
from celery.states import FAILURE

from handoffs.config.intake import Intake
from handoffs.contracts.topic import matches
from handoffs.coordinator.continuation.signature import TIMER
from handoffs.coordinator.letters.raw import RawLetter
from handoffs.coordinator.messaging.message import Message, addressed
from handoffs.coordinator.messaging.wire import read_body
from handoffs.coordinator.runtime.task import Parked


class EagerPublisher:
    """Runs what is published, in order, before the outermost call returns.

    A delay is not waited for; a budget is spent when nothing else can be done, so it takes the place of what failed, and not of
    what is slow. What comes back from a run that is held is laid aside until :meth:`again`. A fault of the engine, not of an
    agent, is raised.
    """

    def __init__(self, app: Celery) -> None:
        """``park``, ``fire`` and ``unheard`` take letters, timers and events that were not heard: they are set later, for what
        they belong to needs this publisher."""
        self._app = app
        self._pending: deque[Message] = deque()
        self._timers: list[tuple[timedelta, Message]] = []
        self._held: list[Message] = []
        self._running = False
        self.park: Callable[[RawLetter], object] = _dropped
        self.fire: Callable[[bytes | str, str], object] = _no_timer
        self.unheard: Callable[[RawLetter], object] = _dropped
        self._patterns: dict[str, tuple[str, ...]] = {}

    def publish(
        self,
        messages: Iterable[Message],
        *,
        delay: timedelta | None = None,
        exact: bool = False,  # noqa: ARG002
    ) -> None:
        """Run messages, and what they lead to; within a run, only put them at the end."""
        for message in messages:
            if message.agent == TIMER or (delay and "handoff_gathered" in message.headers):
                self._timers.append((delay or timedelta(), message))
            elif message.event:
                self._emit(message)
            else:
                self._pending.append(message)
        if self._running:
            return
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

    def again(self) -> None:
        """Run what was laid aside: a run goes on, or has ended."""
        self._pending.extend(self._held)
        self._held.clear()
        self.publish(())

    def declare(self, agents: Iterable[str], *, again: bool = False) -> None:
        """There are no queues."""

    def subscribe(self, agent: str, intake: Intake) -> None:
        """Give ``agent`` what is emitted from now on and fits its patterns."""
        self._patterns[agent] = intake.patterns

    def _spend_shortest_budget(self) -> None:
        self._timers.sort(key=lambda timer: timer[0])
        message = self._timers.pop(0)[1]
        if message.agent == TIMER:
            self.fire(message.body, "application/json")
        else:
            self._run(message)

    def _emit(self, message: Message) -> None:
        """Address an event to each agent that subscribes to it."""
        agents = [
            agent
            for agent, patterns in self._patterns.items()
            if any(matches(pattern, message.event) for pattern in patterns)
        ]
        for agent in agents:
            headers, body = addressed(message.headers, message.body, agent)
            self._pending.append(Message(headers["id"], agent, headers, body))
        if not agents:
            self.unheard(_letter(message))

    def _run(self, message: Message) -> None:
        letter = _letter(message)
        task = self._app.tasks.get(message.agent)
        if task is None:
            self.park(replace(letter, headers={**letter.headers, "x-death": [{"reason": "rejected"}]}))
            return
        envelope, kwargs, continuation = read_body(letter.body, letter.content_type, task.limits)
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
            self._held.append(self._pending.pop())
        error = result.info.retval if result.info else None
        if isinstance(error, Parked):
            self.park(letter)
        elif isinstance(error, BaseException) and result.info.state == FAILURE:
            raise error  # a fault of the engine, not of an agent


def _letter(message: Message) -> RawLetter:
    return RawLetter({**message.headers}, message.body.encode(), "application/json")


def _no_timer(body: bytes | str, content_type: str) -> None:
    raise RuntimeError(
        f"this publisher was given nothing that takes timers: {len(body)} bytes of {content_type}"
    )


def _dropped(letter: RawLetter) -> None:
    raise RuntimeError(f"this publisher was given nothing that takes letters: {letter.id}")
