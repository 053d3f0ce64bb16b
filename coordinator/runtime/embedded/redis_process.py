"""Redis process: a `redis-server` of this machine, started as a child for one embedded coordinator and ended with it."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

from redis import Redis, UnixDomainSocketConnection

from handoffs.config.forks import after_fork, leave
from handoffs.config.settings import Settings
from handoffs.contracts.errors import CoordinationError
from handoffs.contracts.text import printable
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.store.server import connect

PROGRAM = "redis-server"
_OLDEST = (7, 0)
_START_WITHIN = 5.0  # seconds
_END_WITHIN = 5.0  # seconds
_NOTICED_WITHIN = 1.0  # seconds, from its end until the thread that watches it knows
_PAUSES = (0.002, 0.02)  # seconds, the shortest and the longest
_LONGEST_PATH = 103  # octets of a socket's path: macOS takes no more, Linux 107
_LAST_LINES = 3
_OPTIONS = {
    "port": "0",
    "unixsocketperm": "700",
    "save": "",
    "appendonly": "no",
    "maxmemory-policy": "noeviction",
    "databases": "1",
    "daemonize": "no",
    "loglevel": "warning",
}

# It ends the server, and removes its folder, when its input is closed: the kernel closes that for a process that ends, however it ends.
# All of it is one process group, in a session of its own: Ctrl-C in a terminal does not reach it, and none of it is left.
_KEEPER = """
folder=$1
shift
exec 3<&0 </dev/null
"$@" 3<&- &
server=$!
{ read -r _ <&3; rm -rf -- "$folder"; kill -KILL 0; } &
exec 3<&-
wait "$server"
echo "it ended with status $?"
rm -rf -- "$folder"
kill -KILL 0
"""

_log = logging.getLogger(__name__)


class NoRedisServer(CoordinationError):
    """No `redis-server` can be had on this machine; its cause says why."""


class RedisProcess:
    """A `redis-server` with a socket in a private folder, no TCP port and nothing on the disk.

    It ends with this process, however that ends, and with :meth:`close`. Where it ends before, every call of its client raises
    :class:`~handoffs.coordinator.errors.ServerError`, for what it had is lost.
    """

    def __init__(self, settings: Settings) -> None:
        """Start it, and return when it answers.

        Raises :class:`NoRedisServer` where there is none, it is older than 7.0, or does not answer within 5 seconds.
        """
        program = shutil.which(PROGRAM)
        if program is None:
            raise NoRedisServer(f"there is no {PROGRAM} on PATH")
        self._over = threading.Event()
        self._answers = self._closed = False
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        self._folder = _private_folder()
        self.socket = self._folder / "redis"
        try:
            self._process, pipe = _started(program, self._folder, self.socket)
        except OSError as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise NoRedisServer(f"{program} cannot be started: {error.strerror or error}") from error
        self._pipe: int | None = pipe
        after_fork(self, RedisProcess._forked)
        self._watch = threading.Thread(target=self._listen, name="embedded-redis", daemon=True)
        self._watch.start()
        try:
            self._await_answer(program, time.monotonic() + _START_WITHIN)
        except BaseException:
            self.close()
            raise
        self.client: Redis = connect("unix:///", settings.server_timeout, _line_to(self))

    def check(self) -> None:
        """Raise :class:`~handoffs.coordinator.errors.ServerError` where it has ended."""
        if self._closed or self._over.is_set():
            raise ServerError(
                f"the {PROGRAM} of this embedded coordinator {'was closed' if self._closed else self._end()}",
                "what it had of runs is lost",
                "make another Coordinator; for servers of your own set COORDINATOR_BROKER_URL and COORDINATOR_REDIS_URL",
            )

    def notice(self) -> None:
        """The same for who cannot connect: that it has ended may be known a moment later."""
        self._over.wait(_NOTICED_WITHIN)
        self.check()

    def close(self) -> None:
        """End it, and remove its folder. Does nothing in a child that was forked, nor the second time."""
        self._closed = True
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            os.close(pipe)
            self._watch.join(_END_WITHIN)
            shutil.rmtree(self._folder, ignore_errors=True)

    def _forked(self) -> None:
        """In a child that was forked: it is the parent's, and nothing here must keep it alive."""
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            os.close(pipe)
        leave(self._process)

    def _listen(self) -> None:
        """Keep its last words until it has ended, and say that it has."""
        said: Any = self._process.stdout
        with said:
            for line in said:
                self._last.append(printable(line.decode(errors="replace").strip(), 200))
        self._process.wait()
        self._over.set()
        if self._answers and not self._closed:
            _log.error(
                "the %s of an embedded coordinator %s: what it had of runs is lost", PROGRAM, self._end()
            )

    def _end(self) -> str:
        return ": ".join(["has ended", *([" | ".join(self._last)] if self._last else [])])

    def _await_answer(self, program: str, until: float) -> None:
        """Wait until it says which version it is."""
        pause, longest = _PAUSES
        while not (said := self._said(until)):
            if self._over.is_set():
                raise NoRedisServer(f"{program} {self._end()}")
            if time.monotonic() >= until:
                raise NoRedisServer(f"{program} does not answer within {_START_WITHIN:g} s")
            self._over.wait(pause)
            pause = min(2 * pause, longest)
        version = re.search(rb"redis_version:((\d+)\.(\d+)\S*)", said)
        if version is None:
            raise NoRedisServer(
                f"{program} is no Redis: it says {printable(said[:80].decode(errors='replace'), 80)}"
            )
        if (int(version[2]), int(version[3])) < _OLDEST:
            raise NoRedisServer(f"{program} is version {version[1].decode()}, and 7.0 or newer is needed")
        self._answers = True

    def _said(self, until: float) -> bytes:
        """What it answers; nothing where it does not listen yet, or says nothing in time."""
        said = b""
        with socket.socket(socket.AF_UNIX) as line, contextlib.suppress(OSError):
            line.settimeout(max(until - time.monotonic(), 0.01))
            line.connect(str(self.socket))
            line.sendall(b"INFO server\r\n")
            while b"redis_version:" not in said or not said.endswith(b"\n"):
                part = line.recv(65_536)
                if not part:
                    break
                said += part
                if said.startswith(b"-"):
                    break
        return said


def _line_to(process: RedisProcess) -> type[UnixDomainSocketConnection]:
    """The class of the connections to a process: it knows where that is, and whether it is still there."""

    class Line(UnixDomainSocketConnection):
        def _connect(self) -> Any:
            process.check()
            self.path = str(process.socket)
            try:
                return super()._connect()  # type: ignore[no-untyped-call]
            except OSError:
                process.notice()
                raise

    return Line


def _private_folder() -> Path:
    """A new folder for nobody else, whose name leaves room for that of a socket."""
    why = ""
    for place in (None, "/tmp"):  # noqa: S108 - what is made in it has a name that nobody knows, and is private
        try:
            folder = Path(tempfile.mkdtemp(prefix="redis-", dir=place))
        except OSError as error:
            why = why or f"no folder can be made for its socket: {error.strerror or error}"
            continue
        if len(os.fsencode(folder / "redis")) <= _LONGEST_PATH:
            return folder
        folder.rmdir()
        why = why or f"the path of its socket would be too long: {printable(folder, 200)}"
    raise NoRedisServer(why)


def _started(program: str, folder: Path, path: Path) -> tuple[subprocess.Popen[bytes], int]:
    """The keeper with the server, and the end of a pipe: closing that ends them."""
    options = [part for name, value in _OPTIONS.items() for part in (f"--{name}", value)]
    reading, writing = os.pipe()
    try:
        keeper = subprocess.Popen(  # noqa: S603 - the program is the one that PATH names
            ["/bin/sh", "-c", _KEEPER, "embedded-redis", str(folder), program, *options, "--dir", str(folder), "--unixsocket", str(path)],
            stdin=reading,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    except BaseException:
        os.close(writing)
        raise
    finally:
        os.close(reading)
    return keeper, writing
