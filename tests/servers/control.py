"""Stopping, killing and starting servers in the middle of a test."""

import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager

from tests.servers.model import Backend, Name
from tests.servers.ready import wait_ready


class Control:
    """Takes servers down and up; each keeps its data, its port and its URL.

    Seen on two cores, in seconds:

    ========  ======  ========  =====  ========
    kind      method  rabbitmq  redis  postgres
    ========  ======  ========  =====  ========
    system    stop    1.1       0.1    0.1
    system    kill    0.1       0.1    0.1
    system    start   6.2       0.1    0.1
    docker    stop    1.2       0.2    0.2
    docker    kill    0.2       0.2    0.2
    docker    start   4.4       0.3    0.4
    ========  ======  ========  =====  ========

    Every method raises `ServersUnavailable` where the server was given by a TEST_..._URL variable, and where it
    does not come up in time.
    """

    def __init__(self, backends: dict[Name, Backend]) -> None:
        self._backends = backends
        self._given_up = threading.Event()

    def url(self, name: Name) -> str:
        """Where the server listens, up or down."""
        return self._backends[name].url(name)

    def create_all(self) -> dict[Name, str]:
        """Start every server for the first time, all at once, and return their versions.

        Raises
        ------
        ServersUnavailable
            One of them did not become ready; the others may be running.
        """
        with ThreadPoolExecutor(len(self._backends)) as pool:
            jobs = {name: pool.submit(self._create, name) for name in self._backends}
            try:
                done, _ = wait(jobs.values(), return_when=FIRST_EXCEPTION)
                for job in done:
                    job.result()  # the failure that ended the wait, if any
                return {name: job.result() for name, job in jobs.items()}
            finally:
                self._given_up.set()

    def stop(self, name: Name) -> None:
        """Ask the server to end in good order, and wait until it has."""
        self._backends[name].stop(name)

    def kill(self, name: Name) -> None:
        """End the server as by SIGKILL: it writes nothing more and says goodbye to nobody."""
        self._backends[name].kill(name)

    @contextmanager
    def frozen(self, name: Name) -> Iterator[None]:
        """For the block, the server takes connections and answers nothing."""
        self._backends[name].freeze(name)
        try:
            yield
        finally:
            self._backends[name].thaw(name)

    @contextmanager
    def alarm(self) -> Iterator[None]:
        """For the block, RabbitMQ has too little memory by its own account: it takes no messages."""
        self._watermark("1MB")
        try:
            yield
        finally:
            self._watermark("2GB")

    def _watermark(self, memory: str) -> None:
        words = ("rabbitmqctl", "set_vm_memory_high_watermark", "absolute", memory)
        self._backends["rabbitmq"].call("rabbitmq", *words)

    def start(self, name: Name) -> None:
        """Start the server again, and wait until it serves."""
        self._backends[name].start(name)
        wait_ready(self._backends[name], name, threading.Event())

    def restart(self, name: Name) -> None:
        """Stop the server in good order and start it again."""
        self.stop(name)
        self.start(name)

    def ensure_running(self) -> None:
        """Start every server that a test left down."""
        for name, backend in self._backends.items():
            if not backend.is_running(name):
                self.start(name)

    def close(self) -> None:
        """End all servers and delete their data."""
        self._given_up.set()
        for backend in set(self._backends.values()):
            backend.close()

    def _create(self, name: Name) -> str:
        backend = self._backends[name]
        backend.create(name)
        return wait_ready(backend, name, self._given_up)
