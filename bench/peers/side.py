"""Side: what a benchmark asks of each of those that it measures."""

from __future__ import annotations

import abc
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from bench.peers.processes import Processes
from bench.servers import Place
from bench.work import Document, Job, Shape

CLIENT_THREADS = 8
_LOOK_EVERY = 0.02  # seconds
_SHARE = 0.01  # of the time that has gone by: so long is a pause at most, and so exact is what is measured
_AT_ONCE = 50  # of those that were started first: looking must not take much of what is measured


class NotDone(Exception):
    """Runs have not ended in time."""


@dataclass(frozen=True, slots=True)
class Setup:
    """The workers of a side: ``processes`` of so many ``threads``, and the largest message in bytes (0: as the side has it)."""

    processes: int = 2
    threads: int = 16
    largest: int = 0


class Side(abc.ABC):
    """One of those that are measured. Its workers run between :meth:`open` and :meth:`close`."""

    name: ClassVar[str]
    shapes: frozenset[Shape]
    """What it can run."""
    longest_chain: int = 1_000
    """How many steps of a chain."""

    def __init__(self, place: Place, setup: Setup) -> None:
        self.place = place
        self.setup = setup
        self.workers = Processes(place, self.name)

    @abc.abstractmethod
    def open(self) -> None:
        """Connect the client, start the workers, and return when all of them consume."""

    @abc.abstractmethod
    def close(self) -> None:
        """End the workers, and take queues away. Harmless where it was not opened, or only in part."""

    @abc.abstractmethod
    def start(self, job: Job) -> Any:
        """Start a run; gives a handle to it."""

    @abc.abstractmethod
    def result(self, handle: Any, timeout: float = 60.0) -> Document:
        """Wait for the result of a run, at most ``timeout`` seconds, as this side's users do."""

    @abc.abstractmethod
    def ended(self, handles: Sequence[Any]) -> list[bool]:
        """Whether the results of runs are there, asked for in one round trip."""

    def start_all(self, jobs: Sequence[Job]) -> list[Any]:
        """Start runs in 8 threads, as fast as that goes; gives the handles in order."""
        with ThreadPoolExecutor(CLIENT_THREADS) as pool:
            parts = pool.map(
                self._start_each, [jobs[first::CLIENT_THREADS] for first in range(CLIENT_THREADS)]
            )
        handles: list[Any] = [None] * len(jobs)
        for first, part in enumerate(parts):
            handles[first::CLIENT_THREADS] = part
        return handles

    def wait_all(self, handles: Sequence[Any], timeout: float = 300.0) -> None:
        """Return when the results of all are there. Raises :class:`NotDone` after ``timeout`` seconds, or when a worker has ended."""
        began, left = time.monotonic(), list(handles)
        while left:
            head, tail = left[:_AT_ONCE], left[_AT_ONCE:]
            head = [one for one, ended in zip(head, self.ended(head), strict=True) if not ended]
            left = head + tail
            if head:
                self.workers.check()
                waited = time.monotonic() - began
                if waited > timeout:
                    raise NotDone(
                        f"{self.name}: {len(left)} of {len(handles)} runs have not ended in {timeout:g} s"
                    )
                time.sleep(max(_LOOK_EVERY, waited * _SHARE))

    def check_all(self, jobs: Sequence[Job], handles: Sequence[Any]) -> None:
        """Raises :class:`~bench.work.WrongResult` where a result is another than its job's."""
        for job, handle in zip(jobs, handles, strict=True):
            job.check(self.result(handle))

    def warm_up(self, runs: int = 40) -> None:
        """Have each kind of work done, so that nothing is done for the first time while it is measured."""
        jobs = [Job() for _ in range(runs)]
        jobs += [Job("fan-out") for _ in range(3) if "fan-out" in self.shapes]
        handles = self.start_all(jobs)
        self.wait_all(handles, timeout=90)
        self.check_all(jobs, handles)
        self.result(self.start(Job()))

    def _start_each(self, jobs: Sequence[Job]) -> list[Any]:
        return [self.start(job) for job in jobs]

    def __enter__(self) -> Self:
        try:
            self.open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
