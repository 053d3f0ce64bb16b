"""Waiting: until nothing more comes of a run by itself. What a wait needs it asks for, so that threads and coroutines wait alike."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from typing import TypeAlias

from handoffs.coordinator.client.asked import Asked, Pause, perform
from handoffs.coordinator.client.parked import ParkedRuns
from handoffs.coordinator.client.status import has_ended
from handoffs.coordinator.client.threads import Threads
from handoffs.coordinator.observe.standing import Standings, Status, status_in_redis
from handoffs.coordinator.store.endings import Endings
from handoffs.coordinator.store.run_state import RunState

_POLLS_TO_DOUBLE = 10
_SHORTEST_PAUSE = 0.001  # seconds
_LONGEST_PAUSE = 0.1  # seconds
_TOLD_TO_DOUBLE = 2
_SHORTEST_TOLD = 0.5  # seconds
_LONGEST_TOLD = 5.0  # seconds
_UNKNOWN_FOR = 5.0
"""How long Redis must not know a run until it is called unknown, in seconds: a message that is on its way may begin it anew."""

Found: TypeAlias = tuple[RunState | None, Status]
"""What Redis has of a run, and its status."""


class Waits:
    """Waits for runs. Safe for threads.

    Every method raises :class:`~handoffs.coordinator.errors.ServerError` where Redis cannot be used.
    """

    def __init__(self, endings: Endings, standings: Standings, parked: ParkedRuns, threads: Threads) -> None:
        self._endings = endings
        self._standings = standings
        self._parked = parked
        self._threads = threads

    def until_ended(self, run: str, timeout: float | None) -> Found:
        """What Redis has of a run once nothing more comes of it by itself, or ``timeout`` seconds are over."""
        told = threading.Event()

        def pause(seconds: float) -> None:
            told.wait(seconds)
            told.clear()

        return perform(self._waiting(run, timeout, told.set), pause)

    async def auntil_ended(self, run: str, within: float | None) -> Found:
        """The same, which leaves the event loop to others: what asks a server is done by a thread, and pauses take none."""
        loop, told = asyncio.get_running_loop(), asyncio.Event()

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and with it who waits
                loop.call_soon_threadsafe(told.set)

        waiting, answer = self._waiting(run, within, tell), None
        try:
            while True:
                try:
                    step = waiting.send(answer)
                except StopIteration as end:
                    found: Found = end.value
                    return found
                if isinstance(step, Pause):
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(told.wait(), step.seconds)
                    told.clear()
                    answer = None
                else:
                    answer = await self._threads.call(step)
        finally:
            self._threads.leave(waiting.close)

    def _waiting(self, run: str, timeout: float | None, tell: Callable[[], None]) -> Asked[Found]:
        began = known = time.monotonic()
        wait, begun = self._endings.wait(run, tell), False
        try:
            while True:
                looked = time.monotonic()
                record, status = yield lambda: self._standings.of(run)
                now = time.monotonic()
                known = now if status != "unknown" else known
                ready = has_ended(status) and (status != "unknown" or now - known >= _UNKNOWN_FOR)
                if ready:  # it may have been sent on its way again while its letters were waited for
                    left = None if timeout is None else timeout - (now - began)
                    record, status = yield from self._with_letters(record, status, left)
                waited = time.monotonic() - began
                if (ready and has_ended(status)) or (timeout is not None and waited >= timeout):
                    return record, status
                if not begun:
                    yield wait.begin
                    begun = True
                told = bool((yield wait.is_told)) and status != "unknown"
                pause = _pause(waited, now - looked, told=told)
                yield Pause(pause if timeout is None else min(pause, max(timeout - waited, 0.0)))
        finally:
            wait.close()

    def _with_letters(self, record: RunState | None, status: Status, left: float | None) -> Asked[Found]:
        """The run once its letters are in the journal, where it is parked; ``left`` is how long that may take, in seconds."""
        if status != "parked" or record is None:
            return record, status
        limit = None if left is None else max(left, 0.0)
        found = yield from self._parked.awaiting_letters(record.id, limit)
        return (found, status_in_redis(found)) if found is not None else (record, status)


def _pause(waited: float, took: float, *, told: bool) -> float:
    """How long after so many seconds it is looked again, where a look ``took`` so long: seldom where the end is told, and seldom by
    those who look where everybody has to wait for everything."""
    if told:
        return min(max(waited / _TOLD_TO_DOUBLE, _SHORTEST_TOLD), _LONGEST_TOLD)
    return min(max(waited / _POLLS_TO_DOUBLE, 2 * took, _SHORTEST_PAUSE), _LONGEST_PAUSE)
