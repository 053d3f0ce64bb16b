"""Programs: the workers and the coordinator process of a show on real servers."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from handoffs.config.settings import Settings, environment
from handoffs.contracts import CoordinationError
from handoffs.contracts.text import printable
from handoffs.coordinator import Coordinator
from handoffs.tasks.attendance import consumers

_PATIENCE = 60.0  # seconds, until all consume
_FAREWELL = 15.0  # seconds
_LONGEST_NAMESPACE: Final = 28


def on_servers(settings: Settings, system: str) -> Settings:
    """The settings of a show of a reference system: everything as it is, in a namespace of its own."""
    namespace = f"{settings.namespace[:_LONGEST_NAMESPACE]}-{system}-demo".strip("-")
    return settings.model_copy(update={"namespace": namespace, "agents": (f"handoffs.tasks.{system}",)})


class Programs:
    """Processes of the installation that ``client`` is one of. Leaving it ends them all.

    Raises :class:`~handoffs.contracts.CoordinationError` where a worker of one of ``agents`` runs already.
    """

    def __init__(self, client: Coordinator, agents: Iterable[str]) -> None:
        self._client = client
        topology = client.engine.topology
        self._timers = str(topology.timers.name)
        if any(consumers(client.engine.app, map(topology.queue_name, agents)).values()):
            raise CoordinationError(
                f"a worker runs in the namespace {client.settings.namespace} already",
                "nothing was started",
                "let the other show end, or set COORDINATOR_NAMESPACE to another name",
            )
        self._folder = tempfile.TemporaryDirectory(prefix="coordinator-show-", ignore_cleanup_errors=True)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._queues: dict[str, list[str]] = {}

    def worker(
        self, name: str, agents: Iterable[str], *, threads: int = 8, settings: Settings | None = None
    ) -> None:
        """Start a worker of the agents, with settings of its own where they are given, and return at once."""
        agents = list(agents)
        options = ["--pool", "threads", "--concurrency", str(threads), "--name", name]
        self._start(name, settings or self._client.settings, "worker", *agents, *options)
        self._queues[name] = [self._client.engine.topology.queue_name(agent) for agent in agents]

    def serve(self) -> None:
        """Start the coordinator process, and return at once."""
        self._start("serve", self._client.settings, "serve")
        self._queues["serve"] = [self._timers]

    def clear(self, agents: Iterable[str]) -> None:
        """Drop what waits for agents: its sender has ended, with everything that it speaks of."""
        with self._client.engine.app.connection_for_write() as connection:
            for agent in agents:
                with suppress(*connection.channel_errors), connection.channel() as channel:
                    channel.queue_purge(self._client.engine.topology.queue_name(agent))

    def kill(self, name: str) -> None:
        """End a program at once, as a power failure does."""
        process = self._running.pop(name)
        process.kill()
        process.wait()

    def stop(self, *names: str) -> None:
        """Tell programs to stop: they finish what they have begun, for at most 15 seconds."""
        _end([self._running.pop(name) for name in names])

    def processes(self) -> dict[str, int]:
        """The process ids of those that run, by name."""
        return {name: process.pid for name, process in self._running.items() if process.poll() is None}

    def wait_ready(self) -> None:
        """Return when every program consumes from all its queues.

        Raises :class:`~handoffs.contracts.CoordinationError` where one has ended, or a minute has passed.
        """
        deadline = time.monotonic() + _PATIENCE
        wanted = Counter(queue for name in self._running for queue in self._queues[name])
        while lacking := self._lacking(wanted):
            for name, process in self._running.items():
                late = time.monotonic() > deadline and not lacking.isdisjoint(self._queues[name])
                if process.poll() is not None or late:
                    raise CoordinationError(
                        f"the program {name} of the show does not work: {self._last_line(name)}",
                        "the show was not begun, or broken off",
                        "try it alone: coordinator worker AGENT, or coordinator serve",
                    )
            time.sleep(0.05)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _end(list(self._running.values()))
        self._folder.cleanup()

    def _start(self, name: str, settings: Settings, *arguments: str) -> None:
        with self._log(name).open("ab") as log:
            self._running[name] = subprocess.Popen(  # noqa: S603 - our own command line
                [sys.executable, "-m", "handoffs.coordinator", *arguments],
                env=environment(settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the show, which ends them
            )

    def _lacking(self, wanted: Counter[str]) -> set[str]:
        """The queues that not so many consume yet."""
        there = consumers(self._client.engine.app, wanted)
        return {queue for queue, count in wanted.items() if there[queue] < count}

    def _log(self, name: str) -> Path:
        return Path(self._folder.name) / f"{name}.log"

    def _last_line(self, name: str) -> str:
        lines = self._log(name).read_text("utf-8", "replace").strip().splitlines()
        return printable(lines[-1], 300) if lines else "it wrote nothing"


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + _FAREWELL
    for process in processes:
        try:
            process.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
