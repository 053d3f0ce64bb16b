"""`coordinator doctor` and `coordinator top`, as people and programs read them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from handoffs.coordinator.cli import main
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.observe.doctor.check import AREAS, Check, failed
from handoffs.coordinator.render.console import out
from tests.eager.command import Command
from tests.eager.office import AGENT, Office


def _alone(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[Any, str]:
    status: Any = 0
    try:
        main(arguments)
    except SystemExit as end:
        status = end.code
    return status, capsys.readouterr().out


def test_without_servers_it_says_so_and_checks_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    """Embedded: modules, contracts, the journal; nothing has failed, and the status is 0."""
    status, out = _alone(capsys, "doctor", "--json")
    found = json.loads(out)
    assert (status, found["state"]) == (0, "ok")
    told = {one["name"]: one["told"] for one in found["checks"]}
    assert told["mode"].startswith("embedded")
    assert {"modules", "published contracts", "version", "tables", "chain", "drain"} <= told.keys()


def test_in_eager_mode_it_says_so(office: Office) -> None:
    """From Python; the chain of what was written is followed where something is in the journal."""
    found = {check.name: check for check in office.coordinator.examine()}
    assert found["mode"].told.startswith("eager")
    assert {name for name, check in found.items() if check.state != "ok"} == {
        "journal keys"
    }  # which is all zeros here


def test_people_see_a_table_for_each_server_with_what_to_do(
    office: Office, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has failed ends with 1; --faults leaves out what is in order."""
    broken: tuple[Check, ...] = (
        *office.coordinator.examine(),
        failed("redis", "role", "a replica", "name the master"),
    )
    monkeypatch.setattr(office.coordinator._doctor, "examine", lambda _: broken)
    status, out, _ = command(office.coordinator, "doctor", "--faults")
    assert status == 1
    assert re.search(r"^redis\n", out, re.MULTILINE)
    assert re.search(r"failed +role +a replica *\n +-> name the master", out)
    assert not re.search(r"^ok ", out, re.MULTILINE)
    assert re.search(r"2 failed, .*\d+ ok", out)
    whole = command(office.coordinator, "doctor")[1]
    assert [area for area in AREAS if re.search(rf"^{area}\n", whole, re.MULTILINE)] == [
        "settings",
        "redis",
        "journal",
    ]


def test_settings_that_are_none_are_a_finding_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not the end of the command."""
    monkeypatch.setenv("COORDINATOR_LEESE", "5s")
    status, out = _alone(capsys, "doctor", "--json")
    [check] = json.loads(out)["checks"]
    assert (status, check["area"], check["state"]) == (1, "settings", "failed")
    assert "COORDINATOR_LEASE" in check["remedy"]


def test_modules_that_cannot_be_loaded_are_a_finding_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not depend on them is looked at."""
    monkeypatch.setenv("COORDINATOR_AGENTS", "no.such.module")
    status, out = _alone(capsys, "doctor", "--json")
    states = {one["name"]: one["state"] for one in json.loads(out)["checks"]}
    assert (status, states["modules"], states["chain"]) == (1, "failed", "ok")


def test_top_shows_what_there_is(office: Office, command: Command) -> None:
    """Once, where the output is no terminal: runs, letters and a line for each agent."""
    status, out, _ = command(office.coordinator, "top")
    assert status == 0
    assert re.search(r"runs +1 waiting, 1 parked\n", out)
    assert re.search(r"letters +1 error; the oldest, .* for \d+ m?s", out)
    assert re.search(rf"^{re.escape(AGENT)} +1 +- ", out, re.MULTILINE)
    found = command.json(office.coordinator, "top")
    assert found["letters"]["waiting"] == 1


def test_top_says_what_is_not_known_and_since_when(
    office: Office, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No zeros stand for a server that is away."""

    def refuses(*_: Any) -> Any:
        raise ServerError("Redis is away", "nothing", "start it")

    monkeypatch.setattr(office.coordinator._readings._pulse, "shards", refuses)
    out = command(office.coordinator, "top", "--once")[1]
    assert re.search(r"redis unreachable since \d\d:\d\d:\d\d: Redis is away\n", out)
    assert re.search(r"runs +\?\n", out)
    assert re.search(r"a second +\?\n", out)
    assert re.search(r"letters +1 error", out)
    assert "what to do: coordinator doctor" in out


def test_top_says_where_nobody_works(
    office: Office, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the command that starts a worker, and a coordinator process."""
    readings = office.coordinator._readings
    monkeypatch.setattr(readings, "_queues", _Deep(readings._services.topology.queue_name(AGENT)))
    monkeypatch.setattr(office.coordinator.engine.announcements, "everybody", lambda: {AGENT: []})
    out = command(office.coordinator, "top", "--once")[1]
    assert f"nobody is at work as {AGENT}: coordinator worker {AGENT}" in out
    assert "no coordinator process is at work: coordinator serve" in out


class _Deep:
    """Queues of which one has messages."""

    def __init__(self, name: str) -> None:
        self._name = name

    def depths(self, *_: Any) -> dict[str, Any]:
        from handoffs.coordinator.messaging.queues import Depth  # noqa: PLC0415 - for this alone

        return {self._name: Depth(3, 0)}

    def close(self) -> None:
        """Nothing."""


def test_top_is_drawn_again_until_it_is_stopped(
    office: Office, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a terminal, at the interval that was given; Ctrl-C ends it as it ends every command."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise KeyboardInterrupt

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(out, "_force_terminal", True)
    monkeypatch.setattr(out, "is_interactive", True)
    monkeypatch.setattr("handoffs.coordinator.cli.top.sleep", sleep)
    status, drawn, _ = command(office.coordinator, "top", "--interval", "0.5")
    assert status == 130
    assert slept == [0.5] * 3
    assert drawn.count("a second") >= 3
