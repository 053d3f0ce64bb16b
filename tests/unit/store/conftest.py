"""A store on the Redis of this process."""

import pytest
from fakeredis import FakeServer, FakeStrictRedis
from redis import Redis

from handoffs.coordinator.store.store import Store
from tests.store_suite import make_settings


@pytest.fixture
def redis_server() -> Redis:
    """A Redis in this process."""
    server = FakeServer(server_type="redis", version=(7,))
    return FakeStrictRedis(server=server, decode_responses=True, encoding_errors="surrogateescape")


@pytest.fixture
def store(redis_server: Redis, namespace: str) -> Store:
    """A store of its own."""
    return Store(redis_server, make_settings(namespace=namespace))
