"""`coordinator new`: what people and programs see."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from handoffs.coordinator.cli import main


@pytest.fixture
def new(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the command in a folder of its own, and gives the exit status, what was printed, and what was complained of."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> tuple[Any, str, str]:
        status: Any = 0
        try:
            main(["new", *arguments])
        except SystemExit as end:
            status = end.code
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return command


def test_a_project_is_written(new: Any, tmp_path: Path) -> None:
    """A folder of the project's name has it, a table says what is in which file, and the last line says how to go on."""
    status, out, err = new("shop")
    assert (status, err) == (0, "")
    assert (tmp_path / "shop" / "shop" / "agents.py").exists()
    assert "what the agents say to one another" in out
    assert out.splitlines()[-1] == "go on with: cd shop, make setup, make test, make run"


def test_for_programs(new: Any, tmp_path: Path) -> None:
    """With --json there are the name, the folder and the files, and nothing else; --directory says where they are."""
    status, out, err = new("shop", "--directory", "mine", "--json")
    report = json.loads(out)
    assert (status, err) == (0, "")
    assert (report.keys(), report["name"], report["folder"]) == ({"name", "folder", "files"}, "shop", "mine")
    assert "shop/flow.py" in report["files"]
    assert all((tmp_path / "mine" / file).exists() for file in report["files"])


@pytest.mark.parametrize(
    "arguments", [("json",), ("Shop",), ("shop", "--directory", "a/b"), ("shop", "--directory", "file")]
)
def test_what_cannot_be_done_is_one_line(new: Any, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """A name or a folder that cannot be: status 1, one line with cause, consequence and remedy, and nothing is written."""
    (tmp_path / "file").touch()
    status, out, err = new(*arguments)
    assert (status, out) == (1, "")
    [line] = err.splitlines()
    assert line.startswith("coordinator: ")
    assert "; nothing was written; " in line
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_without_a_name(new: Any) -> None:
    """Without NAME the usage says so, with status 2."""
    status, out, err = new()
    assert (status, out) == (2, "")
    assert "Missing argument 'NAME'; see coordinator new --help" in err
