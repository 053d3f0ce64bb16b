"""Server: a connection to Redis, and what the server says of itself."""

from __future__ import annotations

from functools import cached_property
from typing import Any, cast

from redis import Redis, RedisCluster

from handoffs.coordinator.store import scripts


def connect(url: str) -> Redis:
    """A client for ``url``; connects at its first command. Its texts are ``str``.

    ``redis+cluster://`` and ``rediss+cluster://`` name one node of a Redis Cluster; the client finds the others.
    """
    options: Any = {"decode_responses": True, "socket_timeout": 10, "socket_connect_timeout": 5}
    scheme, _, place = url.partition("://")
    if scheme.endswith("+cluster"):
        cluster: Any = _Cluster(f"{scheme.removesuffix('+cluster')}://{place}", options)
        return cast("Redis", cluster)  # the commands that the store uses are the same
    return Redis.from_url(url, health_check_interval=30, **options)


class Server:
    """A Redis server. Raises :class:`~handoffs.coordinator.errors.ServerError` where it cannot be used."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def version(self) -> str:
        """Its name and version."""
        with scripts.redis_errors():
            return f"Redis {self._redis.info('server')['redis_version']}"

    def durability(self) -> tuple[str, bool]:
        """Its ``maxmemory-policy`` (empty where it tells none), and whether it is append-only."""
        with scripts.redis_errors():
            info = self._redis.info()
            return str(info.get("maxmemory_policy", "")), bool(info.get("aof_enabled", 1))


class _Cluster:
    """A client of a Redis Cluster that connects at its first command, as that of a single server does."""

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        self._url = url
        self._options = options

    @cached_property
    def client(self) -> RedisCluster:
        return RedisCluster.from_url(self._url, **self._options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def close(self) -> None:
        if "client" in self.__dict__:
            nodes: list[Any] = self.client.get_nodes()  # type: ignore[no-untyped-call]
            for node in nodes:  # the cluster's close() leaves theirs open
                if node.redis_connection is not None:
                    node.redis_connection.close()
            self.client.close()
