"""The journal of several installations, sealed messages, and very many letters, on SQLite."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journal_shared import (
    ManySuite,
    RunsSuite,
    SealSuite,
    WallsSuite,
    test_a_key_fits_however_long_an_id_is,
    test_no_two_installations_share_a_key,
)

__all__ = ["test_a_key_fits_however_long_an_id_is", "test_no_two_installations_share_a_key"]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """An empty database."""
    return f"sqlite:///{tmp_path}/journal.sqlite3"


class TestWalls(WallsSuite):
    """On SQLite."""


class TestRuns(RunsSuite):
    """On SQLite."""


class TestSeal(SealSuite):
    """On SQLite."""


class TestMany(ManySuite):
    """On SQLite."""

    FORBIDDEN = "TEMP B-TREE FOR ORDER BY|SCAN handoff_dead_letters\"|SCAN handoff_dead_letters'"
