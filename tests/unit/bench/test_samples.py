"""Raw figures, written and read."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.samples import About, NoSamples, Record, read
from tests.unit.bench.samples import sample


def test_read_back(tmp_path: Path) -> None:
    """What is written is read back as it was."""
    record = Record()
    record.add(About("a-measure", {"machine": "two cores"}))
    record.add(sample("handoffs", 1, {"rate": 12.5}, cpu={"client": 0.25}))
    path = tmp_path / "figures.jsonl"
    path.write_text("\n".join(record.lines()))
    assert read(path) == record


def test_no_file(tmp_path: Path) -> None:
    """Where there is no file, nothing was measured."""
    assert read(tmp_path / "none.jsonl") == Record()


@pytest.mark.parametrize("line", ["no json", "[]", '{"measure": "a"}', '{"facts": {}, "other": 1}'])
def test_no_samples(tmp_path: Path, line: str) -> None:
    """A file of something else is refused, with the line that is none."""
    path = tmp_path / "figures.jsonl"
    path.write_text(f'{{"measure": "a", "facts": {{}}}}\n{line}\n')
    with pytest.raises(NoSamples, match="line 2"):
        read(path)


def test_measured_again() -> None:
    """A measure that is taken anew takes the place of what was known of it, and leaves others as they are."""
    record = Record()
    for line in (About("a-measure", {"on": "monday"}), sample("celery", 1, {"rate": 1}), About("other", {})):
        record.add(line)
    record.add(About("a-measure", {"on": "tuesday"}))
    record.add(sample("celery", 1, {"rate": 2}))
    assert [one.values for one in record.of("a-measure")] == [{"rate": 2}]
    assert record.abouts["a-measure"].facts == {"on": "tuesday"}
    assert "other" in record.abouts
