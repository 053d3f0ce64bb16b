"""What is written into the journal can be read as it comes."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import event

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


def test_letters_of_a_run_are_found_among_many(tmp_path: Path) -> None:
    """However many letters wait, those of some runs, and those of a kind, are found without reading the others: whoever writes the
    history down looks for them all the time."""
    with closing(Journal(f"sqlite:///{tmp_path}/journal.sqlite3")) as journal:
        asked: list[tuple[str, Any]] = []
        with journal._database.begin() as connection:
            event.listen(
                connection.engine,
                "before_cursor_execute",
                lambda _c, _u, statement, values, *_: asked.append((statement, values)),
            )
        journal.letters.waiting(["run-1", "run-2"])
        journal.letters.find(kind="error", limit=10)
        questions = [one for one in asked if one[0].startswith("SELECT")]
        with journal._database.begin() as connection:
            plans = [
                str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all())
                for statement, values in questions
            ]
    assert ["own_run" in plans[0], "own_kind" in plans[1]] == [True, True]
