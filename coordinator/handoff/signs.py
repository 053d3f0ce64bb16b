"""Signs: what an attempt gives to be seen by, and whether it has given none for too long."""

from __future__ import annotations

import logging
import threading
from asyncio import CancelledError
from datetime import timedelta
from typing import NamedTuple

from handoffs.config import clock
from handoffs.config.logs import PROGRESS
from handoffs.coordinator.errors import Stalled
from handoffs.coordinator.flow.progress import Progress
from handoffs.coordinator.store.progress import Seen
from handoffs.coordinator.store.record import StepRef

STALLED = "stalled"
"""Why an agent is to end that has given no sign for too long."""

_PAUSE = 1.0
"""Seconds between two lines of the log, however often an agent says how far it is."""

_log = logging.getLogger("coordinator.agents")
_progress = logging.getLogger(PROGRESS)


class AtWork(NamedTuple):
    """Who is at work on what, and how long it may go without a sign; None: as long as it likes."""

    place: StepRef
    agent: str
    idle: timedelta | None = None

    def __str__(self) -> str:
        return f"run={self.place.run} step={self.place.step} agent={self.agent}"


class StepSigns:
    """The signs of one attempt. Safe for threads, and quick: what it says is written to Redis by the thread that keeps its lease."""

    def __init__(self, work: AtWork) -> None:
        self.work = work
        self._idle = work.idle.total_seconds() if work.idle else None
        self._lock = threading.Lock()
        self._at = clock.monotonic()
        self._logged = float("-inf")
        self._said: Progress | None = None
        self._unseen = False
        self._stalled = False

    @property
    def stalled(self) -> bool:
        """Whether it has given no sign for too long. One that came too late changes nothing."""
        if not self._stalled and self._is_late():
            with self._lock:
                first, self._stalled, self._unseen = not self._stalled, True, True
            if first:
                _log.warning("%s is stalled: %s", self.work, self.error.cause)
        return self._stalled

    def _is_late(self) -> bool:
        return self._idle is not None and clock.monotonic() - self._at > self._idle

    @property
    def error(self) -> Stalled:
        """What ends an attempt that has stalled."""
        return Stalled(
            f"the agent gave no sign for longer than its idle limit of {self.work.idle}",
            "its attempt has failed",
            "let it call context.progress() more often, or raise @agent(idle=...)",
        )

    def give(self) -> None:
        """It is at work. Raises :class:`Stalled` where it was found to be stalled before."""
        if self.stalled:
            raise self.error
        self._at = clock.monotonic()

    def wait(self) -> None:
        """It waits for what is no part of its work."""
        self._at = clock.monotonic()

    def tell(self, progress: Progress) -> None:
        """It has come so far. Raises :class:`Stalled` as :meth:`give`."""
        self.give()
        with self._lock:
            self._said, self._unseen = progress, True
            due = self._at - self._logged >= _PAUSE
            if due:
                self._logged = self._at
        if due:
            _progress.info("%s: %s", self.work, progress)

    def take(self) -> Seen | None:
        """What is to be seen of it and was not taken before; None where nothing is new."""
        stalled = self.stalled
        with self._lock:
            if not self._unseen:
                return None
            self._unseen = False
            said = self._said or Progress("")
            silent = clock.monotonic() - self._at if stalled else None
            return Seen(said.text, said.share, silent)

    def put_back(self) -> None:
        """What was taken could not be written."""
        self._unseen = True


def ended_by(error: BaseException, signs: StepSigns) -> BaseException:
    """What an attempt has failed with: an async agent that was cancelled because it stalled has failed with that."""
    return signs.error if isinstance(error, CancelledError) and signs.stalled else error
