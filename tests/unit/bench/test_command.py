"""The command line of the benchmarks: what it says to a wrong command. None of these starts a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import command
from bench.command import main
from bench.measures.all import MEASURES


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The message with which a command is refused."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_help_names_all_measures(capsys: pytest.CaptureFixture[str]) -> None:
    """--help says what can be measured, and shows examples."""
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert all(f"  {one.name} " in shown for one in MEASURES)
    assert "python -m bench --quick" in shown


def test_unknown_measure(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown measure is named, with those that there are."""
    shown = refused(capsys, "thruput")
    assert "'thruput'" in shown
    assert "throughput" in shown


def test_unknown_side(capsys: pytest.CaptureFixture[str]) -> None:
    """So is an unknown side."""
    assert "'rq'" in refused(capsys, "--sides", "rq")


def test_side_that_is_not_installed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A side that was asked for and is not installed is an error that says how to install it."""
    monkeypatch.setattr(command, "is_installed", lambda _: False)
    assert "requirements/bench.txt" in refused(capsys, "--sides", "dramatiq")


def test_no_document(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A document that is not there is missed before anything is measured."""
    assert "there is no" in refused(capsys, "--document", str(tmp_path / "none.md"))


@pytest.mark.parametrize("rounds", ["0", "-1", "many"])
def test_rounds(capsys: pytest.CaptureFixture[str], rounds: str) -> None:
    """Rounds are a number from 1."""
    assert "--rounds" in refused(capsys, f"--rounds={rounds}")


@pytest.mark.parametrize("arguments", [("--report",), ("--quick", "--tiny")])
def test_what_does_not_go_together(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    """A report without a document, and two sizes, are refused."""
    assert "usage:" in refused(capsys, *arguments)


def test_report_without_measuring(tmp_path: Path) -> None:
    """--report makes the document again from the raw figures beside it."""
    document = tmp_path / "it.md"
    document.write_text(
        "<!-- bench: bars --><!-- /bench: bars --><!-- bench: latency --><!-- /bench: latency -->"
    )
    line = '{"measure":"latency","case":"Redis syncs always","side":"%s","round":1,"n":1,"values":{"p50_ms":%d}}\n'
    (tmp_path / "it.jsonl").write_text(line % ("handoffs", 5) + line % ("celery", 10))
    main(["--report", "--document", str(document)])
    assert "| 0.50 x celery | reaches the aim |" in document.read_text("utf-8")
    assert (tmp_path / "it.png").exists()


def test_malformed_figures(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Raw figures that are none end it with the line that is wrong."""
    document = tmp_path / "it.md"
    document.write_text("")
    (tmp_path / "it.jsonl").write_text("no json")
    with pytest.raises(SystemExit) as ended:
        main(["--report", "--document", str(document)])
    assert ended.value.code == 1
    assert "line 1" in capsys.readouterr().err
