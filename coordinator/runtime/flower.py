"""Flower, on events that were looked at first, and within bounds of memory. Imported only where Flower is installed and started.

Flower takes every event as true, keeps whatever it says, and counts by whatever it names. It has no way to be given another
receiver, so its own are replaced where it looks them up.
"""

# ruff: noqa: ARG002 - Celery decides what its methods are given

from __future__ import annotations

import logging
import time
from threading import BoundedSemaphore
from typing import Any

import flower.app
import flower.events
from celery.events import EventReceiver
from flower.events import Events, EventsState

from handoffs.contracts.errors import InvalidInput
from handoffs.contracts.text import printable
from handoffs.coordinator.runtime.task_events import read_event

_log = logging.getLogger(__name__)

_MOST_AT_ONCE = 1_000  # events of a message, and events that wait for Flower's loop
_MOST_SERIES = 5_000
"""How many workers with how many tasks and types of events are told apart: each is counted, and costs 10 KB at most."""


def guard() -> None:
    """Have the Flower that this process starts go by checked events."""
    flower.events.EventReceiver = Receiver
    flower.events.EventsState = State
    flower.app.Events = GuardedEvents


class Receiver(EventReceiver):
    """Takes events, and drops what is none."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """What events say of the time of the cluster is shown, and not followed: commands with a time that is made up are refused."""
        super().__init__(*arguments, **options)
        self.adjust_clock = _stay

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        _log.warning("a message of task events was dropped unread: %s", printable(exc, 200))

    def _receive(self, body: Any, message: Any, **_: Any) -> None:
        """One event, or as many as a worker sends at once. What is wrong with them is told once for each message."""
        events = body if isinstance(body, list) else [body]
        now, fault = time.time(), ""
        for event in events[:_MOST_AT_ONCE]:
            try:
                read = read_event(event, now)
            except InvalidInput as error:
                fault = fault or str(error)
            else:
                self.process(*self.event_from_message(read))
        if len(events) > _MOST_AT_ONCE:
            fault = fault or f"they are more than {_MOST_AT_ONCE} at once"
        if fault:
            _log.warning("task events were dropped: %s", fault)


class State(EventsState):
    """What Flower knows. It is counted by worker, task and type of event; where these are too many, it begins anew."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._series: set[tuple[str, str, str]] = set()
        super().__init__(*arguments, **options)

    def event(self, event: dict[str, Any]) -> None:
        """Flower calls this in its loop."""
        series = (event["hostname"], event["type"], event.get("name", ""))
        if series not in self._series:
            if len(self._series) >= _MOST_SERIES:
                self._begin_anew()
            self._series.add(series)
        super().event(event)

    def _begin_anew(self) -> None:
        _log.warning(
            "Flower has seen more than %s workers and tasks: it forgets what it knows, and goes on with what comes",
            _MOST_SERIES,
        )
        self.metrics.remove_workers({worker for worker, _, _ in self._series})
        self.clear(ready=False)
        for index in (self._series, self.counter, self._seen_types, self.tasks_by_type, self.tasks_by_worker):
            index.clear()


class GuardedEvents(Events):
    """Flower's own thread that receives. It waits where the loop cannot keep up: the broker keeps events for some seconds, and drops
    them then."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._room = BoundedSemaphore(_MOST_AT_ONCE)

    def on_event(self, event: dict[str, Any]) -> None:
        """In the thread that receives."""
        self._room.acquire()
        self.io_loop.add_callback(self._take, event)

    def _take(self, event: dict[str, Any]) -> None:
        """In the loop."""
        self._room.release()
        self.state.event(event)


def _stay(_clock: int) -> None:
    """Not adjust a clock."""
