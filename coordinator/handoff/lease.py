"""Leases: one thread a process keeps those of the agents that run."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.store.store import Store

_log = logging.getLogger(__name__)


class LeaseKeeper:
    """Renews every held lease at a third of its length, all in one round trip. Safe for threads, and after a fork."""

    def __init__(self, store: Store, length: timedelta) -> None:
        self._store = store
        self._pause = length.total_seconds() / 3
        self._held: set[tuple[str, str, int]] = set()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._pid = 0
        self._closed = False

    @contextmanager
    def keep(self, agent: str, key: str, fence: int) -> Iterator[None]:
        """Renew the lease for as long as the block runs."""
        lease = (agent, key, fence)
        self._begin()
        with self._lock:
            self._held.add(lease)
        try:
            yield
        finally:
            with self._lock:
                self._held.discard(lease)

    def close(self) -> None:
        """Stop the thread."""
        self._closed = True
        self._wake.set()

    def _begin(self) -> None:
        if self._pid == os.getpid():
            return
        with self._lock:
            if self._pid != os.getpid():
                self._held.clear()
                threading.Thread(target=self._renew_all, name="leases", daemon=True).start()
                self._pid = os.getpid()

    def _renew_all(self) -> None:
        while not self._wake.wait(self._pause) and not self._closed:
            with self._lock:
                held = list(self._held)
            if not held:
                continue
            try:
                kept = self._store.renew(held)
            except ServerError as error:
                _log.warning("leases were not renewed: %s", error)
                continue
            for lease, alive in zip(held, kept, strict=True):
                if not alive and lease in self._held:
                    _log.warning(
                        "the lease on %s of %s was lost: its outcome will be late", lease[1], lease[0]
                    )
