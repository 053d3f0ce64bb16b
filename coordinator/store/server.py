"""Server: a connection to Redis, and what the server says of itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

from redis import Connection, ConnectionError, Redis, RedisCluster, SSLConnection, UnixDomainSocketConnection  # noqa: A004
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

from handoffs.config.forks import after_fork, leave
from handoffs.coordinator.patience import within
from handoffs.coordinator.store import scripts
from handoffs.coordinator.store.direct import DirectRedis

T = TypeVar("T")

_CONNECT_WITHIN = 5.0  # seconds


def connect(
    url: str, timeout: timedelta = timedelta(seconds=10), line: type[UnixDomainSocketConnection] | None = None
) -> Redis:
    """A client for ``url``; connects at its first command. Its texts are ``str``. No command waits longer than ``timeout`` for
    an answer, and none is tried for longer. A child that is forked has connections of its own. ``line`` is the class of the
    connections, where it is not to follow from the URL.

    ``redis+cluster://`` and ``rediss+cluster://`` name one node of a Redis Cluster; the client finds the others.
    """
    seconds = timeout.total_seconds()
    options: Any = {
        "decode_responses": True,
        "encoding_errors": "surrogateescape",  # what others have put there need not be text
        "socket_timeout": seconds,
        "socket_connect_timeout": min(_CONNECT_WITHIN, seconds),
    }
    scheme, _, place = url.partition("://")
    if scheme.endswith("+cluster"):
        cluster: Any = _Cluster(f"{scheme.removesuffix('+cluster')}://{place}", options)
        return cast("Redis", cluster)  # the commands that the store uses are the same

    def made() -> Redis:
        return DirectRedis.from_url(
            url,
            health_check_interval=30,
            retry=_Patience(seconds),
            connection_class=line
            or {"rediss": _SecureLine, "unix": UnixDomainSocketConnection}.get(scheme, _Line),
            **options,
        )

    client = made()
    after_fork(client, lambda inherited: _renew(inherited, made()))
    return client


def _renew(inherited: Redis, made: Redis) -> None:
    """In a child: the pool of the parent stays as it is. Its locks may be held by threads that are not here."""
    leave(inherited.connection_pool)
    inherited.connection_pool = made.connection_pool


class _Patience(Retry):
    """Tries again where the connection is gone, but not where Redis is silent, and for so many seconds in all."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            ExponentialWithJitterBackoff(base=1, cap=seconds / 4), 3, supported_errors=(ConnectionError,)
        )
        self._seconds = seconds

    def call_with_retry(
        self,
        do: Callable[[], T],
        fail: Any,
        is_retryable: Callable[[Exception], bool] | None = None,
        with_failure_count: bool = False,
    ) -> T:
        """See :class:`redis.retry.Retry`."""
        until = time.monotonic() + self._seconds / 2

        def is_worth_it(error: Exception) -> bool:
            return time.monotonic() < until and (is_retryable is None or is_retryable(error))

        return super().call_with_retry(do, fail, is_worth_it, with_failure_count)


class _Line(Connection):
    """A connection whose name is looked up within a bound: nothing else bounds a name server that is silent."""

    def _connect(self) -> Any:
        return within(2 * (self.socket_connect_timeout or _CONNECT_WITHIN), super()._connect, leave=_closed)


class _SecureLine(_Line, SSLConnection):
    """The same over TLS: the bound is around that, too."""


def _closed(sock: Any) -> None:
    sock.close()


def incarnation(redis: Redis) -> str:
    """Names the lives of the servers that are written to: the one, or all of a cluster, any of which another may take over."""
    client: Any = redis
    if not isinstance(client, _Cluster):
        return str(client.info("server").get("run_id", ""))
    found = client.info("server", target_nodes=RedisCluster.PRIMARIES)
    each = found.values() if "run_id" not in found else [found]  # of one node alone it is that node's
    return " ".join(sorted(str(one.get("run_id", "")) for one in each))


class Server:
    """A Redis server. Raises :class:`~handoffs.coordinator.errors.ServerError` where it cannot be used."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def version(self) -> str:
        """Its name and version."""
        with scripts.redis_errors():
            return f"Redis {self._redis.info('server')['redis_version']}"

    def now(self) -> datetime:
        """What time it is there, in UTC."""
        return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=scripts.time(self._redis, "time"))

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
        self._lock, self._client = threading.Lock(), cast("RedisCluster | None", None)
        after_fork(self, _Cluster._renew)

    def _renew(self) -> None:
        """In a child that was forked: it has a client of its own."""
        leave(self._client)
        self._lock, self._client = threading.Lock(), None

    @property
    def client(self) -> RedisCluster:
        with self._lock:
            if self._client is None:
                self._client = RedisCluster.from_url(self._url, **self._options)
            return self._client

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def close(self) -> None:
        if self._client is not None:
            nodes: list[Any] = self._client.get_nodes()  # type: ignore[no-untyped-call]
            for node in nodes:  # the cluster's close() leaves theirs open
                if node.redis_connection is not None:
                    node.redis_connection.close()
            self._client.close()
