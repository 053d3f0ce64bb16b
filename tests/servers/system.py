"""The servers as processes of this machine's own programs."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TypedDict

import psutil

from tests.servers.model import Backend, Name, ServersUnavailable
from tests.servers.reaper import Reaper
from tests.servers.recipes import base_environment, recipe

_PREPARE_SECONDS = 60
_STOP_SECONDS = 30
_LOG_LINES = 5
# A server ends with its process group; what it has put elsewhere (PostgreSQL does) notices and follows at once.
_REAP = """
for group in "$1"/*.group; do [ -e "$group" ] && kill -s KILL -- "-$(cat "$group")"; done
for try in 1 2 3 4 5 6 7 8 9 10; do rm -rf "$1" && break; sleep 0.2; done
"""


class _Identity(TypedDict, total=False):
    """The arguments of subprocess that give up root."""

    user: str
    group: int
    extra_groups: list[int]


class System(Backend):
    """One folder and one process group a server; as root, they run as `nobody`, for PostgreSQL refuses root."""

    kind = "system"

    def __init__(self, names: Iterable[Name]) -> None:
        self._identity, self._base = _identity_and_folder()
        self._reaper = Reaper(_REAP, str(self._base))
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._recipes = {name: recipe(name, self._base / name) for name in names}

    def create(self, name: Name) -> None:
        """Write its files, prepare its data, start it."""
        folder = self._base / name
        self._own(folder, make_folder=True)
        for file, text in self._recipes[name].files.items():
            (folder / file).write_text(text)
            self._own(folder / file)
        if prepare := self._recipes[name].prepare:
            self._spawn(f"{name}-prepare", name, prepare)
            if self._processes[f"{name}-prepare"].wait(_PREPARE_SECONDS) != 0:
                raise ServersUnavailable(f"servers: {prepare[0]} failed: {self.last_words(name)}")
        if companion := self._recipes[name].companion:
            self._spawn(f"{name}-companion", name, companion)
        self.start(name)

    def url(self, name: Name) -> str:
        """A loopback URL with a password of this session."""
        return self._recipes[name].url

    def start(self, name: Name) -> None:
        """Start the process on the folder it left."""
        if not self.is_running(name):
            self._spawn(name, name, self._recipes[name].command)

    def stop(self, name: Name) -> None:
        """Send the server's stop signal; after 30 s, SIGKILL."""
        process = self._processes[name]
        family = _family(process.pid)
        process.send_signal(self._recipes[name].stop_signal)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill(name)
        _wait_gone(family)

    def kill(self, name: Name) -> None:
        """Send SIGKILL to the process and to all that it has started."""
        family = _family(self._processes[name].pid)
        for member in family:
            try:
                member.kill()
            except psutil.NoSuchProcess:
                continue
        self._processes[name].wait(_STOP_SECONDS)
        _wait_gone(family)

    def freeze(self, name: Name) -> None:
        """Send SIGSTOP to the process and to all that it has started."""
        for member in _family(self._processes[name].pid):
            member.suspend()

    def thaw(self, name: Name) -> None:
        """Send SIGCONT to them."""
        for member in _family(self._processes[name].pid):
            member.resume()

    def call(self, name: Name, *command: str) -> None:
        """Run it in the server's folder, with its environment."""
        folder = self._base / name
        subprocess.run(
            command,
            cwd=folder,
            env=base_environment(folder) | dict(self._recipes[name].environment),
            check=True,
            capture_output=True,
            timeout=_STOP_SECONDS,
            **self._identity,
        )

    def is_running(self, name: Name) -> bool:
        """Ask the kernel."""
        return name in self._processes and self._processes[name].poll() is None

    def last_words(self, name: Name) -> str:
        """The last lines that it, or its preparation, printed."""
        log = self._base / f"{name}.log"
        lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
        return " | ".join(lines[-_LOG_LINES:])

    def close(self) -> None:
        """End the processes and delete the folders."""
        self._reaper.reap()
        for process in self._processes.values():
            process.wait(_STOP_SECONDS)

    def _spawn(self, key: str, name: Name, command: list[str]) -> None:
        """Start a process in a session of its own, out of the reach of Ctrl-C, and note it for the reaper."""
        folder = self._base / name
        with (self._base / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=base_environment(folder) | dict(self._recipes[name].environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=0o077,
                **self._identity,
            )
        self._processes[key] = process
        (self._base / f"{key}.group").write_text(str(process.pid))

    def _own(self, path: Path, *, make_folder: bool = False) -> None:
        if make_folder:
            path.mkdir(mode=0o700)
        if self._identity:
            shutil.chown(path, self._identity["user"], self._identity["group"])


def _identity_and_folder() -> tuple[_Identity, Path]:
    """Who runs the servers, and a new folder that this user can reach."""
    if os.geteuid() != 0:
        return {}, Path(tempfile.mkdtemp(prefix="coordinator-tests-"))
    nobody = pwd.getpwnam("nobody")
    folder = Path(tempfile.mkdtemp(prefix="coordinator-tests-", dir="/tmp"))  # TMPDIR may be root's own
    folder.chmod(0o711)
    return {"user": nobody.pw_name, "group": nobody.pw_gid, "extra_groups": []}, folder


def _family(pid: int) -> list[psutil.Process]:
    """The process and all its descendants; empty if it is gone."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _wait_gone(family: list[psutil.Process]) -> None:
    """Wait until none of them runs any more: a zombie that init has yet to bury does not count."""
    deadline = time.monotonic() + _STOP_SECONDS
    while any(_runs(process) for process in family) and time.monotonic() < deadline:
        time.sleep(0.01)


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
