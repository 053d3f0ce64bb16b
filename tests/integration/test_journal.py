"""The schema of the journal, and what is read page by page, on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.journal_suite import PagesSuite, SchemaSuite
from tests.servers import Servers


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
