"""Record lines: runs for an auditor as JSON Lines, in which every digest can be computed again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from handoffs.coordinator.journal.records import RecordedEntry, RecordedRun, Records


def lines(records: Records, run: RecordedRun) -> Iterator[str]:
    """A run, its entries and what was done to it, each a line. An entry stands there as it was written, sign by sign."""
    yield _line("run", run._asdict())
    for entry in records.entries(run.run):
        yield _entry(entry)
    for action in records.actions(run.run):
        yield _line("action", action._asdict())


def _entry(entry: RecordedEntry) -> str:
    values = entry._asdict()
    text, value = values.pop("text"), values.pop("value")
    if (
        value is None or not text.isprintable()
    ):  # it was changed by hand, or a program would take it for several lines
        return _line("entry", {**values, "entry": value, "text": text})
    return f'{_line("entry", values)[:-1]}, "entry": {text}}}'


def _line(record: str, values: dict[str, Any]) -> str:
    return _utf8(json.dumps({"record": record, **values}, ensure_ascii=False))


def _utf8(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
