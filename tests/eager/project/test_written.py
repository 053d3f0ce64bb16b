"""A project as `coordinator new` writes it: in the house style of its own, typed, tested, and at work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from handoffs.coordinator.project.writing import write_project
from tests.eager.project.shell import run

NAMES = ["shop", "a", "my_own_shop", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"]


@pytest.mark.timeout(300)  # mypy reads the packages that the project needs, without a cache
def test_make_test_passes(project: Path) -> None:
    """The targets that need no server pass at once: style, strict types, and the project's own tests."""
    done = run(project, "make", "test")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Success: no issues found in 6 source files" in done.stdout
    assert "5 passed" in done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_the_style_holds_whatever_the_name(tmp_path: Path, name: str) -> None:
    """A short name and a long one, early and late in the alphabet: imports are in order, and lines as the formatter has them."""
    write_project(name, tmp_path)
    checked = run(tmp_path, "ruff", "check", "--no-cache", ".")
    assert checked.returncode == 0, checked.stdout
    formatted = run(tmp_path, "ruff", "format", "--no-cache", "--check", "--diff", ".")
    assert formatted.returncode == 0, formatted.stdout


def test_make_run_shows_the_flow(project: Path) -> None:
    """One order is shipped, one by the fallback, and one is cancelled."""
    done = run(project, "make", "run")
    assert done.returncode == 0, done.stderr
    first, second, third = done.stdout.splitlines()
    assert first.startswith("order-1: completed, parcel-")
    assert second == "order-2: completed, in 7 days: the fallback, after 2 seconds"
    assert third == "order-3: cancelled, what was reserved is released"
    assert "order-1 comes in 2 days" in done.stderr


def test_make_alone_lists_the_targets(project: Path) -> None:
    """Each target is listed with what it does."""
    done = run(project, "make")
    assert done.returncode == 0
    for target in ("setup", "test", "format", "run", "check", "publish", "up", "status", "logs", "down"):
        assert f"make {target} " in done.stdout


def test_secrets_are_made_once(project: Path) -> None:
    """`make .env` puts a secret wherever the example has nothing, readable for its owner alone, and a second time changes nothing;
    an example that became newer than the file is said, and the file stays."""
    assert run(project, "make", ".env").returncode == 0
    env = project / ".env"
    text = env.read_text("utf-8")
    values = dict(line.split("=", 1) for line in text.splitlines() if line and line[0] != "#")
    secrets = [value for name, value in values.items() if name.endswith("_PASSWORD")]
    assert len(set(secrets)) == 4
    assert min(map(len, secrets)) == 32
    assert env.stat().st_mode & 0o777 == 0o600
    assert run(project, "make", ".env").returncode == 0
    os.utime(project / ".env.example", (env.stat().st_mtime + 10, env.stat().st_mtime + 10))
    done = run(project, "make", ".env")
    assert done.returncode != 0
    assert ".env is older than .env.example" in done.stderr
    assert env.read_text("utf-8") == text
    assert not (project / ".env.new").exists()


def test_contracts_are_published_and_checked(project: Path) -> None:
    """`make publish` publishes the contracts of the agents, and a worker's gate finds them in order."""
    assert run(project, "make", "publish").returncode == 0
    assert (project / "contracts" / "published" / "shop.order-placed" / "1.json").exists()
    done = run(project, "env", "COORDINATOR_AGENTS=shop", "coordinator", "contracts", "check")
    assert done.returncode == 0, done.stdout + done.stderr
