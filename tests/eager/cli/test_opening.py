"""A demo says at once what it is about."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from handoffs.coordinator.cli import main
from handoffs.coordinator.cli.opening import about, announce, open_demo

SYSTEMS = ["payments", "rides", "media"]
HEAVY = {"celery", "sqlalchemy", "redis", "pydantic", "rich", "click"}


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_demo_shows_something_before_anything_heavy_is_loaded(system: str) -> None:
    """What the first words of a demo need is a tenth of a second of a processor, so they are there within two seconds, also beside
    others: no library of the engine is loaded for them."""
    script = (
        "import sys; from handoffs.coordinator.cli.opening import open_demo; "
        f"open_demo(['demo', {system!r}]); print(*{{name.partition('.')[0] for name in sys.modules}})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert not HEAVY & set(done.stdout.split())
    assert " ".join(done.stderr.split()) == " ".join(about(system).split())


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_command_shows_it_first(system: str) -> None:
    """`coordinator demo SYSTEM` itself: the first that comes is what it is about, in two seconds of its processor's time."""
    command = [sys.executable, "-m", "handoffs.coordinator", "demo", system]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        began = time.monotonic()
        first = os.read(process.stderr.fileno(), 40).decode()
        taken = time.monotonic() - began
        process.kill()
    assert about(system).startswith(first.splitlines()[0][:30])
    assert taken < 10, "two seconds on a machine that has time, more beside other tests"


def test_it_is_told_once(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """With options it is told once they are understood; with one that is wrong, and for programs, it is not told."""
    monkeypatch.setenv("COLUMNS", "80")
    open_demo(["demo", "payments", "--json"])
    open_demo(["start", "payments"])
    assert capsys.readouterr().err == ""
    with pytest.raises(SystemExit):
        main(["demo", "payments", "--titles", "5"])
    [line] = capsys.readouterr().err.splitlines()
    assert "has no --titles" in line


@pytest.mark.parametrize("system", ["", "nobody", "../rides", "rides.demo", "__pycache__"])
def test_a_demo_that_there_is_not(system: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It says nothing: the command does."""
    announce(system)
    assert (about(system), capsys.readouterr().err) == ("", "")


@pytest.mark.parametrize("columns", ["20", "80", "9999"])
def test_it_fits_the_terminal(
    columns: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lines are as wide as the terminal, or a hundred characters."""
    monkeypatch.setenv("COLUMNS", columns)
    announce("rides")
    assert max(map(len, capsys.readouterr().err.splitlines())) <= min(int(columns), 100)
