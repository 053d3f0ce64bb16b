"""The schema of the journal, and what is read page by page, on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from handoffs.coordinator.errors import SchemaRefused
from handoffs.coordinator.journal.migrations import HEAD
from tests.journal_desk import DeskSuite
from tests.journal_shared import ManySuite, RunsSuite, SealSuite, WallsSuite
from tests.journal_suite import PagesSuite, SchemaSuite, connected, make_previous, opened, revision
from tests.search_suite import SearchSuite
from tests.servers import Servers
from tests.waiting import wait_until
from tests.workers import open_installation


@pytest.fixture
def url(postgres_database: str) -> str:
    """An empty database."""
    return postgres_database


@pytest.fixture
def other(servers: Servers, namespace: str) -> Iterator[str]:
    """Another one, dropped after the test."""
    name = f"{namespace}_other"
    with psycopg.connect(servers.postgres_url, autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
    yield servers.postgres_url.rpartition("/")[0] + f"/{name}"
    with psycopg.connect(servers.postgres_url, autocommit=True) as connection:
        connection.execute(f"drop database if exists {name} with (force)".encode())


class TestSchema(SchemaSuite):
    """On PostgreSQL."""


class TestPages(PagesSuite):
    """On PostgreSQL."""


class TestSearch(SearchSuite):
    """On PostgreSQL."""


class TestWalls(WallsSuite):
    """On PostgreSQL."""


class TestRuns(RunsSuite):
    """On PostgreSQL."""


class TestSeal(SealSuite):
    """On PostgreSQL."""


class TestMany(ManySuite):
    """On PostgreSQL."""

    FORBIDDEN = "Seq Scan on handoff_dead_letters|Sort Key: first_failed_at"


class TestDesk(DeskSuite):
    """On PostgreSQL."""


def test_coordinator_processes_that_begin_at_once_upgrade_the_journal(
    servers: Servers, tmp_path: Path
) -> None:
    """A client of the new release is refused until they have, and all that the journal had is there then."""
    with open_installation(servers, tmp_path) as installation, installation.client() as client:
        make_previous(installation.journal_url, installation.namespace)
        with pytest.raises(SchemaRefused, match="older release"):
            client.dead_letters()
        processes = [installation.coordinator_process(wait=False) for _ in range(3)]
        for process in processes:
            process.wait_ready()
        assert [letter.id for letter in client.dead_letters()] == ["letter-1"]
        assert revision(installation.journal_url) == [HEAD]
        assert "older release" not in installation.logs()
        assert all(process.running for process in processes)


def test_a_coordinator_process_does_not_begin_on_a_newer_journal(servers: Servers, tmp_path: Path) -> None:
    """It ends with one line that says what to install, and leaves the journal as it is."""
    with open_installation(servers, tmp_path) as installation:
        opened(installation.journal_url)
        with connected(installation.journal_url) as connection:
            connection.execute(text("update handoff_journal_revision set version_num = '9999'"))
        process = installation.coordinator_process(wait=False)
        wait_until(lambda: not process.running, description="it has ended", timeout=30)
        assert process.status == 1
        [line] = process.log().splitlines()
        assert line.startswith("coordinator: the journal's tables are of a newer release (revision 9999")
        assert line.endswith("install the newer release")
        assert revision(installation.journal_url) == ["9999"]
