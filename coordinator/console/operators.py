"""Operators: go on with operations in the background of one console, a few at a time, until it ends."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from handoffs.coordinator.client.chosen_letters import Selection
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.client.operating import Begun
from handoffs.coordinator.client.operation import Pace
from handoffs.coordinator.console.errors import Busy

MOST = 8
"""How many operations one console goes on with at once."""

_PATIENCE = 5.0  # seconds that they get when the console ends

_log = logging.getLogger(__name__)


class Operators:
    """Each operation has a thread of its own. Where the process dies, or ends, whoever resumes an operation goes on where it was."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator
        self._leaving = threading.Event()
        self._lock = threading.Lock()
        self._at_work: dict[str, threading.Thread] = {}
        self._taken = 0

    def begin(self, kind: str, selection: Selection, pace: Pace, *, by: str, why: str) -> str:
        """Begin an operation on the letters that ``selection`` chooses now, and go on with it; gives its id.

        Raises :class:`~handoffs.coordinator.console.errors.Busy` where too many are gone on with, and what
        :meth:`~handoffs.coordinator.client.operating.Operating.begin` raises: then there is none.
        """
        return self._going_on(
            lambda: self._coordinator.operating.begin(kind, selection, pace, by=by, why=why)
        )

    def resume(self, operation: str, *, by: str, why: str) -> str:
        """Go on with an operation of that id, in place of whoever has it. Raises
        :class:`~handoffs.coordinator.console.errors.Busy`, and what
        :meth:`~handoffs.coordinator.client.operating.Operating.take` raises."""
        return self._going_on(lambda: self._coordinator.operating.take(operation, by=by, why=why))

    def is_at_work(self, operation: str) -> bool:
        """Whether this console goes on with the operation of that id."""
        with self._lock:
            thread = self._at_work.get(operation)
        return thread is not None and thread.is_alive()

    def close(self) -> None:
        """Go on with nothing any more, and wait for the letters that are at hand."""
        self._leaving.set()
        until = time.monotonic() + _PATIENCE
        with self._lock:
            threads = list(self._at_work.values())
        for thread in threads:
            thread.join(max(until - time.monotonic(), 0))

    def _going_on(self, begin: Callable[[], Begun]) -> str:
        with self._lock:
            if self._taken >= MOST or self._leaving.is_set():
                raise Busy(
                    f"this console goes on with {self._taken} operations already",
                    "nothing was begun",
                    "wait until one of them is over, or cancel one: /operations; in a terminal there is room for more",
                )
            self._taken += 1
        try:
            begun = begin()
        except BaseException:
            self._ended("")
            raise
        thread = threading.Thread(
            target=self._work, args=(begun,), name=f"operation-{begun.id[:8]}", daemon=True
        )
        with self._lock:
            self._at_work[begun.id] = thread
        thread.start()
        return begun.id

    def _work(self, begun: Begun) -> None:
        try:
            self._coordinator.operating.go_on(begun, leaving=self._leaving.is_set)
        except Exception as error:  # noqa: BLE001 - whatever ends it, it can be resumed
            _log.warning("operation=%s is not over, and can be resumed: %s", begun.id, error)
        finally:
            self._ended(begun.id)

    def _ended(self, operation: str) -> None:
        with self._lock:
            self._taken -= 1
            if self._at_work.get(operation) is threading.current_thread():
                del self._at_work[operation]
