"""Leases: one thread a process keeps those of the agents that run."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from handoffs.config.forks import after_fork
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.handoff.signs import StepSigns
from handoffs.coordinator.store.claim import Held
from handoffs.coordinator.store.record import StepRef
from handoffs.coordinator.store.store import Store

_LONGEST_PAUSE = 1.0
"""Seconds: how long it takes at most until an agent at work can be told that its run has ended."""

_log = logging.getLogger(__name__)


class Kept:
    """A lease as long as it is kept: whether anybody wants still what the agent makes."""

    __slots__ = ("ended", "held", "signs")

    def __init__(self, held: Held) -> None:
        self.held = held
        self.signs: StepSigns | None = None
        """What the attempt gives to be seen by, once it is made."""
        self.ended = ""
        """The status of the run once it has ended or is being undone: ``cancelled``, ``compensating``, ``completed``; ``closed``
        where a budget that the step is in is spent."""


class LeaseKeeper:
    """Renews every held lease at a third of its length, and every second at least, all in one round trip; so it also learns
    which of their runs have ended. Safe for threads, and after a fork."""

    def __init__(self, store: Store, length: timedelta) -> None:
        self._store = store
        self._pause = min(length.total_seconds() / 3, _LONGEST_PAUSE)
        self._kept: set[Kept] = set()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._begun = False
        self._closed = False
        after_fork(self, LeaseKeeper._renew)

    @contextmanager
    def keep(
        self, agent: str, key: str, fence: int, place: StepRef, budgets: tuple[str, ...] = ()
    ) -> Iterator[Kept]:
        """Renew the lease for as long as the block runs; ``budgets`` are the paths of those that the step is in. Where a server fails in it, the lease lapses as soon as that is back:
        the message comes again, and nobody has died."""
        kept = Kept(Held(agent, key, fence, place, budgets))
        self._begin()
        with self._lock:
            self._kept.add(kept)
        try:
            yield kept
        except ServerError:
            self._store.lapse(agent, key, fence=fence)
            raise
        finally:
            with self._lock:
                self._kept.discard(kept)

    def close(self) -> None:
        """Stop the thread."""
        self._closed = True
        self._wake.set()

    def renew(self) -> None:
        """Renew all that are kept now. Raises :class:`ServerError`."""
        with self._lock:
            kept = list(self._kept)
        if not kept:
            return
        for one, found in zip(kept, self._store.renew([one.held for one in kept]), strict=True):
            one.ended = found.ended
            if not found.kept and one in self._kept:
                _log.warning(
                    "the lease on %s of %s was lost: its outcome will be late", one.held.key, one.held.agent
                )

    def show(self) -> None:
        """Write what is new of how far they are that are at work, and which of them are stalled. Raises :class:`ServerError`."""
        with self._lock:
            signs = [kept.signs for kept in self._kept if kept.signs is not None]
        taken = [(one, seen) for one in signs if (seen := one.take()) is not None]
        if not taken:
            return
        try:
            self._store.tell_progress([(one.work.place, seen) for one, seen in taken])
        except ServerError:
            for one, _ in taken:
                one.put_back()
            raise

    def _begin(self) -> None:
        if self._begun:
            return
        with self._lock:
            if not self._begun:
                threading.Thread(target=self._renew_all, name="leases", daemon=True).start()
                self._begun = True

    def _renew(self) -> None:
        """The leases are kept by the parent."""
        self._kept, self._lock, self._wake, self._begun = set(), threading.Lock(), threading.Event(), False

    def _renew_all(self) -> None:
        while not self._wake.wait(self._pause) and not self._closed:
            try:
                self.renew()
                self.show()
            except ServerError as error:
                _log.warning("leases were not renewed: %s", error)
            except Exception:  # noqa: BLE001 - a fault of ours must not end all others' leases, and must be seen
                _log.exception("leases were not renewed; trying again")
