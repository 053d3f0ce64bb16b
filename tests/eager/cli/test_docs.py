"""`coordinator contracts docs`: what people and programs see."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from handoffs.coordinator.cli import main


@pytest.fixture
def docs(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes the documents and gives the exit status, what was printed, and what was complained of."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)

    def command(*options: str) -> tuple[Any, str, str]:
        status: Any = 0
        try:
            main(["contracts", "docs", *options])
        except SystemExit as end:
            status = end.code
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return command


def test_the_documents_are_written(docs: Any, tmp_path: Path) -> None:
    """Three files are in the folder, which is made, and a table names them."""
    status, out, err = docs("--output", "made/here")
    assert (status, err) == (0, "")
    for name in ("asyncapi.json", "catalogue.html", "catalogue.md"):
        assert f"made/here/{name}" in out
        assert (tmp_path / "made" / "here" / name).stat().st_size > 1000
    document = json.loads((tmp_path / "made" / "here" / "asyncapi.json").read_bytes())
    assert document["asyncapi"] == "3.0.0"
    assert "servers" not in document


def test_the_folder_has_a_default(docs: Any, tmp_path: Path) -> None:
    """Without --output they are written to ``catalogue``."""
    assert docs()[0] == 0
    assert (tmp_path / "catalogue" / "catalogue.html").exists()


def test_for_programs(docs: Any) -> None:
    """With --json there are the files and the names of what they tell, and nothing else."""
    status, out, err = docs("--json", "--output", "x")
    report = json.loads(out)
    assert (status, err) == (0, "")
    assert set(report) == {"files", "contracts", "agents", "flows"}
    assert "payments.fraud" in report["agents"]
    assert report["flows"] == ["payments.payment"]
    assert all(Path(file).exists() for file in report["files"])


def test_a_broker_is_named_without_credentials(
    docs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the settings name a broker, it is a server of the document; user and password are nowhere."""
    monkeypatch.setenv("COORDINATOR_BROKER_URL", "amqp://someuser:somepass@rabbit:5672/handoff")
    monkeypatch.setenv("COORDINATOR_REDIS_URL", "redis://nowhere")
    assert docs("--output", "x")[0] == 0
    document = json.loads((tmp_path / "x" / "asyncapi.json").read_bytes())
    assert document["servers"]["broker"]["host"] == "rabbit:5672"
    for file in (tmp_path / "x").iterdir():
        assert "someuser" not in file.read_text("utf-8")
        assert "somepass" not in file.read_text("utf-8")


def test_the_same_again(docs: Any, tmp_path: Path) -> None:
    """A second run writes the same bytes over the first."""
    docs("--output", "x")
    before = {file.name: file.read_bytes() for file in (tmp_path / "x").iterdir()}
    docs("--output", "x")
    assert {file.name: file.read_bytes() for file in (tmp_path / "x").iterdir()} == before


def test_an_unwritable_folder_is_one_line(docs: Any, tmp_path: Path) -> None:
    """Where nothing can be written, one line says so, and the status is 1."""
    (tmp_path / "file").write_text("")
    status, out, err = docs("--output", "file")
    assert (status, out) == (1, "")
    assert "cannot be written to file" in err
    assert err.count("\n") == 1


def test_a_module_that_is_missing_is_one_line(
    docs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a module cannot be loaded nothing is written."""
    monkeypatch.setenv("COORDINATOR_AGENTS", "no.such.module")
    status, _, err = docs("--output", "x")
    assert status == 1
    assert err.count("\n") == 1
    assert not (tmp_path / "x").exists()
