"""Starts the compose stack for a person, or shows it: secrets, free ports, one line where something is in the way.

    python deploy/stack.py up             make .env where it is missing, build, start, wait until everything is healthy
    python deploy/stack.py status         each container, and the last line of its health check
    python deploy/stack.py demo SYSTEM    the demo of a reference system, from this host, with the workers of the stack

Needs Python alone, but for the demo. The rest is docker compose itself, with the same project and the same .env.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parent.parent
_ASSIGNMENT = re.compile(r"^([A-Za-z_][A-Za-z0-9_]*)=(.*)$")
_OLDEST_COMPOSE = (2, 23)  # inline configs; optional dependencies came with 2.20
_SECRET_BYTES = 24  # 32 characters
_PROJECT = "coordinator"  # as docker-compose.yml says
_FLEETS = {
    "payments": ("fraud", "authorisation", "ledger", "notification"),
    "media": ("ladder", "transcode", "assemble", "drm", "cdn", "index", "release", "shelf"),
    "rides": ("matching", "pricing", "eta", "dispatcher", "stand-ins"),
}
"""The services of each reference system, as docker-compose.yml says. Payments has no profile."""
_ONE_OFF = "upload"  # a service with a profile of its own, which `docker compose run` starts


class Obstacle(Exception):
    """Something that a person must mend before the stack can start. One line: cause, consequence, remedy."""


def main(arguments: list[str] | None = None) -> int:
    """Run a command; an obstacle ends it with one line and status 1."""
    options = _parser().parse_args(arguments)
    stack = Stack(options.env_file, options.project)
    try:
        check_engine()
        if options.command == "up":
            if not options.env_file.exists():
                check_no_data(options.project or _PROJECT)
            if fill(_ROOT / ".env.example", options.env_file):
                print(f"made secrets: {options.env_file.name} (keep it; git ignores it)")
            stack.up()
        elif options.command == "demo":
            return stack.demo(options.system, options.arguments)
        else:
            stack.show()
    except Obstacle as obstacle:
        print(f"stack: {obstacle}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--env-file", type=Path, default=_ROOT / ".env", help="where secrets and ports are kept"
    )
    common.add_argument("--project", help="the compose project; by default the file's own name")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", parents=[common], help="start everything, and wait until it is healthy")
    commands.add_parser("status", parents=[common], help="show the containers")
    demo = commands.add_parser("demo", parents=[common], help="run a demo with the workers of the stack")
    demo.add_argument("system", choices=list(_FLEETS))
    demo.add_argument("arguments", nargs=argparse.REMAINDER, help="as of coordinator demo SYSTEM")
    return parser


def fill(example: Path, target: Path) -> list[str]:
    """Give ``target`` every variable of ``example`` that it lacks or leaves empty, a secret where the example is empty.

    What it has it keeps, without a byte order mark and with this system's line ends. Gives the names that were added; the file is readable for its owner alone.
    """
    text = _said(target) if target.exists() else ""
    kept = _assignments(text)
    lines, added = [], []
    wanted = example.read_text("utf-8")
    for line in wanted.splitlines():
        found = _ASSIGNMENT.match(line)
        if found is None:
            lines.append(line)
            continue
        name, default = found.groups()
        value = kept.get(name) or default or secrets.token_urlsafe(_SECRET_BYTES)
        if not kept.get(name):
            added.append(name)
        lines.append(f"{name}={value}")
    own = [f"{name}={value}" for name, value in kept.items() if name not in _assignments(wanted)]
    fresh = not target.exists()
    if added or fresh:
        text = "\n".join([*lines, *own]) + "\n"
    if added or fresh or target.read_bytes() != text.encode():
        target.touch(mode=0o600)
        target.chmod(0o600)  # also one that was copied by hand
        target.write_text(text, "utf-8")
    return added


def check_engine() -> None:
    """Raise :class:`Obstacle` where no engine answers, or Compose is too old."""
    if shutil.which("docker") is None:
        raise Obstacle(
            "there is no docker command; nothing was started; install Docker, or run make demo without it"
        )
    if _run("docker", "info").returncode != 0:
        raise Obstacle(
            "no Docker engine answers; nothing was started; start it, or check your rights to it: docker info"
        )
    shown = _run("docker", "compose", "version", "--short").stdout.strip()
    version = tuple(int(number) for number in re.findall(r"\d+", shown)[:2])
    if version < _OLDEST_COMPOSE:
        raise Obstacle(
            f"Docker Compose is {shown or 'not there'}; nothing was started;"
            f" install {'.'.join(map(str, _OLDEST_COMPOSE))} or newer"
        )


def check_no_data(project: str) -> None:
    """Raise :class:`Obstacle` where the project has data that were stored under other secrets than those to be made."""
    label = f"label=com.docker.compose.project={project}"
    volumes = _run("docker", "volume", "ls", "--quiet", "--filter", label).stdout.split()
    if volumes:
        raise Obstacle(
            f"there is stored data ({len(volumes)} volumes, such as {volumes[0]}) but no .env with its secrets; nothing was"
            " started; put the .env back, or delete the data: docker volume rm " + " ".join(volumes)
        )


class Stack:
    """One compose project with its ``.env``."""

    def __init__(self, env_file: Path, project: str | None = None) -> None:
        self._compose = [
            "docker",
            "compose",
            "--env-file",
            str(env_file),
            *(["-p", project] if project else []),
        ]
        self._env_file = env_file

    def up(self) -> None:
        """Build and start, and return when everything is healthy. Raises :class:`Obstacle`."""
        values = _assignments(_said(self._env_file))
        self._check_profiles(_wanted_profiles(values))
        self._check_ports(values)
        began = time.monotonic()
        print("building the image (about a minute, once)", flush=True)
        self._must("build", "--quiet")
        print("starting", flush=True)
        started = self._start()
        unwell = [row for row in self.rows() if not row["well"]]
        if started.returncode != 0 or unwell:
            self.show()
            lines = [f"{row['service']}: {row['says'] or row['state']}" for row in unwell] or [
                _last_line(started.stderr)
            ]
            raise Obstacle("not everything is healthy; what started goes on; " + "; ".join(lines))
        self.show()
        port = values.get("FLOWER_PORT", "5555")
        print(f"\nhealthy after {time.monotonic() - began:.0f} s")
        print(
            f"Flower: http://127.0.0.1:{port}, user coordinator, password: FLOWER_PASSWORD in {self._env_file.name}"
        )
        console = values.get("CONSOLE_PORT", "8470")
        print(f"console: http://127.0.0.1:{console}, token: CONSOLE_TOKEN in {self._env_file.name}")
        there = {row["service"] for row in self.rows()}
        print("a thousand payments: make demo-up")
        for system in ("media", "rides"):
            if there.issuperset(_FLEETS[system]):
                print(f"{system}: make demo-up SYSTEM={system}")

    def demo(self, system: str, arguments: Sequence[str]) -> int:
        """Run the demo of ``system`` on this host, as a client of the stack, and give its exit status. Raises
        :class:`Obstacle` where not all of its workers are there, or the film of media cannot be put into the store."""
        if not self._env_file.exists():
            raise Obstacle(
                f"there is no {self._env_file.name}; nothing was started; make up makes it, and starts"
            )
        self._check_fleets(system)
        running = [] if system == "payments" else ["--running"]
        if system == "media":
            running += ["--film", self._must("run", "--rm", "-T", "--no-deps", _ONE_OFF).strip()]
        command = [sys.executable, "-m", "handoffs.coordinator", "demo", system, *running, *arguments]
        sourced = ["sh", "-c", 'set -a; . "$0"; set +a; exec "$@"', str(self._env_file.absolute())]
        return subprocess.run([*sourced, *command], cwd=_ROOT, check=False).returncode

    def _check_fleets(self, system: str) -> None:
        healthy = {row["service"] for row in self.rows() if row["state"] == "healthy"}
        missing = [name for name in (*_FLEETS[system], "coordinator") if name not in healthy]
        if missing:
            profile = "" if system == "payments" else f"COMPOSE_PROFILES={system} "
            raise Obstacle(
                f"{', '.join(missing)}: not there, or not healthy; nothing was started; {profile}make up,"
                " or see make status"
            )

    def _check_profiles(self, wanted: str) -> None:
        """Raise :class:`Obstacle` for a profile that there is not: docker compose would say nothing, and start nothing of it."""
        known = self._must("config", "--profiles").split()
        unknown = [name for name in wanted.replace(",", " ").split() if name not in {*known, "*"}]
        if unknown:
            raise Obstacle(
                f"COMPOSE_PROFILES names {', '.join(unknown)}, which there is not; nothing was started;"
                f" there are: {', '.join(sorted({*known} - {_ONE_OFF}))}"
            )

    def _start(self) -> subprocess.CompletedProcess[str]:
        """``up --wait``, with a line for each container that has become healthy."""
        command = [*self._compose, "up", "--detach", "--wait", "--wait-timeout", "240", "--remove-orphans"]
        process = subprocess.Popen(
            command,
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        written, shown = [], set()
        for line in process.stderr:
            written.append(line)
            found = re.search(r"Container (\S+)\s+(Healthy|Exited)", line)
            if found and found[1] not in shown:
                shown.add(found[1])
                print(f"  {found[1]} {found[2].lower()}", flush=True)
        return subprocess.CompletedProcess(command, process.wait(), "", "".join(written))

    def show(self) -> None:
        """Print a table of the containers."""
        rows = self.rows()
        if not rows:
            print("nothing runs; start it with: make up")
            return
        width = max(len(row["name"]) for row in rows)
        for row in rows:
            print(f"{row['name']:<{width}}  {row['state']:<10} {row['says']}")

    def rows(self) -> list[dict[str, Any]]:
        """Each container: ``service``, ``name``, ``state``, ``well`` (as it should be) and ``says`` (one line)."""
        listed = self._must("--profile", "*", "ps", "--all", "--quiet").split()
        if not listed:
            return []
        found = json.loads(_run("docker", "inspect", *listed).stdout or "[]")
        rows = [_row(container) for container in found]
        for row in rows:
            if row["state"].startswith("exited") and not row["says"]:
                logged = _run("docker", "logs", "--tail", "1", row["name"])
                row["says"] = _last_line(logged.stderr) or _last_line(logged.stdout)
        return sorted(rows, key=lambda row: str(row["name"]))

    def _check_ports(self, values: dict[str, str]) -> None:
        """Raise :class:`Obstacle` for a port that another program has. Ports of our own running containers are fine."""
        ours = self._published()
        for name, value in values.items():
            if not name.endswith("_PORT"):
                continue
            if not value.isdecimal() or not 0 < int(value) < 65536:
                raise Obstacle(
                    f"{name} is {value!r}; nothing was started; set it to a port number in {self._env_file.name}"
                )
            if int(value) not in ours and not _is_free(int(value)):
                raise Obstacle(
                    f"port {value} ({name}) is taken by another program; nothing was started;"
                    f" set {name} in {self._env_file.name} to a free one"
                )

    def _published(self) -> set[int]:
        listed = self._must("--profile", "*", "ps", "--quiet").split()
        found = json.loads(_run("docker", "inspect", *listed).stdout or "[]") if listed else []
        return {
            int(binding["HostPort"])
            for container in found
            for bindings in container["NetworkSettings"]["Ports"].values()
            for binding in bindings or ()
        }

    def _must(self, *arguments: str) -> str:
        done = _run(*self._compose, *arguments)
        if done.returncode != 0:
            raise Obstacle(f"docker compose {' '.join(arguments[:2])} failed; {_last_line(done.stderr)}")
        return done.stdout


def _wanted_profiles(values: dict[str, str]) -> str:
    """As docker compose takes them: from the environment, or else from the file."""
    given = os.environ.get("COMPOSE_PROFILES")  # noqa: TID251 - docker compose's, and no setting of ours
    return given if given is not None else values.get("COMPOSE_PROFILES", "").strip("'\"")


def _row(container: dict[str, Any]) -> dict[str, Any]:
    state, labels = container["State"], container["Config"]["Labels"]
    health = state.get("Health", {})
    ended = state["Status"] == "exited"
    once = container["HostConfig"]["RestartPolicy"]["Name"] in {"", "no"}
    done = ended and once and state["ExitCode"] == 0
    running = health.get("Status") or state["Status"]
    shown = "done" if done else f"exited {state['ExitCode']}" if ended else running
    last = (
        ""
        if ended
        else next((_last_line(check["Output"]) for check in reversed(health.get("Log") or [])), "")
    )
    return {
        "service": labels.get("com.docker.compose.service", ""),
        "name": container["Name"].lstrip("/"),
        "state": shown,
        "well": shown in {"done", "healthy", "running"},
        "says": last or state.get("Error", ""),
    }


def _said(file: Path) -> str:
    """What a file says, without the byte order mark and the line ends that other systems write: a shell would take them for a
    part of names and values."""
    try:
        return file.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise Obstacle(f"{file.name} is not UTF-8; nothing was started; save it as UTF-8") from None


def _assignments(text: str) -> dict[str, str]:
    found = (_ASSIGNMENT.match(line.strip()) for line in text.splitlines())
    return {match[1]: match[2] for match in found if match}


def _is_free(port: int) -> bool:
    with contextlib.closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _last_line(text: str) -> str:
    lines: Iterator[str] = (line.strip() for line in reversed(text.splitlines()))
    return next((line for line in lines if line), "")


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=_ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


if __name__ == "__main__":
    sys.exit(main())
