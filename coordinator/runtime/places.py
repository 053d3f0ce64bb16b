"""Places: the steps that a worker's pool can have in hand, and the messages that wait for one of them.

Each queue gives a worker as many messages as its pool has places, so a worker of several agents may be given more than it can
begin. What has waited here for a moment goes back, where its queue is empty: then another worker may have nothing to do. Where
messages wait in the queue, none has, and this one keeps its turn.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from celery import Celery

from handoffs.contracts.errors import CoordinationError
from handoffs.coordinator.messaging.queues import depths

_log = logging.getLogger(__name__)

_A_MOMENT = 1.0  # seconds


@dataclass(eq=False, slots=True)
class Waiting:
    """A message of a run and of ``queue`` (empty where it is not to be given back) that waits for a place: how it is begun, and how
    it is given back."""

    queue: str
    run: str
    begin: Callable[[], object]
    give_back: Callable[[], object]
    since: float = field(default_factory=time.monotonic)


class Places:
    """The places of one pool. Safe for threads."""

    def __init__(self, app: Celery, number: int, soon: Callable[[Callable[[], object]], object]) -> None:
        """``soon`` has the worker's loop call something."""
        self._app = app
        self._free = number
        self._soon = soon
        self._waiting: deque[Waiting] = deque()
        self._lock = threading.Lock()
        self._looking = False

    def take(self, one: Waiting) -> None:
        """Begin a message, now or when a place is free."""
        with self._lock:
            if not self._free:
                self._waiting.append(one)
                return
            self._free -= 1
        one.begin()

    def leaving(self, *ends: Callable[..., object]) -> list[Callable[..., object]]:
        """The ways in which a message ends, each of which then leaves its place, once."""
        left = threading.Event()

        def ending(end: Callable[..., object]) -> Callable[..., object]:
            def ended(*arguments: Any, **options: Any) -> object:
                try:
                    return end(*arguments, **options)
                finally:
                    if not left.is_set():
                        left.set()
                        self._leave()

            return ended

        return [ending(end) for end in ends]

    def runs(self) -> set[str]:
        """The runs whose messages wait here."""
        with self._lock:
            return {one.run for one in self._waiting}

    def look(self) -> None:
        """Give back what has waited for a moment and others may begin; returns at once."""
        with self._lock:
            before = time.monotonic() - _A_MOMENT
            if self._looking or not any(one.queue and one.since < before for one in self._waiting):
                return
            self._looking = True
        threading.Thread(target=self._give_back, args=(before,), name="places", daemon=True).start()

    def _leave(self) -> None:
        with self._lock:
            if not self._waiting:
                self._free += 1
                return
            following = self._waiting.popleft()
        self._soon(following.begin)

    def _give_back(self, before: float) -> None:
        try:
            with self._lock:
                queues = {one.queue for one in self._waiting if one.queue and one.since < before}
            found = depths(
                self._app, queues, cause="a queue cannot be looked at", consequence="its messages wait"
            )
            empty = {queue for queue, depth in found.items() if depth.ready == 0 and depth.consumers > 1}
            while (late := self._late(empty, before)) is not None:
                try:
                    late.give_back()
                except BaseException:
                    self._wait_on(late)
                    raise
        except CoordinationError as error:
            _log.warning("%s", error)
        except Exception:  # noqa: BLE001 - it must be seen, and tried again
            _log.exception("what waits for a place was not given back")
        finally:
            with self._lock:
                self._looking = False

    def _late(self, queues: set[str], before: float) -> Waiting | None:
        """The next of these queues that has waited for a moment: nobody begins it any more."""
        with self._lock:
            late = next((one for one in self._waiting if one.queue in queues and one.since < before), None)
            if late is not None:
                self._waiting.remove(late)
        return late

    def _wait_on(self, one: Waiting) -> None:
        """It could not be given back: it waits on, or is begun where a place is free by now."""
        with self._lock:
            if not self._free:
                self._waiting.appendleft(one)
                return
            self._free -= 1
        self._soon(one.begin)
