"""The compose stack as a test starts it, breaks it and looks at it: a project, secrets and ports of its own."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from handoffs.config.reference import PaymentsSettings
from handoffs.config.settings import Settings
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.errors import ServerError
from handoffs.tasks.payments.flow import payment
from handoffs.tasks.payments.ledger import Ledger
from tests.servers.ports import free_port
from tests.servers.reaper import Reaper
from tests.stack import ROOT, load
from tests.waiting import wait_until

FLEETS = {name: f"payments.{name}" for name in ("fraud", "authorisation", "ledger", "notification")}
"""The service of each agent, and the agent."""

REMOVE = """
docker ps --all --quiet --filter "label=com.docker.compose.project=$1" | xargs --no-run-if-empty docker rm --force --volumes
docker volume ls --quiet --filter "label=com.docker.compose.project=$1" | xargs --no-run-if-empty docker volume rm --force
docker network ls --quiet --filter "label=com.docker.compose.project=$1" | xargs --no-run-if-empty docker network rm
"""
"""What removes everything of the compose project ``$1``."""


@dataclass
class Stack:
    """One compose project. ``values`` are the variables of its ``.env``."""

    project: str
    env_file: Path
    values: dict[str, str]
    profiles: str = ""

    def compose(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run docker compose for this project."""
        command = [
            "docker",
            "compose",
            "--env-file",
            str(self.env_file),
            "--project-name",
            self.project,
            *arguments,
        ]
        return run(command, self.environment, check=check)

    def make_up(self, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """What `make up` runs, for this project."""
        command = [
            sys.executable,
            "deploy/stack.py",
            "up",
            "--env-file",
            str(self.env_file),
            "--project",
            self.project,
        ]
        return run(command, self.environment, check=check)

    def demo(self, system: str, *arguments: str) -> subprocess.Popen[str]:
        """What `make demo-up SYSTEM=...` runs, for this project; it has just begun."""
        command = [sys.executable, "deploy/stack.py", "demo", "--env-file", str(self.env_file)]
        return subprocess.Popen(
            [*command, "--project", self.project, system, *arguments],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def environment(self) -> dict[str, str]:
        """This machine's, without what would speak to another stack."""
        foreign = ("COORDINATOR_", "COMPOSE_", "FLOWER_", "RABBITMQ_", "REDIS_", "POSTGRES_")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        return {**clean, "COMPOSE_PROFILES": self.profiles}

    def url(self, name: str) -> str:
        """A variable of the ``.env``, with the variables in it replaced, as compose and a shell do."""
        return re.sub(r"\$\{(\w+)\}", lambda found: self.values[found[1]], self.values[name])

    def client(self) -> Coordinator:
        """A client on the host; the caller closes it."""
        return Coordinator(
            Settings(
                broker_url=self.url("COORDINATOR_BROKER_URL"),
                redis_url=self.url("COORDINATOR_REDIS_URL"),
                journal_url=self.url("COORDINATOR_JOURNAL_URL"),
                payments=PaymentsSettings(ledger_url=self.url("COORDINATOR_PAYMENTS__LEDGER_URL")),
            )
        )

    @contextlib.contextmanager
    def books(self) -> Iterator[Ledger]:
        """The ledger that the stack's ledger agent books in."""
        ledger = Ledger(self.url("COORDINATOR_PAYMENTS__LEDGER_URL"))
        try:
            yield ledger
        finally:
            ledger.close()

    def containers(self, service: str) -> list[str]:
        """The ids of a service's running containers."""
        return self.compose("ps", "--quiet", service).stdout.split()

    def inspect(self, container: str) -> Any:
        """What the engine knows of a container."""
        return json.loads(run(["docker", "inspect", container]).stdout)[0]

    def health(self, service: str) -> str:
        """The state of a service's only container and the last line of its health check: ``healthy: ...``."""
        [container] = self.containers(service)
        found = self.inspect(container)["State"]["Health"]
        log = found.get("Log") or [{"Output": ""}]
        return f"{found['Status']}: {log[-1]['Output'].strip()}"

    def wait_healthy(self, *services: str, timeout: float = 120) -> None:
        """Wait until each container of these services (default: of all that have a check) is healthy."""

        def unwell() -> list[str]:
            listed = self.compose("ps", "--quiet", *services).stdout.split()
            states = [self.inspect(container) for container in listed]
            return [
                f"{state['Name']} {state['State'].get('Health', {}).get('Status')}"
                for state in states
                if state["State"].get("Health", {"Status": "healthy"})["Status"] != "healthy"
            ]

        wait_until(lambda: not unwell(), description="the stack is healthy", timeout=timeout, interval=0.5)

    def crash(self, service: str) -> str:
        """Kill the main process of a service's only container with SIGKILL, from inside; gives the container's id."""
        [container] = self.containers(service)
        code = (
            "import os, pathlib, signal;"
            "[os.kill(int(p.name), signal.SIGKILL) for p in pathlib.Path('/proc').iterdir()"
            " if p.name.isdigit() and int(p.name) not in (1, os.getpid())"
            " and b'coordinator' in (p / 'cmdline').read_bytes()]"
        )
        run(["docker", "exec", container, "python", "-c", code], check=False)
        return container

    def flower(self, path: str, *, login: bool = True) -> Any:
        """Flower's answer as JSON."""
        return json.loads(self.flower_page(path, login=login))

    def flower_page(self, path: str, *, login: bool = True) -> bytes:
        """Flower's answer."""
        request = Request(f"http://127.0.0.1:{self.values['FLOWER_PORT']}{path}")
        if login:
            word = base64.b64encode(f"coordinator:{self.values['FLOWER_PASSWORD']}".encode()).decode()
            request.add_header("Authorization", f"Basic {word}")
        with urlopen(request, timeout=10) as response:
            page: bytes = response.read()
            return page

    def logs(self) -> str:
        """The end of what everything has said."""
        return self.compose("logs", "--no-color", "--tail", "30", check=False).stdout


@contextlib.contextmanager
def open_stack(folder: Path, *, profiles: str = "") -> Iterator[Stack]:
    """A stack that is not started yet; everything of it is gone afterwards, whatever ends the test."""
    project = f"coordinator-smoke-{secrets.token_hex(4)}"
    env_file = folder / f"{project}.env"
    ports = (
        "FLOWER_PORT",
        "CONSOLE_PORT",
        "RABBITMQ_PORT",
        "RABBITMQ_MANAGEMENT_PORT",
        "REDIS_PORT",
        "POSTGRES_PORT",
    )
    env_file.write_text("".join(f"{name}={free_port()}\n" for name in ports), "utf-8")
    load().fill(ROOT / ".env.example", env_file)
    values = dict(
        line.split("=", 1)
        for line in env_file.read_text("utf-8").splitlines()
        if "=" in line and line[0] != "#"
    )
    reaper = Reaper(REMOVE, project)
    try:
        yield Stack(project, env_file, values, profiles)
    finally:
        reaper.reap()


@dataclass
class Traffic:
    """Payments that are started all the time, one after the other, while something happens to the stack."""

    client: Coordinator
    prefix: str = field(default_factory=lambda: f"smoke-{secrets.token_hex(4)}")
    runs: list[Run] = field(default_factory=list)
    refused: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Traffic:
        self._thread = threading.Thread(target=self._flow, daemon=True)
        self._thread.start()
        self.wait_for(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        assert self._thread is not None
        self._thread.join(60)

    def wait_for(self, more: int) -> None:
        """Wait until so many more payments were accepted."""
        goal = len(self.runs) + more
        wait_until(
            lambda: len(self.runs) >= goal, description=f"{more} more payments are accepted", timeout=90
        )

    def _flow(self) -> None:
        number = 0
        while not self._stop.wait(0.02):
            try:
                self.runs.append(self.client.start(payment, payment_of(f"{self.prefix}-{number}")))
                number += 1
            except ServerError:
                self.refused += 1  # the same payment again: if it was accepted after all, its key says so


def payment_of(number: str) -> dict[str, Any]:
    """A payment that is approved, and booked."""
    return {
        "payment_id": number,
        "amount": "12.50",
        "currency": "EUR",
        "card_number": "4242424242424242",
        "card_country": "DE",
        "debtor": "customer-1",
        "creditor": "merchant-1",
        "country": "DE",
        "submitted_at": "2026-01-05T08:00:40Z",
    }


def check_confined(stack: Stack, service: str) -> None:
    """A service's first container runs as an unprivileged user, on a read-only root file system, without capabilities, with
    limits."""
    container = stack.containers(service)[0]
    found = stack.inspect(container)
    host = found["HostConfig"]
    assert (found["Config"]["User"], host["ReadonlyRootfs"], host["CapDrop"]) == (
        "coordinator",
        True,
        ["ALL"],
    )
    assert host["Memory"] > 0
    assert host["NanoCpus"] > 0
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    written = run(["docker", "exec", container, "sh", "-c", "id -u; touch /opt/x"], check=False)
    assert written.stdout.strip() == "10001"
    assert "Read-only file system" in written.stderr


def check_completed(stack: Stack, client: Coordinator, runs: list[Run]) -> None:
    """Every run completes within two minutes, none with a dead letter, and the ledger has each payment once."""
    assert runs

    def statuses() -> dict[str, int]:
        found = client.statuses(runs)
        return {status: found.count(status) for status in set(found)}

    try:
        completed = {"completed": len(runs)}
        wait_until(lambda: statuses() == completed, description=str(completed), timeout=120, interval=0.2)
    except pytest.fail.Exception as error:
        raise AssertionError(f"{error.msg}: {statuses()}\n{stack.logs()[-6000:]}") from None
    assert {run.result(timeout=5).outcome for run in runs} == {"booked"}
    with stack.books() as ledger:
        audit = ledger.audit()
    assert (audit.doubled, audit.balanced) == (0, True)
    assert audit.entries == 2 * audit.transfers


def run(
    command: list[str], environment: dict[str, str] | None = None, *, check: bool = True
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    if check and done.returncode != 0:
        raise AssertionError(
            f"{' '.join(command[:6])} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        )
    return done
