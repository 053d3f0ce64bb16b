"""Expiry: the thread of an embedded broker that looks at a queue when its first message expires."""

from __future__ import annotations

import threading
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

from handoffs.config import clock
from handoffs.coordinator.runtime.embedded.queues import Queue


class ExpiryTimer:
    """At most one daemon thread a broker, started with the first message that can expire.

    Parameters
    ----------
    name
        The thread's name.
    lock
        The broker's lock: held by those that call :meth:`watch` and :meth:`close`, and while ``expire`` runs.
    expire
        Called with a queue and the time, on the monotonic clock, when its first message expires.
    """

    def __init__(self, name: str, lock: threading.Lock, expire: Callable[[Queue, float], None]) -> None:
        self._name = name
        self._lock = lock
        self._expire = expire
        self._wake_ups: list[tuple[float, int, Queue]] = []
        self._ids = count()
        self._earlier = threading.Condition(lock)
        self._thread: threading.Thread | None = None
        self._closed = False

    def watch(self, queue: Queue) -> None:
        """See that a queue is looked at when its first message expires."""
        expires_at = queue.expires_at()
        if expires_at is None or (queue.wake_at is not None and queue.wake_at <= expires_at):
            return
        queue.wake_at = expires_at
        is_next = not self._wake_ups or expires_at < self._wake_ups[0][0]
        heappush(self._wake_ups, (expires_at, next(self._ids), queue))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        elif is_next:
            self._earlier.notify()

    def wake(self) -> None:
        """Time was moved, or stands still from now on."""
        self._earlier.notify_all()

    def close(self) -> None:
        """Look at no queue any more: the thread ends once it has the lock."""
        self._closed = True
        self._wake_ups.clear()
        self._earlier.notify_all()

    def join(self) -> None:
        """Wait until the thread has ended, without the lock; at once in the thread itself."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        with self._lock:
            while not self._closed:
                now = clock.monotonic()
                while self._wake_ups and self._wake_ups[0][0] <= now:
                    self._wake(heappop(self._wake_ups), now)
                next_at = self._wake_ups[0][0] if self._wake_ups else None
                held = next_at is None or clock.is_held()
                self._earlier.wait(None if held or next_at is None else next_at - clock.monotonic())

    def _wake(self, wake_up: tuple[float, int, Queue], now: float) -> None:
        due, _, queue = wake_up
        if queue.wake_at == due:
            queue.wake_at = None
        self._expire(queue, now)
        self.watch(queue)
