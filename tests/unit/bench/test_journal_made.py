"""The rows that a long journal is made of for a benchmark."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from sqlalchemy import create_engine, text

from bench.journal_made import ROWS_OF_A_RUN, Made
from bench.journal_rows import Asked, table
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.journal.run_filter import RunFilter


def test_the_rows_are_those_of_a_journal(tmp_path: Path) -> None:
    """They go into its tables, are listed and found, and their chains hold; the same are made each time."""
    url = f"sqlite:///{tmp_path}/journal.sqlite3"
    made = Made(500, "space").rows(0, 500)
    assert made == Made(500, "space").rows(0, 500)
    assert abs(sum(map(len, made.values())) - 500 * ROWS_OF_A_RUN) < 50
    with closing(Journal(url, namespace="space")) as journal:
        journal.ping()
        engine = create_engine(url)
        with engine.begin() as connection:
            for name, rows in made.items():
                columns = ", ".join(rows[0])
                places = ", ".join(f":{column}" for column in rows[0])
                connection.execute(
                    text(f"insert into {name} ({columns}) values ({places})"), [dict(row) for row in rows]
                )
        engine.dispose()
        assert len(list(journal.runs.listed(RunFilter()))) == 500
        [found] = journal.runs.listed(RunFilter(where=(("order", "o-00000017"),)))
        assert found.key == "o-00000017"
        assert journal.verification.of(found.run).count == 0
        assert journal.letters.total(state=None) == 50
        assert journal.groups.fill() == 0


def test_the_figures_are_a_table() -> None:
    """A row for each list."""
    assert (
        table([Asked("runs", 7, 12.4, 1_234.6, 5.0)], "here").splitlines()[-1] == "| runs | 12 | 1,235 | 5 |"
    )
