"""Processes: the workers of one side, their output in files."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from amqp.exceptions import NotFound
from kombu import Connection

from bench.servers import Place

_ROOT = Path(__file__).resolve().parents[2]
_READY_WITHIN = 60.0  # seconds
_ENDS_WITHIN = 20.0  # seconds
_LAST_WORDS = 3_000  # characters


class WorkerEnded(Exception):
    """A worker ended while it was wanted; the message has the end of its log."""


class Processes:
    """Workers of one side."""

    def __init__(self, place: Place, name: str) -> None:
        self._place = place
        self._name = name
        self._started: list[tuple[subprocess.Popen[bytes], Path]] = []

    @property
    def pids(self) -> list[int]:
        """The processes that were started; they may have children."""
        return [process.pid for process, _ in self._started]

    def start(self, module: str, *arguments: str, environment: Mapping[str, str]) -> None:
        """Start ``python -m module`` with this environment and nothing else."""
        path = os.pathsep.join(
            filter(None, (str(_ROOT), str(_ROOT / "src"), environment.get("PYTHONPATH", "")))
        )
        log = self._place.log(f"{self._name}-{id(self):x}-{len(self._started)}")
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=_ROOT,
                env={**environment, "PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started.append((process, log))

    def check(self) -> None:
        """Raises :class:`WorkerEnded` where one has."""
        for process, log in self._started:
            if process.poll() is not None:
                words = log.read_text("utf-8", "replace")[-_LAST_WORDS:]
                raise WorkerEnded(f"a worker of {self._name} ended with status {process.returncode}\n{words}")

    def wait_consuming(self, queue: str, consumers: int) -> None:
        """Return when a queue has so many consumers. Raises :class:`WorkerEnded`, also where that takes more than 60 s."""
        until = time.monotonic() + _READY_WITHIN
        with Connection(self._place.broker_url) as connection:
            while _consumers(connection, queue) < consumers:
                self.check()
                if time.monotonic() > until:
                    words = self._started[0][1].read_text("utf-8", "replace")[-_LAST_WORDS:]
                    raise WorkerEnded(f"workers of {self._name} do not consume {queue}\n{words}")
                time.sleep(0.1)

    def end_last(self) -> None:
        """End the one that was started last."""
        self._end([self._started.pop()])

    def close(self) -> None:
        """Ask all to end, and kill what does not within 20 s, with its children."""
        self._end(self._started)
        self._started = []

    @staticmethod
    def _end(started: Sequence[tuple[subprocess.Popen[bytes], Path]]) -> None:
        for process, _ in started:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        until = time.monotonic() + _ENDS_WITHIN
        for process, _ in started:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(until - time.monotonic(), 0.1))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its session has no one else
            process.wait(10)


def delete_queues(place: Place, names: Sequence[str]) -> None:
    """Take queues away, with what is in them."""
    with Connection(place.broker_url) as connection:
        for name in names:
            with contextlib.suppress(NotFound), connection.channel() as channel:
                channel.queue_delete(name)


def _consumers(connection: Connection, queue: str) -> int:
    try:
        with connection.channel() as channel:
            return int(channel.queue_declare(queue, passive=True).consumer_count)
    except NotFound:
        return 0
