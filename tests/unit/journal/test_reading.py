"""What is written into the journal can be read as it comes."""

from __future__ import annotations

from pathlib import Path

from handoffs.coordinator.journal.journal import Journal


def test_what_is_new(tmp_path: Path) -> None:
    """Each entry is read once, in the order in which it was written, from where one begins."""
    journal = Journal(f"sqlite:///{tmp_path / 'journal.sqlite3'}")
    try:
        assert journal.history.newest() == 0
        journal.history.record([("a", {"kind": "started", "run": "r1"})])
        after = journal.history.newest()
        assert journal.history.since(after) == []
        journal.history.record([(name, {"kind": "settled", "run": name}) for name in ("b", "c", "d")])
        first = journal.history.since(after, limit=2)
        rest = journal.history.since(first[-1][0])
        assert [entry["run"] for _, entry in first + rest] == ["b", "c", "d"]
        assert journal.history.since(journal.history.newest()) == []
    finally:
        journal.close()
