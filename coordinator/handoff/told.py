"""Told: what an agent at work is told, that nobody wants any more what it makes, or that its worker is to end."""

from __future__ import annotations

import mmap
import struct
import time
from datetime import timedelta

from handoffs.coordinator.handoff.lease import Kept
from handoffs.coordinator.handoff.signs import STALLED

STOPPING = "stopping"
"""Why, where the worker is to end."""


class Stopping:
    """Whether the worker of this process is to end."""

    def __init__(self, grace: timedelta) -> None:
        """``grace`` is how long async agents have then, before they are cancelled."""
        self._grace = grace.total_seconds()
        self._since: bytearray | mmap.mmap = bytearray(struct.calcsize("d"))

    def share(self) -> None:
        """Make it one fact for this process and for all that are forked from it later: those of a pool get no signal."""
        self._since = mmap.mmap(-1, mmap.PAGESIZE)

    def begin(self) -> None:
        """It is to end. Safe in the handler of a signal."""
        if not self.begun:
            struct.pack_into("d", self._since, 0, time.monotonic())

    @property
    def begun(self) -> bool:
        """Whether it is to end."""
        return self._at > 0

    @property
    def due(self) -> bool:
        """Whether it is to end and the grace is over."""
        return 0 < self._at <= time.monotonic() - self._grace

    @property
    def _at(self) -> float:
        at: float = struct.unpack_from("d", self._since, 0)[0]
        return at


class Told:
    """What one attempt of an agent is told, and whether it has heard it."""

    __slots__ = ("_kept", "_stopping", "heard")

    def __init__(self, kept: Kept, stopping: Stopping) -> None:
        self._kept = kept
        self._stopping = stopping
        self.heard = ""
        """Why it is to end, once it has asked, or was cancelled."""

    def why(self) -> str:
        """Why it is to end, for an agent that asks; empty where it is to go on."""
        return self._hears(self.ended or self._stalled or (STOPPING if self._stopping.begun else ""))

    def due(self) -> str:
        """Why an async agent is to be cancelled now."""
        return self._hears(self.ended or self._stalled or (STOPPING if self._stopping.due else ""))

    @property
    def ended(self) -> str:
        """The status of the run once it has ended or is being undone, ``closed`` where the step's budget is spent, ``lost``
        where another worker has its lease."""
        return self._kept.ended

    @property
    def puts_back(self) -> bool:
        """Whether the step is left to another worker: the agent has heard that its own is to end, so what it returned may be half
        of the work."""
        return self.heard == STOPPING and not self.ended

    def waits(self) -> None:
        """It waits for a server, which is no idleness of its own."""
        if self._kept.signs is not None:
            self._kept.signs.wait()

    @property
    def _stalled(self) -> str:
        return STALLED if self._kept.signs is not None and self._kept.signs.stalled else ""

    def _hears(self, why: str) -> str:
        if why:
            self.heard = why
        return why
