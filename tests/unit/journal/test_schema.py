"""The schema of the journal, and what is read page by page, on SQLite."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from handoffs.coordinator.journal.migrations import REVISIONS
from handoffs.coordinator.journal.migrations.upgrade import scripts
from tests.journal_suite import PagesSuite, SchemaSuite


@pytest.fixture
def url(tmp_path: Path) -> str:
    """An empty database."""
    return f"sqlite:///{tmp_path}/journal.sqlite3"


@pytest.fixture
def other(tmp_path: Path) -> str:
    """Another one."""
    return f"sqlite:///{tmp_path}/other.sqlite3"


class TestSchema(SchemaSuite):
    """On SQLite."""


class TestPages(PagesSuite):
    """On SQLite."""


def test_the_revisions_are_those_of_the_migrations() -> None:
    """A migration that is added is named among the revisions, in its order."""
    known = [script.revision for script in scripts().walk_revisions()]
    assert tuple(reversed(known)) == REVISIONS


def test_a_journal_that_is_up_to_date_or_new_is_opened_without_alembic(url: str) -> None:
    """Importing it takes longer than all the rest."""
    program = f"""
import sys
from handoffs.coordinator.journal.journal import Journal
for _ in range(2):
    journal = Journal({url!r}, upgrades=True)
    journal.ping()
    journal.close()
print("alembic" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
