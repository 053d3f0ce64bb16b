"""CPU: how much processor time groups of processes take, their children included."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

import psutil

_HERE = frozenset({"localhost", "127.0.0.1", "::1"})


class Meter:
    """Seconds of processor time that groups of processes, and the children that they have when it is made, have taken since then, or
    since it was read the last time. ``client`` is this process, without its children: the workers of all sides are among them."""

    def __init__(self, groups: Mapping[str, Iterable[int]]) -> None:
        self._groups = {
            name: [one for process in processes for one in _family(process)]
            for name, processes in groups.items()
        } | {"client": [psutil.Process()]}
        self._before = self._now()

    def read(self) -> dict[str, float]:
        """Seconds by group; what has ended meanwhile counts for what its parent knows of it."""
        now, before = self._now(), self._before
        self._before = now
        return {name: round(max(now[name] - before[name], 0.0), 4) for name in now}

    def _now(self) -> dict[str, float]:
        return {
            name: sum(_seconds(one, alone=name == "client") for one in processes)
            for name, processes in self._groups.items()
        }


def memory_mb(processes: Iterable[int]) -> float:
    """The resident memory of processes and their children, in MB."""
    return round(sum(_resident(one) for process in processes for one in _family(process)) / 2**20, 1)


def server_processes(broker_url: str, redis_url: str) -> dict[str, list[int]]:
    """The processes of RabbitMQ and Redis, and of Docker's proxy where there is one; a server on another machine has none."""
    found: dict[str, list[int]] = {}
    for name, url in (("RabbitMQ", broker_url), ("Redis", redis_url)):
        for kind, process in _serving(url).items():
            found.setdefault(kind or name, []).append(process)
    return found


def seconds_at(url: str) -> float:
    """How much processor time the server at ``url`` has taken by now, with the processes that it has now; 0 of one on another machine."""
    server = _serving(url).get("")
    return sum(_seconds(one, alone=False) for one in _family(server)) if server else 0.0


def _serving(url: str) -> dict[str, int]:
    """The first process of a server, under an empty name, and Docker's proxy where there is one."""
    parts = urlsplit(url)
    if parts.hostname not in _HERE or parts.port is None:
        return {}
    listener, container = _listener(parts.port), _container(parts.port)
    if container is None:
        return {} if listener is None else {"": listener}
    return {"": container} | ({} if listener is None else {"Docker's proxy": listener})


def load() -> float:
    """How many processes wanted to run, on average over the last minute."""
    return os.getloadavg()[0]


def settle(seconds: float = 0.3) -> None:
    """Let what the last round left behind come to rest."""
    time.sleep(seconds)


def _family(process: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(process)
        return [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return []


def _seconds(process: psutil.Process, *, alone: bool) -> float:
    """Of a process, and unless ``alone`` of the children that it has waited for."""
    with contextlib.suppress(psutil.Error):
        return float(sum(process.cpu_times()[: 2 if alone else 4]))
    return 0.0


def _resident(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0


def _listener(port: int) -> int | None:
    with contextlib.suppress(psutil.Error):
        for found in psutil.net_connections("tcp"):
            if found.status == psutil.CONN_LISTEN and found.laddr.port == port and found.pid:
                return int(found.pid)
    return None


def _container(port: int) -> int | None:
    """The first process of the container that publishes a port, where this machine's kernel runs it."""
    names = _docker("ps", "--quiet", "--filter", f"publish={port}").split()
    if not names:
        return None
    pid = _docker("inspect", "--format={{.State.Pid}}", names[0]).strip()
    return int(pid) if pid.isdigit() and psutil.pid_exists(int(pid)) else None


def _docker(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["docker", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
