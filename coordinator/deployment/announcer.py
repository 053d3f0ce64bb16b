"""Announcer: says, as long as a worker lives, what its agents read and write. Producers go by it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any

from handoffs.config.installed import installed
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.store.announcements import Announcements

_log = logging.getLogger(__name__)
_PER_LIFE = 3


class Announcer:
    """Announces ``manifests`` (JSON values, one for each agent) of one worker, from a thread of its own.

    ``announcements`` must be this object's alone: a pool that forks while the thread has a connection in hand would give its
    children a locked one. What is announced holds for ``life``; a worker that dies is believed alive for that long.
    """

    def __init__(
        self,
        announcements: Announcements,
        manifests: Sequence[dict[str, Any]],
        instance: str,
        life: timedelta,
        in_hand: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        """``in_hand`` gives the runs of which this worker has messages, begun or not: it is told of them too."""
        self._announcements = announcements
        self._manifests = list(manifests)
        self._instance = instance
        self._life = life
        self._in_hand = in_hand
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Announce, and go on doing so. Raises :class:`ServerError` where the first time fails."""
        self._announce(self._life)
        if self._thread is None:
            self._stop.clear()
            self._thread = threading.Thread(target=self._repeat, name="announcer", daemon=True)
            self._thread.start()

    def silence(self) -> None:
        """Say goodbye, if anything was said: from now on nothing is written for this worker."""
        if self._thread is None:
            return
        self._stop.set()
        self._thread.join()
        self._thread = None
        try:
            self._announce(timedelta())
        except ServerError as error:
            _log.warning(
                "the goodbye was not heard, so messages are written for this worker a while: %s", error
            )

    def stop(self) -> None:
        """Fall silent for good."""
        self.silence()
        self._announcements.close()

    def _repeat(self) -> None:
        while not self._stop.wait((self._life / _PER_LIFE).total_seconds()):
            try:
                self._announce(self._life)
                self._announcements.in_hand(self._in_hand())
            except ServerError as error:
                _log.warning("what this worker reads could not be announced; trying again: %s", error)

    def _announce(self, life: timedelta) -> None:
        for manifest in self._manifests:
            self._announcements.announce(manifest, self._instance, life, installed())
