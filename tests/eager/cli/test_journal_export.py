"""`coordinator journal export`: runs for an auditor, in files that can be read and computed again without us."""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import sys
import tracemalloc
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from handoffs import Contract, Coordinator, Flow, Key, Sensitive, agent
from handoffs.coordinator.journal.records import RecordFilter
from handoffs.coordinator.journal.runs import Noted
from handoffs.coordinator.render.record_lines import lines
from handoffs.coordinator.runtime.service import Service
from tests.eager.command import Command

PIN = "correct horse battery"
HOSTILE = "</pre><script>alert(1)</script>\x1b[31m\u202e\u2028\nsecond line"


class Order(Contract, name="audit.order", version=1):
    number: str = Key()
    note: str = ""
    pin: Sensitive = PIN  # type: ignore[assignment]


@agent("audit.price")
def price(order: Order) -> Order:
    return order


FLOW = Flow("audit.prices", price)
OTHER = Flow("audit.others", price)


@pytest.fixture
def audited(coordinator: Coordinator) -> Coordinator:
    """A coordinator in whose journal there are three runs, two of one flow, and an action."""
    runs = [coordinator.start(FLOW, Order(number=f"o-{number}", note=HOSTILE)) for number in (1, 2)]
    coordinator.start(OTHER, Order(number="o-9"))
    Service(coordinator.engine, coordinator.journal).drain_history()
    coordinator.journal.actions.record("skip", who="ann", run=runs[0].id, note="<b>why</b>")
    return coordinator


def told(path: Path) -> list[dict[str, Any]]:
    """The lines of a file."""
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


def exported(coordinator: Coordinator, command: Command, path: Path, *options: str) -> list[dict[str, Any]]:
    """What an export to a file has."""
    assert command.json(coordinator, "journal", "export", "--output", str(path), *options)["output"] == str(
        path
    )
    return told(path)


def test_every_digest_can_be_computed_from_the_file(
    audited: Coordinator, command: Command, tmp_path: Path
) -> None:
    """With nothing but the file, JSON and SHA-256: the entries of a run stand there as they were written."""
    found = exported(audited, command, tmp_path / "all.jsonl")
    assert [line["record"] for line in found].count("run") == 3
    raw = [
        line
        for line in (tmp_path / "all.jsonl").read_text("utf-8").split("\n")
        if '"record": "entry"' in line[:20]
    ]
    assert len(raw) == 6
    last: dict[str, str] = {}
    for line in raw:
        entry = json.loads(line)
        content = {
            name: entry[name]
            for name in ("source", "run", "flow", "kind", "at", "namespace", "sequence", "previous")
        }
        content["entry"] = line.partition(', "entry": ')[2][:-1] if "text" not in entry else entry["text"]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert entry["digest"] == hashlib.sha256(text.encode()).hexdigest()
        assert entry["previous"] == last.get(entry["run"], "")
        last[entry["run"]] = entry["digest"]
    assert {line["run"]: line["digest"] for line in found if line["record"] == "run"} == last
    [action] = [line for line in found if line["record"] == "action"]
    assert (action["who"], action["action"], action["note"], action["sequence"]) == (
        "ann",
        "skip",
        "<b>why</b>",
        1,
    )


@pytest.mark.parametrize("form", ["jsonl", "html"])
def test_secrets_stay_masked(audited: Coordinator, command: Command, tmp_path: Path, form: str) -> None:
    """As they are in the journal."""
    output = tmp_path / "out"
    assert command(audited, "journal", "export", "--format", form, "--output", str(output))[0] == 0
    files = [output] if form == "jsonl" else list(output.iterdir())
    assert files
    assert all(PIN not in file.read_text("utf-8") for file in files)
    assert any("o-1" in file.read_text("utf-8") for file in files)


def test_runs_are_chosen(audited: Coordinator, command: Command, tmp_path: Path) -> None:
    """By id (its beginning will do), key, flow, and when they were accepted."""

    def keys(*options: str) -> list[str]:
        found = exported(audited, command, tmp_path / "x.jsonl", *options)
        return sorted(line["key"] for line in found if line["record"] == "run")

    assert keys("--flow", "audit.prices") == ["o-1", "o-2"]
    assert keys("--key", "o-9") == ["o-9"]
    assert keys("--since", "2999-01-01") == []
    assert keys("--until", "2000-01-01") == []
    assert keys("--since", "2000-01-01", "--until", "2999-01-01", "--key", "o-2") == ["o-2"]
    [run] = audited.runs(key="o-9")
    assert keys("--run", run.id[:13]) == ["o-9"]


class _Page(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_page_needs_nothing_and_obeys_nobody(
    audited: Coordinator, command: Command, tmp_path: Path
) -> None:
    """No script, no link, nothing from elsewhere; what a run says is text, also where it looks like HTML or would hide something."""
    assert (
        command(
            audited, "journal", "export", "--key", "o-1", "--format", "html", "--output", str(tmp_path / "o")
        )[0]
        == 0
    )
    [file] = (tmp_path / "o").iterdir()
    [run] = audited.runs(key="o-1")
    assert file.name == f"{run.id}.html"
    content = file.read_text("utf-8")
    page = _Page(content)
    assert not page.tags & {"script", "link", "img", "iframe", "b", "a", "form"}
    assert not page.attributes & {"src", "href", "onload", "onclick"}
    assert "http" not in content.replace("http-equiv", "")
    assert not re.search("[\x1b\u202e\u2028]", content)
    assert {"details", "summary"} <= page.tags
    assert "<script>alert(1)</script>" in page.text
    assert "<b>why</b>" in page.text
    assert "each entry is as it was written" in page.text


def test_a_page_says_where_the_chain_is_broken(
    audited: Coordinator, command: Command, tmp_path: Path
) -> None:
    """Whoever reads it need not ask us."""
    with audited.journal.records._database.begin() as connection:
        connection.execute(text("update handoff_history set entry = 'no </pre> entry' where sequence = 2"))
    assert (
        command(audited, "journal", "export", "--key", "o-1", "--format", "html", "--output", str(tmp_path))[
            0
        ]
        == 0
    )
    [file] = tmp_path.iterdir()
    page = _Page(file.read_text("utf-8"))
    assert "entry 2 is not as it was written: changed" in page.text
    assert "no </pre> entry" in page.text
    entry = [
        line
        for line in exported(audited, command, tmp_path / "x", "--key", "o-1")
        if line["record"] == "entry"
    ][1]
    assert (entry["entry"], entry["text"]) == (None, "no </pre> entry")


def test_memory_is_bounded(coordinator: Coordinator) -> None:
    """A run of many entries is written as it is read."""
    journal = coordinator.journal
    for first in range(0, 12_000, 1_000):
        some = range(first, first + 1_000)
        journal.history.record(
            [
                (
                    f"0/{n}",
                    {"kind": "retried", "run": "long", "flow": "f", "at": "2026", "input": "x" * 1_000},
                )
                for n in some
            ]
        )
    journal.runs.note({"long": Noted("f", "completed", "2026")})
    [run] = journal.records.runs(RecordFilter(run="long"))
    tracemalloc.start()
    try:
        assert sum(1 for _ in lines(journal.records, run)) == 12_001
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (
        peak < 9_000_000
    )  # a page of a thousand entries of 1.3 kB each, several times over; all of them are 16 MB at least


def test_parquet_says_what_to_install(
    audited: Coordinator, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one line, before anything is written."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    status, _, err = command(
        audited, "journal", "export", "--format", "parquet", "--output", str(tmp_path / "x")
    )
    assert status == 1
    assert "pip install pyarrow" in err
    assert list(tmp_path.iterdir()) == []


def test_parquet_has_all_entries(audited: Coordinator, command: Command, tmp_path: Path) -> None:
    """A row for each entry, which pyarrow reads back."""
    path = tmp_path / "x.parquet"
    assert command(audited, "journal", "export", "--format", "parquet", "--output", str(path))[0] == 0
    rows = importlib.import_module("pyarrow.parquet").read_table(path).to_pylist()
    assert len(rows) == 6
    assert {row["agent"] for row in rows} == {"", "audit.price"}


def test_what_cannot_be_written_leaves_nothing(
    audited: Coordinator, command: Command, tmp_path: Path
) -> None:
    """A folder that is not there, or a file where a folder has to be: one line, status 2, and no half of a file."""
    status, _, err = command(audited, "journal", "export", "--output", str(tmp_path / "none" / "x"))
    assert status == 2
    assert "cannot be written" in err
    (tmp_path / "file").write_text("mine")
    status, _, err = command(
        audited, "journal", "export", "--format", "html", "--output", str(tmp_path / "file")
    )
    assert status == 2
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
