"""The thread pool of an embedded worker, and the timer of its delayed tasks."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import celery
from celery.utils import timer2

from handoffs.coordinator.runtime.thread_pool import ReactingPool

_log = logging.getLogger(__name__)

STOP_TIMEOUT = 10.0  # seconds


class WakingTimer(timer2.Timer):
    """Celery's timer for delayed tasks, woken by new entries and by its stop, and no danger to the process.

    The original looks around once a second for what has changed, and ends the process when it fails.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._stopping = False

    def run(self) -> None:
        """Apply entries when they are due."""
        due = iter(self.schedule)
        while not self._stopping:
            with self.not_empty:
                delay, entry = next(due)
                if entry is None and not self._stopping:
                    self.not_empty.wait(delay)
            if entry is not None:
                self.schedule.apply_entry(entry)

    def stop(self) -> None:
        """Apply no more entries; they are dropped."""
        with self.not_empty:
            self._stopping = True
            self.not_empty.notify_all()
        if self.is_alive():
            self.join()


class EmbeddedPool(ReactingPool):
    """The thread pool of other workers with the app set in its threads, and a limit to how long its stop takes."""

    Timer = WakingTimer

    #: Celery writes this to a flag of the process, which would forbid the host to wait for a result.
    task_join_will_block = False

    def __init__(self, *args: Any, app: celery.Celery, **kwargs: Any) -> None:
        super().__init__(*args, app=app, **kwargs)
        self.stop_timeout = STOP_TIMEOUT  # holds for one that a remote command stops
        self.drained = True
        self.executor = ThreadPoolExecutor(
            max_workers=self.limit, thread_name_prefix="embedded-task", initializer=app.set_current
        )

    def on_stop(self) -> None:
        """Begin no more tasks, and wait for those running up to the limit."""
        deadline = time.monotonic() + self.stop_timeout
        done = self._reactor is None or self._reactor.finish(self.stop_timeout)
        wait(self.concluding, max(0.0, deadline - time.monotonic()))
        self.executor.shutdown(wait=False, cancel_futures=True)
        threads = list(self.executor._threads)
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self.drained = done and not any(thread.is_alive() for thread in threads)
        if not self.drained:
            _log.warning("tasks still run after %g s; their messages are requeued", self.stop_timeout)
