"""Published: tells the store, some time later and many at once, which runs have been published.

A starter that dies before it could tell leaves runs that are published once more, which changes nothing.
"""

from __future__ import annotations

import logging
import threading

from handoffs.config.forks import after_fork
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.store.runs import Runs

_PAUSE = 0.2
_log = logging.getLogger(__name__)


class PublishedRuns:
    """The runs that the store still has to hear of. Safe for threads; its own thread lives while there are any."""

    def __init__(self, live: Runs) -> None:
        self._live = live
        self._runs: dict[str, None] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        after_fork(self, PublishedRuns._renew)

    def _renew(self) -> None:
        """What the parent has still to tell, it tells."""
        self._runs, self._lock, self._thread = {}, threading.Lock(), None
        self._closing = threading.Event()

    def add(self, run: str) -> None:
        """The first messages of ``run`` are in the broker's hands."""
        with self._lock:
            self._runs[run] = None
            if self._thread is None and not self._closing.is_set():
                self._thread = threading.Thread(target=self._tell_later, name="published", daemon=True)
                self._thread.start()

    def __contains__(self, run: str) -> bool:
        """Whether the store still has to hear of ``run``."""
        with self._lock:
            return run in self._runs

    def close(self) -> None:
        """Tell what is left."""
        self._closing.set()
        thread = self._thread
        if thread is not None:
            thread.join()
        self.tell()

    def _tell_later(self) -> None:
        while True:
            self._closing.wait(_PAUSE)
            self.tell()
            with self._lock:
                if not self._runs or self._closing.is_set():
                    self._thread = None
                    return

    def tell(self) -> None:
        """Tell what there is, now."""
        with self._lock:
            runs, self._runs = self._runs, {}
        if not runs:
            return
        try:
            self._live.published(*runs)
        except ServerError as error:  # they are published once more, which changes nothing
            _log.warning("%d published runs could not be marked: %s", len(runs), error)
