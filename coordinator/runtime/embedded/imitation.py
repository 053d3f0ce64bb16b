"""Imitation: a Redis in the memory of this process, that runs the same scripts."""

from __future__ import annotations

import threading
from typing import Any

from fakeredis import FakeServer, FakeStrictRedis
from redis import Redis

from handoffs.config.forks import whole_at_fork


class RedisImitation:
    """A Redis of this process alone, without a server. It is gone with the object."""

    def __init__(self) -> None:
        self._server = FakeServer(server_type="redis", version=(7,))
        self.client: Redis = self._another()
        # No script is at work when a process is forked: it would never end in the child, whose data it had half written.
        whole_at_fork(self._server, self._server.lock)

    def copied(self) -> None:
        """In a child that was forked: go on with a copy."""
        self._server.lock = threading.Lock()
        for database in self._server.dbs.values():
            database.condition = threading.Condition(self._server.lock)
        client: Any = self.client
        client.connection_pool = self._another().connection_pool

    def close(self) -> None:
        """There is nothing to end."""

    def _another(self) -> Redis:
        return FakeStrictRedis(server=self._server, decode_responses=True, encoding_errors="surrogateescape")
