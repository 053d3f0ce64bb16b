"""Shared: what servers are asked for once, for all who look at it now."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.patience import Looks

T = TypeVar("T")


class Shared(Generic[T]):
    """What ``ask`` gives, asked for at most once in ``fresh`` seconds, by one thread, however many look. Safe for threads.

    Who looks while it is asked for waits with the others, ``within`` seconds at most; where it takes longer that goes on, and no second one
    is begun.
    """

    def __init__(self, what: str, ask: Callable[[], T], *, fresh: float = 1.0, within: float = 4.0) -> None:
        self._what = what
        self._ask = ask
        self._fresh = fresh
        self._within = within
        self._looks: Looks[T] = Looks()
        self._last: tuple[T, float] | None = None
        self._lock = threading.Lock()

    def get(self) -> T:
        """It, at most ``fresh`` seconds old when it was asked for.

        Raises what ``ask`` raises, and :class:`~handoffs.coordinator.errors.ServerError` where it takes too long.
        """
        with self._lock:
            last = self._last
        if last is not None and time.monotonic() - last[1] < self._fresh:
            return last[0]
        found = self._looks.look({"it": self._asked}, self._within)["it"]
        if isinstance(found, TimeoutError):
            raise ServerError(
                f"{self._what} took longer than {self._within:g} s: a server does not answer",
                "nothing is shown",
                "see which one: coordinator doctor",
            )
        if isinstance(found, Exception):
            raise found
        return found

    def _asked(self) -> T:
        began = time.monotonic()
        found = self._ask()
        with self._lock:
            self._last = found, began
        return found
