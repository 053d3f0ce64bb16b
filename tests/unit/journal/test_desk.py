"""Groups of letters and operations on them, on SQLite."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journal_desk import DeskSuite


@pytest.fixture
def url(tmp_path: Path) -> str:
    """An empty database."""
    return f"sqlite:///{tmp_path}/journal.sqlite3"


class TestDesk(DeskSuite):
    """On SQLite."""
