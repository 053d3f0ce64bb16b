"""The incident, replayed: a renamed field cannot be published or started, and with migrations it is deployed under load."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.client.run import Run
from tests.incident.flow import payment
from tests.servers import Servers
from tests.waiting import wait_until
from tests.workers import Installation, Worker, open_installation

_PAUSE = 0.05  # seconds between payments
_EACH_PHASE = 20  # payments that must have gone through before the next deployment
_RISKY = 3  # every so many payments one is risky


class Bank:
    """The installation of the bank, with what both teams have published and deployed at first."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        for team, owner in (("fraud_1", "fraud team"), ("authorisation_1", "authorisation team")):
            self.succeeds(team, "publish", "--owner", owner)
        for team, agent in (("fraud_1", "bank.fraud"), ("authorisation_1", "bank.authorisation")):
            self.succeeds(team, "record-deployment", agent)

    def contracts(self, team: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`coordinator contracts ...`, as a team runs it over its code."""
        environment = {
            **self.installation.environment,
            "COORDINATOR_AGENTS": f"tests.incident.{team}",
            "COLUMNS": "120",
        }
        return subprocess.run(
            [sys.executable, "-m", "handoffs.coordinator", "contracts", *arguments],
            env=environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def succeeds(self, team: str, *arguments: str) -> str:
        """The same, and it is fine."""
        done = self.contracts(team, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def fails(self, team: str, *arguments: str) -> str:
        """The same, and it is refused."""
        done = self.contracts(team, *arguments)
        assert done.returncode == 1, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return " ".join((done.stdout + done.stderr).split())

    def worker(self, team: str, *, wait: bool = True) -> Worker:
        """A worker of a team's code."""
        agent = f"bank.{team.partition('_')[0]}"
        return self.installation.worker(agent, concurrency=2, wait=wait, AGENTS=f"tests.incident.{team}")

    def refused(self, team: str) -> str:
        """A worker of a team's code ends without having begun; what it said."""
        worker = self.worker(team, wait=False)
        wait_until(
            lambda: not worker.running, description=f"{team} is refused\n{worker.last_words()}", timeout=30
        )
        assert worker.status != 0
        assert " ready." not in worker.log()
        return worker.log()


@pytest.fixture
def bank(servers: Servers, tmp_path: Path) -> Iterator[Bank]:
    with open_installation(
        servers, tmp_path, AGENTS="tests.incident.flow", CONTRACTS_FOLDER=str(tmp_path / "published")
    ) as installation:
        yield Bank(installation)


@pytest.mark.parametrize("team", ["fraud_careless", "fraud_hasty"])
def test_renamed_field_goes_nowhere(bank: Bank, team: str) -> None:
    """Without a migration the renamed field is refused by check, publish, can-i-deploy and the worker's start; each names
    the field and who reads it."""
    bank.worker("authorisation_1")
    for command in (["check"], ["publish"]):
        said = bank.fails(team, *command)
        assert "risk_level" in said, command
        assert "bank.authorisation" in said, command
    said = bank.fails(team, "can-i-deploy", "bank.fraud")
    assert "bank.authorisation" in said
    assert "risk_level" in said
    said = bank.refused(team)
    assert "risk_level" in said
    assert "bank.authorisation" in said
    assert not (bank.installation.folder / "published" / "bank.scored" / "2.json").exists()


def test_override_is_explicit_and_recorded(bank: Bank) -> None:
    """A worker begins in spite of that only where a setting says so, and then it is logged and in the journal."""
    bank.worker("authorisation_1")
    bank.installation.coordinator_process()
    careless = bank.installation.worker(
        "bank.fraud", AGENTS="tests.incident.fraud_careless", CONTRACTS_ENFORCED="false"
    )
    assert "begins in spite of this" in careless.log()
    with bank.installation.client() as client:
        run = client.start(payment, {"payment": "p-1", "cents": 5_000_00})
        assert run.wait(30) == "parked"  # what is not the contract reaches nobody all the same
        [entry] = wait_until(
            lambda: list(client.journal.history.of("").values()), description="the override is recorded"
        )
    assert entry["kind"] == "overridden"
    assert "risk_level" in entry["error"]


class Load:
    """A steady stream of payments, every third of them risky, until it is told to stop."""

    def __init__(self, client: Coordinator) -> None:
        self.client = client
        self.runs: list[tuple[Run, bool]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._pay)
        self._thread.start()

    def _pay(self) -> None:
        number = 0
        while not self._stop.wait(_PAUSE):
            number += 1
            risky = number % _RISKY == 0
            cents = 2_000_00 if risky else 20_00
            run = self.client.start(payment, {"payment": f"p-{number}", "cents": cents})
            self.runs.append((run, risky))

    def goes_on(self, logs: Any) -> None:
        """Wait until a phase's worth of further payments has gone through."""
        begun = len(self.runs)

        def through() -> bool:
            later = [run for run, _ in self.runs[begun:]]
            return sum(run.status() == "completed" for run in later) >= _EACH_PHASE

        wait_until(through, description=f"payments go through\n{logs()[-6000:]}", timeout=60)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


@pytest.mark.timeout(300)  # it starts eight processes, one after the other
def test_deployed_under_load(bank: Bank) -> None:
    """With both migrations fraud 2 is deployed beside authorisation 1, then authorisation 2, then fraud is rolled back:
    no handoff is refused, no risky payment passes, and the history tells each version."""
    installation = bank.installation
    bank.succeeds("fraud_2", "publish")
    bank.succeeds("fraud_2", "check")
    bank.succeeds("fraud_2", "can-i-deploy", "bank.fraud")
    fraud, authorisation = bank.worker("fraud_1"), bank.worker("authorisation_1")
    installation.coordinator_process()
    with installation.client() as client:
        load = Load(client)
        try:
            load.goes_on(installation.logs)
            newer = bank.worker("fraud_2")
            fraud.stop()
            bank.succeeds("fraud_2", "record-deployment", "bank.fraud")
            load.goes_on(installation.logs)
            bank.succeeds("authorisation_2", "can-i-deploy", "bank.authorisation")
            reader = bank.worker("authorisation_2")
            authorisation.stop()
            bank.succeeds("authorisation_2", "record-deployment", "bank.authorisation")
            load.goes_on(installation.logs)
            older = bank.worker("fraud_1")
            newer.stop()
            load.goes_on(installation.logs)
        finally:
            load.stop()
        for run, risky in load.runs:
            assert run.result(timeout=60).outcome == ("held" if risky else "approved"), run.id
        assert client.dead_letters() == []
        handoffs = [_handoff(run) for run, _ in load.runs]
    assert reader.running
    assert older.running
    _check_versions(handoffs)


def _handoff(run: Run) -> tuple[str, str, bool]:
    """How the score was handed over: the version it was made in, the one it was written in, whether it was upcast."""
    wait_until(lambda: len(run.history()) >= 3, description=f"the history of {run.id} is there")
    made, taken = (
        next(
            entry
            for entry in run.history()
            if entry.get("agent") == agent and entry["kind"] in {"settled", "deduplicated"}
        )
        for agent in ("bank.fraud", "bank.authorisation")
    )
    sent = (made.get("sent") or {"2": made["wrote"]})["2"]
    assert sent == taken["read"], json.dumps([made, taken])
    assert taken.get("original", "") == ("" if sent == made["wrote"] else made["wrote"])
    return made["wrote"], taken["read"], bool(taken.get("migrated"))


def _check_versions(handoffs: list[tuple[str, str, bool]]) -> None:
    seen = Counter(handoffs)
    one, two = "bank.scored/1", "bank.scored/2"
    assert set(seen) <= {
        (one, one, False),
        (two, one, False),
        (two, one, True),
        (two, two, False),
        (one, one, True),
    }
    for phase in ((one, one, False), (two, one, False), (two, two, False), (one, one, True)):
        assert seen[phase], f"{phase} in {seen}"
