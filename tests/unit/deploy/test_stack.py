"""deploy/stack.py: secrets are made once and kept, and what is in the way is one line."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stack import ROOT, load

EXAMPLE = """\
# What the stack needs.

A_PASSWORD=
B_COOKIE=

# Ports.
WEB_PORT=5555
URL=amqp://me:${A_PASSWORD}@127.0.0.1:${WEB_PORT}//
"""

_names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,10}", fullmatch=True)
_values = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1)


@pytest.fixture
def stack() -> Any:
    """The program as a module."""
    return load()


@pytest.fixture
def example(tmp_path: Path) -> Path:
    path = tmp_path / ".env.example"
    path.write_text(EXAMPLE, "utf-8")
    return path


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def _values_of(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    pairs = [line.partition("=")[::2] for line in lines]
    assert len({name for name, _ in pairs}) == len(pairs), "each variable stands there once"
    return dict(pairs)


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_new_file_has_secrets_and_defaults(stack: Any, example: Path, target: Path) -> None:
    """Where there is no file, each empty variable becomes a secret of its own, and the others keep their defaults."""
    assert stack.fill(example, target) == ["A_PASSWORD", "B_COOKIE", "WEB_PORT", "URL"]
    values = _values_of(target)
    made = [values.pop("A_PASSWORD"), values.pop("B_COOKIE")]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{32}", secret) for secret in made)
    assert made[0] != made[1]
    assert values == {"WEB_PORT": "5555", "URL": "amqp://me:${A_PASSWORD}@127.0.0.1:${WEB_PORT}//"}
    assert [line for line in target.read_text().splitlines() if line.startswith("#")] == [
        "# What the stack needs.",
        "# Ports.",
    ]


def test_secrets_are_nobody_elses(stack: Any, example: Path, target: Path) -> None:
    """The file is readable for its owner alone, also where a person copied the example, which everybody may read."""
    stack.fill(example, target)
    assert _mode(target) == 0o600
    target.write_text(EXAMPLE, "utf-8")
    target.chmod(0o644)
    assert stack.fill(example, target) == ["A_PASSWORD", "B_COOKIE"]
    assert _mode(target) == 0o600


def test_a_second_time_changes_nothing(stack: Any, example: Path, target: Path) -> None:
    """A file that has everything is left as it is, byte for byte."""
    stack.fill(example, target)
    target.write_text(f"{target.read_text()}# mine\n", "utf-8")
    before = target.read_bytes()
    assert stack.fill(example, target) == []
    assert target.read_bytes() == before


def test_what_is_there_is_kept(stack: Any, example: Path, target: Path) -> None:
    """Values that are there stay, missing ones are added, and a person's own variables are still there."""
    target.write_text(
        "B_COOKIE='keep me'\n  WEB_PORT=7000\nhttp_proxy=http://proxy\nOWN=a=b # c\n\nA_PASSWORD=\n"
    )
    assert stack.fill(example, target) == ["A_PASSWORD", "URL"]
    values = _values_of(target)
    assert len(values.pop("A_PASSWORD")) == 32
    assert values == {
        "B_COOKIE": "'keep me'",
        "WEB_PORT": "7000",
        "URL": "amqp://me:${A_PASSWORD}@127.0.0.1:${WEB_PORT}//",
        "http_proxy": "http://proxy",
        "OWN": "a=b # c",
    }


def test_a_file_as_other_systems_write_it(stack: Any, example: Path, target: Path) -> None:
    """A byte order mark and CRLF are taken out of the file: a shell would take them for a part of names and values."""
    stack.fill(example, target)
    text = target.read_text()
    target.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert stack.fill(example, target) == []
    assert target.read_bytes() == text.encode()
    target.write_bytes(text.encode("utf-16"))
    with pytest.raises(stack.Obstacle, match="not UTF-8"):
        stack.fill(example, target)


@given(given_values=st.dictionaries(_names, _values, max_size=6))
def test_no_value_is_ever_lost(
    tmp_path_factory: pytest.TempPathFactory, given_values: dict[str, str]
) -> None:
    """Whatever variables a file has, they have the same values afterwards."""
    folder = tmp_path_factory.getbasetemp()
    (folder / "example").write_text(EXAMPLE, "utf-8")
    target = folder / "filled"
    target.write_text("".join(f"{name}={value}\n" for name, value in given_values.items()), "utf-8")
    load().fill(folder / "example", target)
    values = _values_of(target)
    assert values.items() >= given_values.items()
    assert values.keys() == given_values.keys() | {"A_PASSWORD", "B_COOKIE", "WEB_PORT", "URL"}


def test_the_real_example_is_filled(stack: Any, target: Path) -> None:
    """From the example that ships comes a file without an empty value."""
    stack.fill(ROOT / ".env.example", target)
    values = _values_of(target)
    assert all(values.values())
    assert len(values["RABBITMQ_PASSWORD"]) == 32


# Ports


def _answers(
    stack: Any, monkeypatch: pytest.MonkeyPatch, *containers: dict[str, Any]
) -> list[tuple[str, ...]]:
    """Docker says that these containers are there; gives what it is asked."""
    asked = []

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        if command[1] == "logs":
            return subprocess.CompletedProcess(command, 0, "", "starting\nFATAL: no such role\n")
        said = json.dumps(containers) if command[1] == "inspect" else "id\n" * len(containers)
        return subprocess.CompletedProcess(command, 0, said, "")

    monkeypatch.setattr(stack, "_run", run)
    return asked


def _publishing(*ports: int) -> dict[str, Any]:
    bindings = {f"{port}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}] for port in ports}
    return {"NetworkSettings": {"Ports": {**bindings, "4369/tcp": None}}}


def _taken(*ports: int) -> Callable[[int], bool]:
    return lambda port: port not in ports


@pytest.mark.parametrize("value", ["", "http", "0", "65536", "-1", "80.5", " 80 ", "²", '"5555"'])
def test_a_port_that_is_none(stack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """A port that is no number of a port is refused with its name, before anything is asked of it."""
    _answers(stack, monkeypatch)
    monkeypatch.setattr(stack, "_is_free", lambda port: True)
    with pytest.raises(stack.Obstacle, match=r"WEB_PORT is .*; nothing was started; .* port number in \.env"):
        stack.Stack(tmp_path / ".env")._check_ports({"WEB_PORT": value})


def test_a_port_of_another_program(stack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that another program has is refused with its name and where to set another."""
    _answers(stack, monkeypatch)
    monkeypatch.setattr(stack, "_is_free", _taken(6379))
    with pytest.raises(stack.Obstacle) as caught:
        stack.Stack(tmp_path / ".env")._check_ports({"WEB_PORT": "5555", "REDIS_PORT": "6379", "URL": "x"})
    assert str(caught.value) == (
        "port 6379 (REDIS_PORT) is taken by another program; nothing was started;"
        " set REDIS_PORT in .env to a free one"
    )


def test_a_port_of_our_own(stack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that the project's own containers have is in nobody's way."""
    _answers(stack, monkeypatch, _publishing(5555), _publishing(6379, 5672))
    monkeypatch.setattr(stack, "_is_free", _taken(5555, 6379))
    stack.Stack(tmp_path / ".env")._check_ports({"WEB_PORT": "5555", "REDIS_PORT": "6379"})


# Containers


def _container(
    name: str, status: str, *, exit_code: int = 0, restart: str = "unless-stopped", **health: Any
) -> dict[str, Any]:
    """As much of ``docker inspect`` as is read."""
    return {
        "Name": f"/coordinator-{name}-1",
        "State": {
            "Status": status,
            "ExitCode": exit_code,
            "Error": "",
            **({"Health": health} if health else {}),
        },
        "Config": {"Labels": {"com.docker.compose.service": name}},
        "HostConfig": {"RestartPolicy": {"Name": restart}},
    }


def _log(*outputs: str) -> list[dict[str, Any]]:
    return [{"ExitCode": 0, "Output": output} for output in outputs]


CONTAINERS = [
    _container(
        "redis", "running", Status="healthy", Log=_log("PONG\n")
    ),
    _container(
        "fraud", "running", Status="unhealthy", Log=_log("starting: not yet\n", "held: no broker\n\n")
    ),
    _container("ledger", "running", Status="starting", Log=_log()),
    _container("flower", "running", Status="starting"),
    _container("plain", "running"),
    _container("databases", "exited", restart="no"),
    _container("migration", "exited", exit_code=3, restart="no"),
    _container("worker", "exited", Status="unhealthy", Log=_log("held: no broker")),
    _container("waiting", "created"),
]  # fmt: skip


def test_rows(stack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each container has its state, whether that is as it should be, and what its health check said last; one that has
    ended badly has the end of its log."""
    _answers(stack, monkeypatch, *CONTAINERS)
    rows = stack.Stack(tmp_path / ".env").rows()
    assert [row["name"] for row in rows] == sorted(row["name"] for row in rows)
    assert {row["service"]: (row["state"], row["well"], row["says"]) for row in rows} == {
        "redis": ("healthy", True, "PONG"),
        "fraud": ("unhealthy", False, "held: no broker"),
        "ledger": ("starting", False, ""),
        "flower": ("starting", False, ""),
        "plain": ("running", True, ""),
        "databases": ("done", True, ""),
        "migration": ("exited 3", False, "FATAL: no such role"),
        "worker": ("exited 0", False, "FATAL: no such role"),
        "waiting": ("created", False, ""),
    }


def test_a_container_that_could_not_start(
    stack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the engine says of a container that it could not start is shown."""
    container = _container("redis", "created", exit_code=128)
    container["State"]["Error"] = "port is already allocated"
    _answers(stack, monkeypatch, container)
    [row] = stack.Stack(tmp_path / ".env").rows()
    assert (row["well"], row["says"]) == (False, "port is already allocated")


def test_no_containers(stack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing runs, there are no rows, and Docker is not asked about nothing."""
    asked = _answers(stack, monkeypatch)
    assert stack.Stack(tmp_path / ".env").rows() == []
    assert [command[1] for command in asked] == ["compose"]


def test_compose_is_asked_about_this_project(
    stack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every question names the project and the file with its secrets: two stacks do not mix."""
    asked = _answers(stack, monkeypatch)
    stack.Stack(tmp_path / "other.env", "other").rows()
    [command] = asked
    assert command[:6] == ("docker", "compose", "--env-file", str(tmp_path / "other.env"), "-p", "other")


# Profiles


@pytest.mark.parametrize("wanted", ["", "media", "media,rides", " media , rides ", "*"])
def test_profiles_that_there_are(
    stack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    """Profiles of the compose file are in nobody's way, however they are written."""
    monkeypatch.setattr(stack, "_run", _profiles)
    stack.Stack(tmp_path / ".env")._check_profiles(wanted)


def test_a_profile_that_there_is_not(stack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile that is misspelt, which compose would pass over, is named with those that there are."""
    monkeypatch.setattr(stack, "_run", _profiles)
    with pytest.raises(stack.Obstacle) as caught:
        stack.Stack(tmp_path / ".env")._check_profiles("medai,rides")
    assert str(caught.value) == (
        "COMPOSE_PROFILES names medai, which there is not; nothing was started; there are: cluster, media, rides"
    )


def test_nothing_is_started_with_a_profile_that_there_is_not(
    stack: Any, target: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`make up` looks at the profiles before it builds or starts anything."""
    monkeypatch.setattr(stack, "check_engine", lambda: None)
    monkeypatch.setattr(stack, "_run", _profiles)  # which refuses every other question
    monkeypatch.setenv("COMPOSE_PROFILES", "medai")
    target.write_text("A=b\n")
    assert stack.main(["up", "--env-file", str(target)]) == 1
    assert "stack: COMPOSE_PROFILES names medai" in capsys.readouterr().err


def test_where_profiles_are_said(stack: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment says which profiles are wanted, even if none; else the file does."""
    monkeypatch.delenv("COMPOSE_PROFILES", raising=False)
    assert stack._wanted_profiles({}) == ""
    assert stack._wanted_profiles({"COMPOSE_PROFILES": "'media'"}) == "media"
    monkeypatch.setenv("COMPOSE_PROFILES", "")
    assert stack._wanted_profiles({"COMPOSE_PROFILES": "media"}) == ""


def _profiles(*command: str) -> subprocess.CompletedProcess[str]:
    assert command[-2:] == ("config", "--profiles")
    return subprocess.CompletedProcess(command, 0, "rides\nmedia\ncluster\nupload\n", "")


# Demos


def test_a_demo_without_its_fleets(
    stack: Any, target: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A demo whose fleets are not all healthy is not begun, and one line says who is missing and what starts them."""
    target.write_text("A=b\n")
    there = [
        _container(name, "running", Status="healthy", Log=_log("ready"))
        for name in ("coordinator", "matching", "pricing", "dispatcher", "stand-ins")
    ]
    eta = _container("eta", "running", Status="unhealthy", Log=_log("held: no broker"))
    monkeypatch.setattr(stack, "check_engine", lambda: None)
    monkeypatch.setattr(stack.subprocess, "run", _must_not_run)
    _answers(stack, monkeypatch, *there, eta)
    assert stack.main(["demo", "--env-file", str(target), "rides", "--seconds", "3"]) == 1
    assert capsys.readouterr().err == (
        "stack: eta: not there, or not healthy; nothing was started; COMPOSE_PROFILES=rides make up, or see make status\n"
    )


def test_a_demo_without_secrets(
    stack: Any, target: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where there is no .env, nothing was ever started, and that is said."""
    monkeypatch.setattr(stack, "check_engine", lambda: None)
    assert stack.main(["demo", "--env-file", str(target), "payments"]) == 1
    assert "there is no .env; nothing was started; make up makes it" in capsys.readouterr().err


def test_a_demo_is_a_client_of_the_stack(stack: Any, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo gets the variables of the .env, the film of media and what it is told, and its status is the program's."""
    target.write_text("PASSWORD=p\nURL=amqp://me:${PASSWORD}@host\n")
    there = [
        _container(name, "running", Status="healthy", Log=_log("ready"))
        for name in ("coordinator", *stack._FLEETS["media"])
    ]
    monkeypatch.setattr(stack, "check_engine", lambda: None)
    _answers(stack, monkeypatch, *there)
    known = stack._run

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        if "upload" in command:
            return subprocess.CompletedProcess(command, 0, '{"source": "a b"}\n', "")
        answer: subprocess.CompletedProcess[str] = known(*command)
        return answer

    monkeypatch.setattr(stack, "_run", run)
    program = target.with_name("program")
    program.write_text(f'#!/bin/sh\nprintf "%s|" "$URL" "$@" > {target}.said\nexit 3\n')
    program.chmod(0o755)
    monkeypatch.setattr(stack.sys, "executable", str(program))
    assert stack.main(["demo", "--env-file", str(target), "media", "--titles", "5", "--json"]) == 3
    assert Path(f"{target}.said").read_text() == (
        'amqp://me:p@host|-m|handoffs.coordinator|demo|media|--running|--film|{"source": "a b"}|--titles|5|--json|'
    )


def _must_not_run(*_: Any, **__: Any) -> None:
    raise AssertionError("nothing may be started")


# The engine


@pytest.mark.parametrize(
    ("version", "obstacle"),
    [
        ("2.23.0", None),
        ("v2.39.1-desktop.1", None),
        ("5.0.0", None),
        ("2.22.9", "Docker Compose is 2.22.9;"),
        ("1.29.2", "Docker Compose is 1.29.2;"),
        ("", "Docker Compose is not there;"),
    ],
)
def test_compose_must_be_new_enough(
    stack: Any, monkeypatch: pytest.MonkeyPatch, version: str, obstacle: str | None
) -> None:
    """A Compose that is too old, or missing, is named in one line with what to install."""
    monkeypatch.setattr(stack.shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(
        stack, "_run", lambda *command: subprocess.CompletedProcess(command, 0, f"{version}\n", "")
    )
    if obstacle is None:
        stack.check_engine()
        return
    with pytest.raises(stack.Obstacle, match=f"{re.escape(obstacle)} .*install 2.23 or newer"):
        stack.check_engine()


def test_without_an_engine(
    stack: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], target: Path
) -> None:
    """Where no engine answers, the program ends with one line and status 1, and makes no file."""
    monkeypatch.setattr(stack.shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(stack, "_run", lambda *command: subprocess.CompletedProcess(command, 1, "", "no"))
    assert stack.main(["up", "--env-file", str(target)]) == 1
    monkeypatch.setattr(stack.shutil, "which", lambda name: None)
    assert stack.main(["status", "--env-file", str(target)]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    no_engine, no_command = printed.err.splitlines()
    assert no_engine.startswith("stack: no Docker engine answers; nothing was started")
    assert no_command.startswith("stack: there is no docker command; nothing was started")
    assert not target.exists()


def test_data_without_their_secrets(stack: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a project has volumes and its secrets are gone, nothing is started with new ones that would not fit."""

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        assert command[-1] == "label=com.docker.compose.project=shop"
        return subprocess.CompletedProcess(command, 0, "shop_redis-data\nshop_postgres-data\n", "")

    monkeypatch.setattr(stack, "_run", run)
    with pytest.raises(stack.Obstacle, match=r"2 volumes, such as shop_redis-data\) but no \.env"):
        stack.check_no_data("shop")


@pytest.mark.parametrize("text", ["", "# nothing is needed\n", "\n\n"])
def test_an_example_without_variables(text: str, stack: Any, example: Path, target: Path) -> None:
    """An example that names no variable gives a file without any, for its owner alone; the same one the next time."""
    example.write_text(text, "utf-8")
    assert stack.fill(example, target) == []
    assert _values_of(target) == {}
    assert _mode(target) == 0o600
    assert stack.fill(example, target) == []
