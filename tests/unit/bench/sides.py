"""A side that is none: its runs end when they are told to."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from bench.peers.side import Setup, Side
from bench.servers import Place
from bench.work import Document, Job, stepped


class Instant(Side):
    """A side whose runs have ended as soon as they are started (unless they are ``slow``: after so many looks), or, where it
    ``fails``, cannot be started."""

    name = "instant"
    shapes = frozenset({"chain"})

    def __init__(self, *, fails: bool = False, wrong: bool = False, slow: int = 0) -> None:
        super().__init__(Place("", "", "", "", "", Path(), ""), Setup())
        self.started: list[str] = []
        self.fails, self.wrong, self.slow = fails, wrong, slow
        self.looked: dict[str, int] = {}
        self._lock = threading.Lock()

    def open(self) -> None: ...

    def close(self) -> None: ...

    def start(self, job: Job) -> Job:
        if self.fails:
            raise ConnectionError("nobody is there")
        with self._lock:
            self.started.append(job.document["id"])
        return job

    def result(self, handle: Job, timeout: float = 60.0) -> Document:
        found = handle.document
        for _ in range(handle.length - self.wrong):
            found = stepped(found)
        return found

    def ended(self, handles: Sequence[Job]) -> list[bool]:
        found = []
        for handle in handles:
            number = handle.document["id"]
            self.looked[number] = self.looked.get(number, 0) + 1
            found.append(self.looked[number] > self.slow)
        return found
