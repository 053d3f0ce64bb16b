"""The store's scripts on a real Redis: the same tests as on the embedded one."""

import re
from collections.abc import Iterator

import pytest
from redis import Redis

from handoffs.coordinator.store.server import Server, connect
from handoffs.coordinator.store.store import Store
from tests.ended_suite import TestForgotten, TestForgottenAndUndone, TestGenerations, TestUndoing
from tests.servers import Servers
from tests.store_suite import (
    TestClaim,
    TestCompensating,
    TestEdits,
    TestHeld,
    TestJoin,
    TestLater,
    TestLettingGo,
    TestLooking,
    TestOutstanding,
    TestPark,
    TestPoison,
    TestRefused,
    TestServer,
    TestSettle,
    TestSignals,
    TestStart,
    TestTakeOver,
    TestTicked,
    TestTimeToLive,
    make_settings,
)

__all__ = [
    "TestClaim",
    "TestCompensating",
    "TestEdits",
    "TestForgotten",
    "TestForgottenAndUndone",
    "TestGenerations",
    "TestHeld",
    "TestJoin",
    "TestLater",
    "TestLettingGo",
    "TestLooking",
    "TestOutstanding",
    "TestPark",
    "TestPoison",
    "TestRefused",
    "TestServer",
    "TestSettle",
    "TestSignals",
    "TestStart",
    "TestTakeOver",
    "TestTicked",
    "TestTimeToLive",
    "TestUndoing",
]


@pytest.fixture
def redis_server(servers: Servers) -> Iterator[Redis]:
    """The real Redis of the test session."""
    redis = connect(servers.redis_url)
    yield redis
    redis.close()


@pytest.fixture
def store(redis_server: Redis, namespace: str) -> Store:
    """A store of its own."""
    return Store(redis_server, make_settings(namespace=namespace))


def test_version(store: Store) -> None:
    """The server says its name and version."""
    assert re.fullmatch(r"Redis \d+\.\d+\S*", Server(store.redis).version())


def test_durability(store: Store) -> None:
    """The server says that it evicts nothing and is append-only, as the tests' own one is."""
    assert Server(store.redis).durability() == ("noeviction", True)
