"""Real workers, coordinator processes and their clients, as a test starts, kills and freezes them."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psutil
import psycopg
from amqp.exceptions import NotFound

from handoffs.config.settings import Settings
from handoffs.coordinator.client.coordinator import Coordinator
from tests.servers import Servers
from tests.waiting import wait_until

_ROOT = Path(__file__).resolve().parent.parent
FLOWER_LOGIN = "ada:secret"
_LAST_WORDS = 6_000  # characters
_STOPS_WITHIN = 60.0
"""Seconds. A child of billiard's pool now and then misses that its last result was taken, and waits 30 s for that before it ends."""


@dataclass
class Installation:
    """One installation of the product on the test's servers: a namespace, its settings, and who runs in it.

    Attributes
    ----------
    servers, namespace, journal_url
        Where it is.
    folder
        For logs, and for what the agents of a test write down.
    settings
        More settings, by their names without ``COORDINATOR_``, in the form of the environment.
    """

    servers: Servers
    namespace: str
    journal_url: str
    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    _programs: list[Program] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """What a program of this installation finds in its environment."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("COORDINATOR_")}
        ours = {
            "BROKER_URL": self.servers.broker_url,
            "REDIS_URL": self.servers.redis_url,
            "JOURNAL_URL": self.journal_url,
            "NAMESPACE": self.namespace,
            "LOG_LEVEL": "INFO",
            "UNPUBLISHED_AFTER": "2s",
            **self.settings,
        }
        path = os.pathsep.join(filter(None, (str(_ROOT), str(_ROOT / "src"), clean.get("PYTHONPATH", ""))))
        settings = {f"COORDINATOR_{name}": value for name, value in ours.items()}
        others = {"PYTHONPATH": path, "TEST_FOLDER": str(self.folder), "FLOWER_BASIC_AUTH": FLOWER_LOGIN}
        return {**clean, **settings, **others}

    def client(self) -> Coordinator:
        """A client in the test's own process; the caller closes it."""
        names = {name.lower(): value for name, value in self.settings.items() if "__" not in name}
        return Coordinator(
            Settings(
                broker_url=self.servers.broker_url,
                redis_url=self.servers.redis_url,
                journal_url=self.journal_url,
                namespace=self.namespace,
                **names,  # type: ignore[arg-type]
            )
        )

    def worker(
        self,
        *agents: str,
        pool: str = "prefork",
        concurrency: int = 4,
        wait: bool = True,
        name: str = "",
        **settings: str,
    ) -> Worker:
        """Start a worker of the agents, with settings of its own beside the installation's, and return when it consumes
        (or at once, without ``wait``)."""
        worker = Worker(self, agents, pool, concurrency, name or f"w{len(self._programs) + 1}", settings)
        self._programs.append(worker)
        worker.start()
        if wait:
            worker.wait_ready()
        return worker

    def coordinator_process(self, *, wait: bool = True) -> CoordinatorProcess:
        """Start a coordinator process, and return when it drains dead letters (or at once, without ``wait``)."""
        process = CoordinatorProcess(self, f"c{len(self._programs) + 1}")
        self._programs.append(process)
        process.start()
        if wait:
            process.wait_ready()
        return process

    def beat(self) -> Program:
        """Start a beat, and return when it beats."""
        beat = self.program(f"b{len(self._programs) + 1}", "beat")

        def beats() -> bool:
            assert beat.running, f"it ended\n{beat.last_words()}"
            return "coordinator: beat" in beat.log()

        wait_until(beats, description=f"the beat beats\n{beat.last_words()}", timeout=30)
        return beat

    def program(self, name: str, *arguments: str, **settings: str) -> Program:
        """Start the command line with these arguments and settings of its own, and return at once."""
        program = Program(self, name, [sys.executable, "-m", "handoffs.coordinator", *arguments], settings)
        self._programs.append(program)
        program.start()
        return program

    def queue_name(self, agent: str) -> str:
        """The queue of an agent."""
        return f"{self.namespace}.{agent}"

    def logs(self) -> str:
        """Everything that the programs have said."""
        return "".join(program.log() for program in self._programs)

    def close(self) -> None:
        """End all programs, and delete queues and keys."""
        for program in self._programs:
            program.kill()
        with self.client() as client:
            with client.engine.app.connection_for_write() as connection:
                for queue in self._queues(client):
                    with contextlib.suppress(NotFound), connection.channel() as channel:
                        channel.queue_delete(queue)
            keys = list(client.engine.store.redis.scan_iter(f"{self.namespace}.*", count=1000))
            if keys:
                client.engine.store.redis.delete(*keys)

    def _queues(self, client: Coordinator) -> list[str]:
        agents = [self.queue_name(agent) for agent in client.flows.agents]
        topology = client.engine.topology
        return [*agents, topology.dead_letters.name, topology.timers.name, topology.unheard_events.name]


class Program:
    """A process of an installation, in a session of its own, its output in a file."""

    def __init__(
        self,
        installation: Installation,
        name: str,
        command: list[str],
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.name = name
        self._settings = {f"COORDINATOR_{name}": value for name, value in settings.items()}
        self._command = command
        self._installation = installation
        self._path = installation.folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process that was started; its children are the pool's."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def status(self) -> int | None:
        """With what it has ended; none where it has not."""
        return self._process.poll() if self._process is not None else None

    def start(self) -> None:
        """Start it, once more if it has ended."""
        with self._path.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=_ROOT,
                env={**self._installation.environment, **self._settings},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def log(self) -> str:
        """What it has said."""
        return self._path.read_text("utf-8", "replace") if self._path.exists() else ""

    def last_words(self) -> str:
        """The end of its log, for an error message."""
        return f"--- {self.name} ---\n{self.log()[-_LAST_WORDS:]}"

    def kill(self) -> None:
        """End it and its children at once: nobody of them says goodbye."""
        if self._process is None:
            return
        for process in self._family():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait(10)

    def stop(self, timeout: float = _STOPS_WITHIN) -> None:
        """Ask it to end in good order, and wait until it has."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"it did not stop within {timeout} s\n{self.last_words()}") from None

    def freeze(self) -> None:
        """Stop the clock for it and its children, as a hypervisor or a full disk does."""
        for process in self._family():
            process.suspend()

    def thaw(self) -> None:
        """Let it go on."""
        for process in self._family():
            process.resume()

    def _family(self) -> list[psutil.Process]:
        """It and its children. A killed parent has no children any more, but they are in its session still."""
        assert self._process is not None
        session = self._process.pid
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                if process.pid == session or os.getsid(process.pid) == session:
                    found.append(process)
        return found


class Worker(Program):
    """A Celery worker, as an operator starts it."""

    def __init__(
        self,
        installation: Installation,
        agents: tuple[str, ...],
        pool: str,
        concurrency: int,
        name: str,
        settings: Mapping[str, str],
    ) -> None:
        self.node = f"{name}@{installation.namespace}"
        self._queues = [installation.queue_name(agent) for agent in agents]
        super().__init__(
            installation,
            name,
            [
                *(
                    sys.executable,
                    "-m",
                    "celery",
                    "-A",
                    "handoffs.coordinator.worker",
                    "worker",
                    "-n",
                    self.node,
                ),
                *("-P", pool, "-c", str(concurrency), "-Q", ",".join(self._queues)),
                *("--without-mingle", "--without-gossip"),
            ],
            settings,
        )
        self._ended = threading.Event()
        self._supervisor: threading.Thread | None = None
        self.restarts = 0

    def wait_ready(self) -> None:
        """Wait until it consumes all its queues."""
        with self._installation.client() as client:
            app = client.engine.app

            def consumes() -> bool:
                assert self.running, f"it ended\n{self.last_words()}"
                if "ready." not in self.log():
                    return False
                with app.connection_for_read() as connection:
                    return all(depth(connection, queue)[1] for queue in self._queues)

            wait_until(consumes, description=f"worker {self.name} consumes\n{self.last_words()}", timeout=30)

    def supervise(self) -> None:
        """Start it again whenever it ends, as an orchestrator would, until the test is over."""

        def watch() -> None:
            while not self._ended.wait(0.1):
                if not self.running and not self._ended.is_set():
                    self.restarts += 1
                    self.start()

        self._supervisor = threading.Thread(target=watch, daemon=True)
        self._supervisor.start()

    def kill(self) -> None:
        self._unsupervised()
        super().kill()

    def stop(self, timeout: float = _STOPS_WITHIN) -> None:
        self._unsupervised()
        super().stop(timeout)

    def _unsupervised(self) -> None:
        self._ended.set()
        if self._supervisor is not None:
            self._supervisor.join()
            self._supervisor = None


class CoordinatorProcess(Program):
    """The coordinator process: drains dead letters and history, publishes what a crash left behind."""

    def __init__(self, installation: Installation, name: str) -> None:
        super().__init__(installation, name, [sys.executable, "-m", "handoffs.coordinator", "serve"])

    def wait_ready(self) -> None:
        """Wait until it drains."""

        def serves() -> bool:
            assert self.running, f"it ended\n{self.last_words()}"
            return "serving" in self.log()

        wait_until(serves, description=f"the coordinator process serves\n{self.last_words()}", timeout=30)


def depth(connection: Any, queue: str) -> tuple[int, int]:
    """How many messages wait in a queue, and how many consumers it has; none where there is no such queue."""
    try:
        with connection.channel() as channel:
            found = channel.queue_declare(queue, passive=True)
    except NotFound:
        return 0, 0
    return found.message_count, found.consumer_count


@contextlib.contextmanager
def open_installation(servers: Servers, folder: Path, **settings: str) -> Iterator[Installation]:
    """An installation of its own, with an empty journal in PostgreSQL; everything of it is gone afterwards."""
    namespace = f"t{secrets.token_hex(4)}"
    url = f"{servers.postgres_url.rpartition('/')[0]}/{namespace}"
    shop = {
        "AGENTS": "tests.integration.shop",
        "CONTRACTS_ENFORCED": "false",
    }  # nobody publishes its contracts
    ours = settings if "AGENTS" in settings else {**shop, **settings}
    installation = Installation(servers, namespace, url, folder, ours)
    with psycopg.connect(servers.postgres_url, autocommit=True) as connection:
        connection.execute(f"create database {namespace}".encode())
    try:
        yield installation
    finally:
        installation.close()
        with psycopg.connect(servers.postgres_url, autocommit=True) as connection:
            connection.execute(f"drop database if exists {namespace} with (force)".encode())
