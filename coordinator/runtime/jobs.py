"""Jobs: what a process does again and again, each job in a thread of its own, and what keeps it from that."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kombu.exceptions import OperationalError

from handoffs.contracts.errors import CoordinationError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """Work that is done again ``pause`` seconds after it was done, or failed."""

    name: str
    work: Callable[[], object]
    pause: float


class Jobs:
    """The jobs of one process: daemon threads, until :attr:`stopping` is set. What fails is logged and tried again."""

    def __init__(self, process: str) -> None:
        """``process`` is what the names of the threads begin with."""
        self.stopping = threading.Event()
        self._process = process
        self._threads: list[threading.Thread] = []
        self._faults: dict[str, str] = {}

    def start(self, jobs: Iterable[Job]) -> None:
        """Start ``jobs``, in their order."""
        for job in jobs:
            thread = threading.Thread(
                target=self._repeat, args=(job,), name=f"{self._process}-{job.name}", daemon=True
            )
            thread.start()
            self._threads.append(thread)

    def stop(self, timeout: float) -> None:
        """Have all end, and wait for them up to ``timeout`` seconds."""
        self.stopping.set()
        until = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(until - time.monotonic(), 0))

    def works(self, name: str) -> None:
        """Note that a job does its work: of one that does not end, this is known before it ends."""
        self._faults.pop(name, None)

    def fails(self, name: str, error: Exception) -> None:
        """Note what keeps a job from its work: of one that goes on waiting, this is known before it ends. The log says it once, and
        again when it is something else."""
        known, self._faults[name] = self._faults.get(name), " ".join(str(error).split())
        level = logging.DEBUG if known == self._faults[name] else logging.WARNING
        _log.log(level, "%s; trying again", error)

    def fault(self) -> str:
        """What keeps a job from its work now, in a line; empty where all do theirs."""
        dead = [f"{thread.name} has ended" for thread in self._threads if not thread.is_alive()]
        return "; ".join([*dict.fromkeys(self._faults.values()), *dead])

    def _repeat(self, job: Job) -> None:
        while not self.stopping.is_set():
            try:
                job.work()
                self.works(job.name)
            except (CoordinationError, OperationalError, OSError) as error:
                self.fails(job.name, error)
            except BaseException as error:  # noqa: BLE001 - a fault of ours must not end its other work, and must be seen
                self._faults[job.name] = f"{job.name}: {type(error).__name__}"
                _log.exception("the %s process had a fault; trying again", self._process)
            self.stopping.wait(job.pause)
