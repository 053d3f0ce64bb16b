"""Programs: the workers and the coordinator process of a show on real servers."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from config.settings import RidesSettings, Settings, environment
from contracts.errors import CoordinationError
from contracts.text import printable
from coordinator.client import Coordinator

_THREADS: Final = 8
_PATIENCE = 60.0  # seconds, until all consume
_FAREWELL = 15.0  # seconds


def on_servers(settings: Settings) -> Settings:
    """The settings of a show: everything as it is, in a namespace of its own."""
    namespace = f"{settings.namespace[:28]}-rides-demo".strip("-")
    return settings.model_copy(update={"namespace": namespace, "agents": ("tasks.rides",)})


class Programs:
    """Processes of one installation. Leaving it ends them all."""

    def __init__(self, client: Coordinator) -> None:
        self._client = client
        topology = client.engine.topology
        self._timers = str(topology.timers.name)
        agents = ("rides.eta", "rides.matching")
        if any(self._consumers(topology.queue_name(agent)) for agent in agents):
            raise CoordinationError(
                f"somebody works in the namespace {client.settings.namespace} already",
                "nothing was started",
                "let the other show end, or set COORDINATOR_NAMESPACE to another name",
            )
        self._folder = tempfile.TemporaryDirectory(prefix="coordinator-rides-", ignore_cleanup_errors=True)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._queues: dict[str, list[str]] = {}

    def worker(self, name: str, agents: Iterable[str], delay: timedelta | None = None) -> None:
        """Start a worker of the agents, with ETA answering so much later, and return at once."""
        agents = list(agents)
        settings = self._client.settings.model_copy(update={"rides": RidesSettings(eta_delay=delay)})
        options = ["--pool", "threads", "--concurrency", str(_THREADS), "--name", name]
        self._start(name, settings, "worker", *agents, *options)
        self._queues[name] = [self._client.engine.topology.queue_name(agent) for agent in agents]

    def serve(self) -> None:
        """Start the coordinator process, and return at once."""
        self._start("serve", self._client.settings, "serve")
        self._queues["serve"] = [self._timers]

    def kill(self, name: str) -> None:
        """End a program at once, as a power failure does."""
        process = self._running.pop(name)
        process.kill()
        process.wait()

    def wait_ready(self) -> None:
        """Return when every program consumes from all its queues.

        Raises :class:`~contracts.errors.CoordinationError` where one has ended, or a minute has passed.
        """
        deadline = time.monotonic() + _PATIENCE
        waiting = [(name, queue) for name in self._running for queue in self._queues[name]]
        while waiting:
            waiting = [(name, queue) for name, queue in waiting if not self._consumers(queue)]
            for name in {name for name, _ in waiting}:
                if self._running[name].poll() is not None or time.monotonic() > deadline:
                    raise CoordinationError(
                        f"the program {name} of the show does not work: {self._last_line(name)}",
                        "no ride was started, or the show was broken off",
                        "try it alone: coordinator worker rides.eta, or coordinator serve",
                    )
            time.sleep(0.05)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._running.values():
            process.terminate()
        deadline = time.monotonic() + _FAREWELL
        for process in self._running.values():
            try:
                process.wait(max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._folder.cleanup()

    def _start(self, name: str, settings: Settings, *arguments: str) -> None:
        with self._log(name).open("ab") as log:
            self._running[name] = subprocess.Popen(  # noqa: S603 - our own command line
                [sys.executable, "-m", "coordinator", *arguments],
                env=environment(settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the show, which ends them
            )

    def _consumers(self, queue: str) -> int:
        """How many consume a queue; none where there is no such queue."""
        with self._client.engine.app.connection_for_read() as connection:
            try:
                found: Any = connection.default_channel.queue_declare(queue, passive=True)
            except connection.channel_errors:
                return 0
            return int(found.consumer_count)

    def _log(self, name: str) -> Path:
        return Path(self._folder.name) / f"{name}.log"

    def _last_line(self, name: str) -> str:
        lines = self._log(name).read_text("utf-8", "replace").strip().splitlines()
        return printable(lines[-1], 300) if lines else "it said nothing"
