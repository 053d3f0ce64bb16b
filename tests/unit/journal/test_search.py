"""What runs are found by, in a journal on SQLite."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.search_suite import SearchSuite


@pytest.fixture
def url(tmp_path: Path) -> str:
    """An empty database."""
    return f"sqlite:///{tmp_path}/journal.sqlite3"


class TestSearch(SearchSuite):
    """On SQLite."""
