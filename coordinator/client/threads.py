"""Threads: where a coroutine's calls of servers wait, so that its event loop does not."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import timedelta
from typing import TypeVar

from handoffs.config.forks import after_fork, leave
from handoffs.coordinator.errors import ServerError

T = TypeVar("T")

_MOST = 16
"""Calls at a time, of one process; others wait for their turn without a thread."""


class Threads:
    """A few threads, which are started when they are needed. Safe for threads, and after a fork.

    Where a server hangs, each of them waits for it as long as it may. Whoever has waited for a turn meanwhile is not made to wait for
    the same again: its call is not begun.
    """

    def __init__(self, patience: timedelta) -> None:
        """``patience`` is how long a server may leave a call without an answer."""
        self._long = patience.total_seconds() / 2
        self._hung: tuple[float, ServerError] | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        after_fork(self, Threads._renew)

    def _renew(self) -> None:
        leave(self._pool)
        self._pool, self._lock = None, threading.Lock()

    async def call(self, function: Callable[[], T]) -> T:
        """What ``function`` gives, or raises, called in a thread with the caller's context variables. Where the caller is cancelled, it
        is not waited for, and goes on where it has begun.

        Raises :class:`~handoffs.coordinator.errors.ServerError`, too, where its turn came only after a server left others without an
        answer: then it was not called.
        """
        run, came = copy_context().run, time.monotonic()
        return await asyncio.get_running_loop().run_in_executor(
            self._started(), lambda: self._called(came, lambda: run(function))
        )

    def _called(self, came: float, function: Callable[[], T]) -> T:
        began = time.monotonic()
        if self._hung is not None and came < self._hung[0] and began - came >= self._long:
            raise ServerError(
                f"a server left calls before this one without an answer: {self._hung[1].cause}",
                "this one was not begun any more: nothing was accepted",
                "ask again once the server answers",
            )
        try:
            return function()
        except ServerError as error:
            if time.monotonic() - began >= self._long:
                self._hung = (time.monotonic(), error)
            raise

    def leave(self, function: Callable[[], None]) -> None:
        """Have ``function`` called in a thread, and wait for nothing."""
        self._started().submit(function)

    def close(self) -> None:
        """Finish what was begun; what was not is cancelled."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(cancel_futures=True)

    def _started(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(_MOST, thread_name_prefix="coordinator-async")
            return self._pool
