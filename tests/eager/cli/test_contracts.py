"""`coordinator contracts diff`: what people and programs see."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from handoffs.coordinator.cli import main

OLD = {"type": "object", "properties": {"risk_level": {"type": "string"}}, "required": ["risk_level"]}
NEW = {"type": "object", "properties": {"risk_score": {"type": "number"}}, "required": ["risk_score"]}
MORE = {**OLD, "properties": {**OLD["properties"], "note": {"type": "string"}}}  # type: ignore[dict-item]


@pytest.fixture
def diff(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Compares two schemas and gives the exit status, what was printed, and what was complained of."""
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.chdir(tmp_path)

    def command(writer: Any, reader: Any, *options: str) -> tuple[Any, str, str]:
        for name, schema in (("old.json", writer), ("new.json", reader)):
            Path(name).write_text(schema if isinstance(schema, str) else json.dumps(schema), "utf-8")
        status: Any = 0
        try:
            main(["contracts", "diff", "old.json", "new.json", *options])
        except SystemExit as end:
            status = end.code
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return command


def test_a_renamed_field_is_seen_at_a_glance(diff: Any) -> None:
    """The table names field, keyword and both sides; the witness stands below; the status is 1."""
    status, out, _ = diff(OLD, NEW)
    assert status == 1
    for word in (
        "old.json -> new.json: incompatible",
        "/risk_score",
        "required nothing ",
        'witness: {"risk_level":""}',
    ):
        assert word in " ".join(out.split())


def test_the_list_of_commands_fits(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal 80 columns wide every line of the help is whole."""
    monkeypatch.setenv("COLUMNS", "80")
    main(["contracts", "--help"])
    _usage, *lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert not [line for line in lines if line.endswith("...")]


def test_for_programs(diff: Any) -> None:
    """With --json there are a verdict, differences and a witness, and nothing else."""
    status, out, _ = diff(OLD, NEW, "--json")
    report = json.loads(out)
    assert status == 1
    assert set(report) == {"verdict", "differences", "witness"}
    assert (report["verdict"], report["witness"]) == ("incompatible", {"risk_level": ""})
    assert report["differences"][0]["path"] == "/risk_score"


@pytest.mark.parametrize(
    ("writer", "reader", "options", "expected"),
    [
        (OLD, MORE, [], 0),
        (OLD, MORE, ["--mode", "full"], 0),
        (OLD, MORE, ["--containment"], 1),
        (OLD, {}, [], 0),
        (OLD, {}, ["--mode", "forward"], 1),
        (OLD, {}, ["--mode", "full"], 1),
        ({"type": "string"}, {"type": "string", "format": "date"}, [], 3),
        ({"type": "string"}, {"type": "string", "format": "date"}, ["--mode", "forward"], 0),
    ],
)
def test_modes_and_exit_status(
    diff: Any, writer: Any, reader: Any, options: list[str], expected: int
) -> None:
    """Backward reads the first with the second, forward the other way round, full both."""
    status, out, err = diff(writer, reader, *options)
    assert (status, err) == (expected, "")
    assert out


@pytest.mark.parametrize("bad", ["{", '{"type": "text"}', '{"a": 1, "a": 1}', "[1]", ""])
def test_what_is_no_schema_is_one_line(diff: Any, bad: str) -> None:
    """A file that is not a schema ends in one line that names it, and in status 2."""
    status, out, err = diff(OLD, bad)
    assert (status, out) == (2, "")
    assert "new.json" in err
    assert err.count("\n") == 1


def test_a_missing_file_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A file that is not there ends in one line and in status 2."""
    with pytest.raises(SystemExit) as end:
        main(["contracts", "diff", str(tmp_path / "none.json"), str(tmp_path / "none.json")])
    assert end.value.code == 2
    assert "cannot be read" in capsys.readouterr().err
