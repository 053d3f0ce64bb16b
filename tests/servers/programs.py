"""The server programs of this machine: where they are, and how they get there where they are missing."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tests.servers.model import Name, ServersUnavailable

PROGRAMS: dict[Name, tuple[str, ...]] = {
    "rabbitmq": ("rabbitmq-server", "epmd"),
    "redis": ("redis-server",),
    "postgres": ("initdb", "postgres"),
}
_DEBIAN_PACKAGES: dict[Name, str] = {
    "rabbitmq": "rabbitmq-server",
    "redis": "redis-server",
    "postgres": "postgresql",
}
_REMEDY = (
    "start a Docker engine, or install them (Debian: sudo apt-get install {packages}; macOS: brew install rabbitmq "
    "redis postgresql), or set TEST_BROKER_URL, TEST_REDIS_URL and TEST_POSTGRES_URL; make test-unit needs none"
)
_INSTALL_SECONDS = 900
_POLICY = Path("/usr/sbin/policy-rc.d")


def search_path() -> str:
    """PATH, and where distributions put servers. Debian's own rabbitmq-server comes first: its wrapper in /usr/sbin
    accepts two users only."""
    folders = [
        "/usr/lib/rabbitmq/bin",
        *os.environ.get("PATH", os.defpath).split(os.pathsep),
        "/usr/sbin",
        "/usr/local/sbin",
        "/opt/homebrew/sbin",
        *_versioned("/usr/lib/postgresql", "*/bin"),
        *_versioned("/opt/homebrew/opt", "postgresql@*/bin"),
        *_versioned("/usr/lib/erlang", "erts-*/bin"),
    ]
    return os.pathsep.join(folders)


def find(program: str) -> str | None:
    """The program's full path, or None."""
    return shutil.which(program, path=search_path())


def ensure(names: Iterable[Name], report: Callable[[str], None], why_no_docker: str) -> None:
    """Install what is missing where that may be done without asking: as root, on Debian and its kin.

    Raises
    ------
    ServersUnavailable
        Programs are missing and cannot be installed; the message says what to do.
    """
    missing = _missing(names)
    if not missing:
        return
    packages = [_DEBIAN_PACKAGES[name] for name in missing]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        report(f"servers: {why_no_docker}; installing {' '.join(packages)} with apt-get")
        _install(packages)
    if missing := _missing(names):
        raise ServersUnavailable(
            f"servers: {why_no_docker}, and this machine has no {', '.join(missing)}: "
            + _REMEDY.format(packages=" ".join(packages))
        )


def _missing(names: Iterable[Name]) -> list[Name]:
    return [name for name in names if not all(find(program) for program in PROGRAMS[name])]


def _versioned(root: str, pattern: str) -> list[str]:
    """The folders that match, highest version first."""
    return sorted((str(folder) for folder in Path(root).glob(pattern)), key=_digits, reverse=True)


def _digits(folder: str) -> list[int]:
    return [int(word) for word in "".join(c if c.isdigit() else " " for c in folder).split()]


def _install(packages: list[str]) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["install", "--yes", "--no-install-recommends", *packages]
    with _services_stay_off():
        for arguments in (["update"], install):
            done = subprocess.run(
                ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300", *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_INSTALL_SECONDS,
                check=False,
            )
            if done.returncode != 0 and arguments is install:
                reason = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
                raise ServersUnavailable(f"servers: apt-get could not install {' '.join(packages)}: {reason}")


@contextlib.contextmanager
def _services_stay_off() -> Iterator[None]:
    """Keep Debian from starting, at its usual port, each server that is being installed."""
    if _POLICY.exists():  # the administrator's own
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink(missing_ok=True)
