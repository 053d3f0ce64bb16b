"""Tables and the document that has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.bars import Bar
from bench.measures.all import MEASURES
from bench.measures.measure import Column, Measure
from bench.report.document import NoMark, updated
from bench.report.picture import draw
from bench.report.tables import section, table
from bench.samples import About, Record
from tests.unit.bench.samples import sample, series

MEASURE = Measure(
    name="a-measure",
    title="A measure",
    explains="So it is measured.",
    columns=(Column("rate", "runs/s", compared=True), Column("more", "more", 0)),
    play=lambda _bench: (),
    bars=(Bar(text="rate", key="rate", case="a case", against="celery", least=1.6, aim=2.5),),
)
MARKS = "before\n<!-- bench: bars -->\n<!-- /bench: bars -->\n<!-- bench: a-measure -->old<!-- /bench: a-measure -->\nafter"


def record(ours: float, theirs: float) -> Record:
    """One round of two sides."""
    found = Record()
    found.add(About("a-measure", {"machine": "two cores"}))
    for one in (*series("handoffs", "rate", ours), *series("celery", "rate", theirs)):
        found.add(one)
    return found


def test_table() -> None:
    """Medians stand with the lowest and the highest, the ratio beside the side that is not the baseline, and what nobody has
    measured is no column."""
    samples = [*series("handoffs", "rate", 1000, 3000, 2000), *series("celery", "rate", 1000, 1000, 1000)]
    assert table(MEASURE, samples).splitlines() == [
        "|  |  | runs/s | to Celery |",
        "| --- | --- | ---: | ---: |",
        "| a case | handoffs | 2,000.0 (1,000.0..3,000.0) | 2.00 |",
        "|  | celery | 1,000.0 (1,000.0..1,000.0) |  |",
    ]


def test_table_with_processor_time() -> None:
    """Processor time stands for one run, group by group, clients first; a group that a side has not is no zero."""
    samples = [
        sample("handoffs", 1, {"rate": 1}, cpu={"workers": 0.02, "client": 0.01}),
        sample("celery", 1, {"rate": 1}, cpu={"client": 0.03}),
    ]
    head, _, ours, theirs = table(MEASURE, samples).splitlines()
    assert head.endswith("| CPU ms a run: client, workers |")
    assert ours.endswith("| 1.00, 2.00 |")
    assert theirs.endswith("| 3.00, — |")


def test_a_missed_bar_is_seen() -> None:
    """A bar that is missed is said to be, in bold; one that is not, is not."""
    assert "| rate | ≥ 1.60 x celery | ≥ 2.50 x celery | 1.50 x celery | **MISSED** |" in section(
        MEASURE, record(15, 10)
    )
    assert "MISSED" not in section(MEASURE, record(16, 10))


def test_nothing_measured() -> None:
    """A measure that was not taken has no section."""
    assert section(MEASURE, Record()) == ""


def test_document() -> None:
    """What is between the marks is new, and the rest stays; putting the same in once more changes nothing."""
    found = updated(MARKS, record(15, 10), [MEASURE])
    assert found.startswith("before\n<!-- bench: bars -->\n| bar |")
    assert "So it is measured." in found
    assert "two cores" in found
    assert "old" not in found
    assert found.endswith("\nafter")
    assert updated(found, record(15, 10), [MEASURE]) == found


def test_document_keeps_what_was_not_measured_again() -> None:
    """Of a measure that is in no record the old section stays."""
    assert "old" in updated(MARKS, Record(), [MEASURE])


def test_document_without_a_mark() -> None:
    """A document that has no place for a figure is refused."""
    with pytest.raises(NoMark, match="a-measure"):
        updated("<!-- bench: bars --><!-- /bench: bars -->", record(1, 1), [MEASURE])


def test_the_document_has_a_place_for_each_measure() -> None:
    """Every measure can be put into docs/performance.md."""
    text = (Path(__file__).parents[3] / "docs" / "performance.md").read_text("utf-8")
    for name in ("bars", *(one.name for one in MEASURES)):
        assert f"<!-- bench: {name} -->" in text
        assert f"<!-- /bench: {name} -->" in text


def test_picture(tmp_path: Path) -> None:
    """A record becomes a PNG."""
    draw(record(15, 10), [MEASURE], tmp_path / "it.png")
    assert (tmp_path / "it.png").read_bytes().startswith(b"\x89PNG")
