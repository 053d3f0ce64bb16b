"""What the targets of a written project do, with stand-ins for docker and for python that write down how they were called."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from handoffs.coordinator.project.writing import write_project
from tests.eager.project.shell import run

_DOCKER = """#!/bin/sh
{ echo "called: $*"; env; } >> "$CALLS"
case "$*" in
  "compose up"*) exit "${UP:-0}" ;;
  "compose ps"*) echo 0123456789ab ;;
  inspect*) printf '%s\\n' '' 'quote (unhealthy): held: the queue is another' '' 'ship (created): ' ;;
esac
"""
_PYTHON = """#!/bin/sh
{ echo "called: $*"; env; } >> "$CALLS"
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has its secrets and its published contracts."""
    folder = tmp_path_factory.mktemp("published")
    write_project("shop", folder)
    done = run(folder, "make", ".env", "publish")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def project(published: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return shutil.copytree(published, tmp_path / "shop")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the stand-ins."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name, text in (("docker", _DOCKER), ("a-python", _PYTHON)):
        (folder / name).write_text(text, "utf-8")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("CALLS", str(folder / "calls"))
    return folder


def calls(programs: Path) -> str:
    """How the stand-ins were called; empty where none was."""
    file = programs / "calls"
    return file.read_text("utf-8") if file.exists() else ""


@pytest.mark.parametrize("target", ["up", "down", "status", "logs", "run", "test"])
def test_what_a_shell_has_exported_does_not_count(project: Path, programs: Path, target: str) -> None:
    """Whoever has read `.env` into the shell, or that of another project, gets this project's, as it is now; `run` and `test` have
    no server at all."""
    env = project / ".env"
    env.write_text(env.read_text("utf-8") + "MINE=1\n", "utf-8")
    names = re.findall(r"(?m)^(\w+)=", env.read_text("utf-8"))
    assert {"REDIS_PORT", "FLOWER_PASSWORD", "COORDINATOR_BROKER_URL", "COORDINATOR_JOURNAL_URL", "MINE"} <= {
        *names
    }
    foreign = dict.fromkeys(names, "of-the-shell")
    done = run(project, "make", target, "PYTHON=a-python", programs=programs, **foreign, OTHER="of-the-shell")
    assert done.returncode == 0, done.stderr
    seen = calls(programs)
    assert "called: " in seen
    assert {line for line in seen.splitlines() if line.endswith("of-the-shell")} == {"OTHER=of-the-shell"}
    assert "COORDINATOR_AGENTS=shop" in seen


def test_services_that_are_no_longer_there_end(project: Path, programs: Path) -> None:
    """`make up` and `make down` take the containers of renamed and removed services away."""
    assert run(project, "make", "up", programs=programs).returncode == 0
    assert run(project, "make", "down", "ARGS=--volumes", programs=programs).returncode == 0
    said = [line for line in calls(programs).splitlines() if line.startswith("called: ")]
    assert said == [
        "called: compose up --detach --build --remove-orphans --wait",
        "called: compose down --remove-orphans --volumes",
    ]


def test_what_is_not_healthy_says_why(project: Path, programs: Path) -> None:
    """A `make up` that fails shows the line of each container that is not healthy, and what to do next."""
    done = run(project, "make", "up", programs=programs, UP="1")
    assert done.returncode != 0
    assert "Flower" not in done.stdout
    first, second, remedy, *_ = done.stderr.splitlines()
    assert (first, second) == ("quote (unhealthy): held: the queue is another", "ship (created): ")
    assert "make up again" in remedy
    assert "make logs ARGS=" in remedy


@pytest.mark.parametrize("target", ["up", "test", "check"])
def test_a_changed_contract_stops_before_anything_is_replaced(
    project: Path, programs: Path, target: str
) -> None:
    """A published contract that was changed stops `make up` before docker is asked for anything, and `make test` at its end, which
    is what CI runs; each says which contract, and what to do."""
    contracts = project / "shop" / "contracts.py"
    contracts.write_text(
        contracts.read_text("utf-8").replace("    by: str\n", "    by: str\n    why: str\n"), "utf-8"
    )
    done = run(project, "make", target, "PYTHON=a-python", programs=programs)
    assert done.returncode != 0
    assert "shop.approval/1 is published, and the code says otherwise" in done.stdout
    assert "make it version 2" in done.stdout
    assert "compose" not in calls(programs)
    assert ("Nothing was started or replaced" in done.stderr) == (target == "up")


def test_format_puts_style_in_order(project: Path, programs: Path) -> None:
    """What `make test` refuses for its style, and ruff can mend, `make format` mends."""
    agents = project / "shop" / "agents.py"
    written = agents.read_text("utf-8")
    agents.write_text("import sys\n" + written.replace("_AT_MOST = 7", "_AT_MOST=7"), "utf-8")
    done = run(project, "make", "test", "PYTHON=a-python", programs=programs)
    assert done.returncode != 0
    assert "make format" in done.stderr
    assert run(project, "make", "format").returncode == 0
    assert agents.read_text("utf-8").split() == written.split()
    assert run(project, "make", "test", "PYTHON=a-python", programs=programs).returncode == 0


def test_a_bool_may_be_a_condition(project: Path) -> None:
    """A flow that asks whether a bool is true, as the reference writes it, has the style of the project."""
    text = 'from handoffs import field\n\nGRANTED = field("granted") == True\n'
    (project / "shop" / "asked.py").write_text(text, "utf-8")
    done = run(project, "ruff", "check", "--no-cache", ".")
    assert done.returncode == 0, done.stdout
