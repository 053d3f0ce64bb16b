"""The chains of the journal, on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import psycopg
import pytest

from tests.chain_suite import ChainSuite
from tests.retention_suite import RetentionSuite, WitnessSuite
from tests.servers import Servers


@pytest.fixture
def url(postgres_database: str) -> str:
    """An empty database."""
    return postgres_database


@pytest.fixture
def fresh(servers: Servers, namespace: str) -> Iterator[Callable[[], str]]:
    """Another empty database each time, dropped after the test."""
    numbers, made = count(), list[str]()

    def make() -> str:
        made.append(f"{namespace}_{next(numbers)}")
        with psycopg.connect(servers.postgres_url, autocommit=True) as connection:
            connection.execute(f"create database {made[-1]}".encode())
        return servers.postgres_url.rpartition("/")[0] + f"/{made[-1]}"

    yield make
    with psycopg.connect(servers.postgres_url, autocommit=True) as connection:
        for name in made:
            connection.execute(f"drop database if exists {name} with (force)".encode())


class TestChain(ChainSuite):
    """On PostgreSQL."""


class TestRetention(RetentionSuite):
    """On PostgreSQL."""


class TestWitness(WitnessSuite):
    """On PostgreSQL."""
