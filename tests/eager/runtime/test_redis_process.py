"""The `redis-server` of embedded mode, with programs in its place: one that is there, one that is broken, one that ends."""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from handoffs import Coordinator
from handoffs.config.settings import Settings
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.runtime.embedded import redis_process
from handoffs.coordinator.runtime.embedded.redis_process import NoRedisServer, RedisProcess
from tests import redis_stand_in
from tests.forking import forked, in_child
from tests.stack import ROOT
from tests.waiting import wait_until

_SHELL = "#!/bin/sh\n"


class StandIn(NamedTuple):
    """A program that is called `redis-server`, and what it writes down of itself once it runs."""

    told: Path

    def pid(self) -> int:
        return int(wait_until(self._read, description="the stand-in has started").split()[0])

    def folder(self) -> Path:
        return Path(wait_until(self._read, description="the stand-in has started").split()[1]).parent

    def runs(self) -> bool:
        try:
            return bool(psutil.Process(self.pid()).status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    def _read(self) -> str:
        return self.told.read_text() if self.told.exists() else ""


Program = Callable[[str], None]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Writes the script that is the only `redis-server` on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", os.pathsep.join([str(folder), "/usr/bin", "/bin"]))
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: which(name, path=str(folder)))

    def write(script: str) -> None:
        (folder / "redis-server").write_text(script)
        (folder / "redis-server").chmod(0o755)

    return write


@pytest.fixture
def stand_in(program: Program, tmp_path: Path) -> Callable[..., StandIn]:
    """Puts the stand-in there, with a version and after how many seconds it listens."""

    def put(version: str = "7.4.1", delay: float = 0.0, *, wrapped: bool = False) -> StandIn:
        told = tmp_path / "told"
        command = shlex.join([sys.executable, "-S", redis_stand_in.__file__, str(told), version, str(delay)])
        program(f'{_SHELL}{"" if wrapped else "exec "}{command} "$@"\n')
        return StandIn(told)

    return put


def _why() -> str:
    with pytest.raises(NoRedisServer) as refused:
        RedisProcess(Settings())
    return refused.value.cause


def test_there_is_none(program: Program, caplog: pytest.LogCaptureFixture) -> None:
    """Without one, embedded mode imitates Redis, says so in one line at INFO, and works; a setting can insist on one."""
    caplog.set_level(logging.INFO, "handoffs")
    with Coordinator(Settings()):
        said = [record for record in caplog.records if "imitated" in record.getMessage()]
    assert [record.levelno for record in said] == [logging.INFO]
    assert "there is no redis-server on PATH" in said[0].getMessage()
    with pytest.raises(ServerError, match="no redis-server on PATH; nothing was started"):
        Coordinator(Settings(embedded_redis="server"))


def test_imitated_where_that_is_wanted(stand_in: Callable[..., StandIn]) -> None:
    """Where an imitation is asked for, and in eager mode, no process is started."""
    server = stand_in()
    for settings in (Settings(embedded_redis="imitation"), Settings(eager=True, embedded_redis="server")):
        with Coordinator(settings):
            pass
    assert not server.told.exists()


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (
            "echo cannot find libjemalloc.so >&2; exit 127",
            "cannot find libjemalloc.so | it ended with status 127",
        ),
        ("exit 0", "it ended with status 0"),
        ("kill -SEGV $$", "it ended with status 139"),
    ],
)
def test_a_broken_program(program: Program, script: str, why: str) -> None:
    """One that ends at once is not waited for; its last words say why."""
    program(_SHELL + script)
    assert why in _why()


def test_a_program_that_cannot_be_run(program: Program) -> None:
    """A wrapper whose interpreter is gone is one that ends."""
    program("#!/nowhere/interpreter\n")
    assert "it ended with status 12" in _why()  # 126 or 127


@pytest.mark.parametrize(
    ("version", "why"),
    [
        ("6.2.14", "is version 6.2.14, and 7.0"),
        ("2.8.1", "is version 2.8.1"),
        ("-", "is no Redis: it says -ERR"),
    ],
)
def test_another_program(stand_in: Callable[..., StandIn], version: str, why: str) -> None:
    """One that is too old, or is no Redis, is ended again, and nothing is left of it."""
    server = stand_in(version)
    assert why in _why()
    wait_until(lambda: not server.runs(), description="the server is gone")
    assert not server.folder().exists()


@pytest.mark.parametrize("version", ["7.0.0", "7.0.15", "8.2.1", "10.0.0"])
def test_new_enough(stand_in: Callable[..., StandIn], version: str) -> None:
    """From 7.0 on it is taken, also where a wrapper stays in between; closing ends it, and removes its folder."""
    server = stand_in(version, wrapped=True)
    process = RedisProcess(Settings())
    assert server.runs()
    assert server.folder().stat().st_mode & 0o777 == 0o700
    process.close()
    assert not server.folder().exists()
    wait_until(lambda: not server.runs(), description="the server is gone")
    process.close()


def test_slow_to_listen(stand_in: Callable[..., StandIn]) -> None:
    """One that listens late is waited for."""
    server = stand_in(delay=0.5)
    process = RedisProcess(Settings())
    assert server.runs()
    process.close()


def test_never_listens(stand_in: Callable[..., StandIn], monkeypatch: pytest.MonkeyPatch) -> None:
    """One that never listens is given up and ended."""
    monkeypatch.setattr(redis_process, "_START_WITHIN", 0.3)
    server = stand_in(delay=600)
    assert "does not answer within 0.3 s" in _why()
    wait_until(lambda: not server.runs(), description="the server is gone")


def test_it_ends(stand_in: Callable[..., StandIn], caplog: pytest.LogCaptureFixture) -> None:
    """Where it ends by itself, that is logged once as an error, every call says so at once, and its folder is removed."""
    server = stand_in()
    process = RedisProcess(Settings())
    os.kill(server.pid(), signal.SIGKILL)
    wait_until(
        lambda: any("has ended" in record.getMessage() for record in caplog.records),
        description="it is noticed",
    )
    with pytest.raises(
        ServerError, match=r"has ended: .*it ended with status 137; what it had of runs is lost"
    ):
        process.client.ping()
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    wait_until(lambda: not server.folder().exists(), description="its folder is gone")
    process.close()


def test_out_of_the_reach_of_the_terminal(stand_in: Callable[..., StandIn]) -> None:
    """It is in a session and a process group of its own: Ctrl-C does not reach it."""
    server = stand_in()
    process = RedisProcess(Settings())
    assert os.getsid(server.pid()) != os.getsid(0)
    assert os.getpgid(server.pid()) != os.getpgid(0)
    process.close()


def test_a_fork_neither_ends_it_nor_keeps_it(stand_in: Callable[..., StandIn]) -> None:
    """A child that is forked can close its copy: nothing ends. One that outlives the parent's close does not keep it either."""
    server = stand_in()
    process = RedisProcess(Settings())

    def close() -> str:
        process.close()
        return "closed"

    assert in_child(close) == "closed"
    assert server.runs()
    reading, writing = os.pipe()
    left = forked(lambda: os.read(reading, 1).decode())
    process.close()
    wait_until(lambda: not server.runs(), description="the server is gone")
    os.write(writing, b"x")
    assert left() == "x"
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), 9)", "os._exit(1)", "raise SystemExit"])
def test_it_ends_with_its_parent(stand_in: Callable[..., StandIn], end: str, tmp_path: Path) -> None:
    """However the process ends that has started it, without a word or with SIGKILL: the server and its folder are gone."""
    server = stand_in()
    script = f"""
import os, shutil
shutil.which = lambda name: {str(tmp_path / "bin" / "redis-server")!r}
from handoffs.config.settings import Settings
from handoffs.coordinator.runtime.embedded.redis_process import RedisProcess
process = RedisProcess(Settings())
{end}
"""
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False, timeout=60)
    wait_until(lambda: not server.runs() and not server.folder().exists(), description="nothing is left")


def test_folders_whose_names_are_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the path of a socket in the usual place would be longer than a socket's may be, another place is taken; without one it is
    said."""
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    folder = redis_process._private_folder()
    assert folder.parent == Path("/tmp")
    folder.rmdir()
    monkeypatch.setattr(redis_process, "_LONGEST_PATH", 10)
    with pytest.raises(NoRedisServer, match="would be too long"):
        redis_process._private_folder()
    assert not list(long.iterdir())


def test_no_folder_can_be_made(stand_in: Callable[..., StandIn], monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system that is read only it is said that there is no place for a socket."""
    stand_in()

    def refuse(**_: object) -> str:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    assert "no folder can be made for its socket: Read-only file system" in _why()
