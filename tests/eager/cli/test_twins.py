"""Two classes of one name and version are said to be that, and not a change of what is published."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from handoffs.coordinator.cli import main

_MODULE = """
from handoffs import Contract, Key, Sensitive, agent

class In(Contract, name="m.in", version=1):
    number: str = Key()
    {field}

@agent("m.{name}")
def {name}(given: In) -> In:
    return given
"""


def _run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[Any, str]:
    """The status of a command, and what it complained of, with the two modules loaded."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("COORDINATOR_AGENTS", "twin_one,twin_two")
    monkeypatch.setenv("COORDINATOR_CONTRACTS_FOLDER", str(folder / "published"))
    for name in ("twin_one", "twin_two"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    status: Any = 0
    try:
        main(arguments)
    except SystemExit as end:
        status = end.code
    return status, capsys.readouterr().err


def _write(folder: Path, one: str, two: str) -> None:
    for name, field in (("one", one), ("two", two)):
        (folder / f"twin_{name}.py").write_text(_MODULE.format(name=name, field=field))


@pytest.mark.parametrize(
    ("one", "two"), [("text: str", "text: int"), ("text: str", "text: Sensitive"), ("text: str", "")]
)
@pytest.mark.parametrize(
    "command", [("contracts", "check"), ("contracts", "publish", "--owner", "m"), ("check",)]
)
def test_twins_are_named_with_their_modules(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    one: str,
    two: str,
    command: tuple[str, ...],
) -> None:
    """In one line, and nothing is published."""
    _write(tmp_path, one, two)
    status, err = _run(tmp_path, monkeypatch, capsys, *command)
    assert status == 1
    assert len(err.splitlines()) == 1
    assert "are m.in/1, and they are not the same: twin_one.In and twin_two.In" in err
    assert not (tmp_path / "published").exists()


def test_two_classes_that_say_the_same_are_one_contract(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each service may have a copy of its own."""
    _write(tmp_path, "text: str", "text: str")
    assert _run(tmp_path, monkeypatch, capsys, "contracts", "publish", "--owner", "m")[0] == 0
