"""The servers as containers of a Docker engine."""

import os
import platform
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests.servers.model import Backend, Name, ServersUnavailable
from tests.servers.options import postgres_options, redis_options
from tests.servers.ports import free_port
from tests.servers.reaper import Reaper

IMAGES: dict[Name, str] = {
    "rabbitmq": "rabbitmq:4-management",
    "redis": "redis:8",
    "postgres": "postgres:17",
}
_LABEL = "handoff-coordinator.tests"
_COMMAND_SECONDS = 60
_PULL_SECONDS = 600
_STOP_SECONDS = 30
_LOG_LINES = 5


@dataclass(frozen=True)
class _Recipe:
    """What `docker run` needs to know."""

    url: str
    inner_port: int
    options: list[str] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)


def why_not(names: Iterable[Name], report: Callable[[str], None]) -> str | None:
    """None if an engine runs and has, or can pull, the images for `names`; otherwise what is in the way."""
    if shutil.which("docker") is None:
        return "there is no docker command"
    if _docker("info", timeout=20).returncode != 0:
        return "no Docker engine runs"
    for image in (IMAGES[name] for name in names):
        if _docker("image", "inspect", image).returncode == 0:
            continue
        report(f"servers: pulling {image}")
        if _docker("pull", "--quiet", image, timeout=_PULL_SECONDS).returncode != 0:
            return f"the Docker engine neither has nor can pull {image}"
    return None


class Docker(Backend):
    """One container a server, on a loopback port, with its data in an anonymous volume."""

    kind = "docker"

    def __init__(self, names: Iterable[Name]) -> None:
        _remove_leftovers()
        session = secrets.token_hex(4)
        self._containers: dict[Name, str] = {name: f"coordinator-tests-{session}-{name}" for name in names}
        self._ports: dict[Name, int] = {name: free_port() for name in self._containers}
        password = secrets.token_hex(12)
        self._recipes = {name: _recipe(name, self._ports[name], password) for name in self._containers}
        self._reaper = Reaper('docker rm --force --volumes "$@"', *self._containers.values())

    def create(self, name: Name) -> None:
        """Run the container, detached."""
        recipe = self._recipes[name]
        _must(
            "run",
            "--detach",
            f"--name={self._containers[name]}",
            f"--hostname={name}",  # RabbitMQ names its data after the host
            f"--label={_LABEL}.pid={os.getpid()}",
            f"--label={_LABEL}.host={platform.node()}",
            f"--publish=127.0.0.1:{self._ports[name]}:{recipe.inner_port}",
            *recipe.options,
            IMAGES[name],
            *recipe.arguments,
        )

    def url(self, name: Name) -> str:
        """A loopback URL with a password of this session."""
        return self._recipes[name].url

    def start(self, name: Name) -> None:
        """Start the same container again."""
        _must("start", self._containers[name])

    def stop(self, name: Name) -> None:
        """Send the server's stop signal; after 30 s, SIGKILL."""
        _must("stop", f"--time={_STOP_SECONDS}", self._containers[name])

    def kill(self, name: Name) -> None:
        """Send SIGKILL to every process in the container."""
        if self.is_running(name):
            _must("kill", self._containers[name])
            _must("wait", self._containers[name])

    def freeze(self, name: Name) -> None:
        """Pause every process in the container."""
        _must("pause", self._containers[name])

    def thaw(self, name: Name) -> None:
        """Let them go on."""
        _must("unpause", self._containers[name])

    def call(self, name: Name, *command: str) -> None:
        """Run it in the container."""
        _must("exec", self._containers[name], *command)

    def is_running(self, name: Name) -> bool:
        """Ask the engine."""
        return (
            _docker("inspect", "--format={{.State.Running}}", self._containers[name]).stdout.strip() == "true"
        )

    def last_words(self, name: Name) -> str:
        """The last lines of the container's log."""
        logs = _docker("logs", f"--tail={_LOG_LINES}", self._containers[name])
        return " | ".join((logs.stdout + logs.stderr).split("\n")).strip()

    def close(self) -> None:
        """Remove the containers with their volumes."""
        self._reaper.reap()


def _recipe(name: Name, port: int, password: str) -> _Recipe:
    match name:
        case "rabbitmq":
            return _Recipe(
                f"amqp://coordinator:{password}@127.0.0.1:{port}//",
                5672,
                ["--env=RABBITMQ_DEFAULT_USER=coordinator", f"--env=RABBITMQ_DEFAULT_PASS={password}"],
            )
        case "redis":
            return _Recipe(
                f"redis://:{password}@127.0.0.1:{port}/0",
                6379,
                arguments=[
                    "redis-server",
                    *(word for key, value in redis_options(password).items() for word in (f"--{key}", value)),
                ],
            )
        case "postgres":
            return _Recipe(
                f"postgresql://coordinator:{password}@127.0.0.1:{port}/postgres",
                5432,
                [
                    "--env=POSTGRES_USER=coordinator",
                    f"--env=POSTGRES_PASSWORD={password}",
                    "--env=POSTGRES_DB=postgres",
                    "--stop-signal=SIGINT",  # do not wait for clients to leave
                ],
                [
                    "postgres",
                    *(word for key, value in postgres_options().items() for word in ("-c", f"{key}={value}")),
                ],
            )


def _remove_leftovers() -> None:
    """Remove the containers of sessions on this host whose process is gone."""
    listing = _docker(
        "ps",
        "--all",
        f"--filter=label={_LABEL}.host={platform.node()}",
        f'--format={{{{.ID}}}} {{{{.Label "{_LABEL}.pid"}}}}',
    )
    rows = (line.split() for line in listing.stdout.splitlines())
    dead = [container for container, pid in rows if not _is_alive(int(pid))]
    if dead:
        _docker("rm", "--force", "--volumes", *dead)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _docker(*arguments: str, timeout: float = _COMMAND_SECONDS) -> subprocess.CompletedProcess[str]:
    """Run docker to its end; a command that takes longer than `timeout` seconds counts as failed."""
    command = ["docker", *arguments]
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            start_new_session=True,  # Ctrl-C is for the tests
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"no answer in {timeout:g} s")


def _must(*arguments: str) -> None:
    result = _docker(*arguments)
    if result.returncode != 0:
        reason = " ".join(result.stderr.split())
        raise ServersUnavailable(f"servers: docker {arguments[0]} failed: {reason}")
