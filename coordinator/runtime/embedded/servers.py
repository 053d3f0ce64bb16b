"""The servers of the embedded default: a broker in this process and a Redis for it, for one engine alone."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, NoReturn, Protocol

from celery import Celery
from redis import Redis

from handoffs.config import clock
from handoffs.config.app import create_app
from handoffs.config.settings import Settings
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.messaging.publisher import Publisher
from handoffs.coordinator.runtime.embedded.brokers import broker_named, forget
from handoffs.coordinator.runtime.engine import Engine
from handoffs.coordinator.store.moved_time import MovedTime

_log = logging.getLogger(__name__)


class EmbeddedRedis(Protocol):
    """A Redis for one engine."""

    client: Redis

    def close(self) -> None:
        """End it: what it holds is gone."""


class EmbeddedEngine(Engine):
    """An engine whose broker lives in this process and whose Redis belongs to it: they are its own, and end with it.

    Raises :class:`~handoffs.coordinator.errors.ServerError` where ``COORDINATOR_EMBEDDED_REDIS`` asks for a `redis-server` and there
    is none.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        agents: Iterable[Agent] = (),
        app: Celery | None = None,
        publisher: Publisher | None = None,
    ) -> None:
        self._broker = uuid.uuid4().hex
        app = app or create_app(settings)
        app.conf.update(
            broker_url=f"memory://{self._broker}",
            broker_transport="handoffs.coordinator.runtime.embedded.transport:Transport",
        )
        self._redis, self._inherited = _redis_of(settings), False
        try:
            super().__init__(settings, agents=agents, app=app, redis=self._redis.client, publisher=publisher)
        except BaseException:
            self._redis.close()
            raise
        self._moved_time = MovedTime(self.store.redis, settings.prefix)
        if clock.is_moved():
            self._moved_time.move(timedelta())
        clock.follow(self)

    def time_moved(self, by: timedelta) -> None:
        """Time was moved on by so much, or stands still from now on: what is in Redis expires so much sooner, and what waits in the
        broker goes on where its time has come."""
        self._moved_time.move(by)
        broker_named(self._broker).time_moved()

    def next_due(self) -> float | None:
        """When the next message goes on that waits in the broker, on the process' monotonic clock; None where none waits."""
        return broker_named(self._broker).next_expiry()

    def is_idle(self) -> bool:
        """Whether no message is at work, or about to be."""
        return broker_named(self._broker).is_idle()

    def forked(self) -> None:
        """In a child that was forked: the servers are the parent's, with their threads. In eager mode, which needs none, the
        child has a copy."""
        super().forked()
        self._inherited = True
        copied = getattr(self._redis, "copied", None)
        redis: Any = self.store.redis
        if self.settings.eager and copied is not None:
            copied()
        else:
            redis.connection_pool = _Elsewhere()

    def close(self) -> None:
        """Give connections back, and end the servers: what they hold is gone."""
        clock.leave(self)
        super().close()
        if not self._inherited:
            forget(self._broker)
            self._redis.close()


def _redis_of(settings: Settings) -> EmbeddedRedis:
    """A `redis-server` where there is one, and what imitates it otherwise."""
    wanted = "imitation" if settings.eager else settings.embedded_redis
    if wanted != "imitation":
        # Imported here: workers and commands ask this module only whether there are servers.
        from handoffs.coordinator.runtime.embedded.redis_process import NoRedisServer, RedisProcess  # noqa: PLC0415

        try:
            return RedisProcess(settings)
        except NoRedisServer as error:
            if wanted == "server":
                raise ServerError(
                    f"embedded mode is to run a redis-server: {error.cause}",
                    "nothing was started",
                    "install Redis 7.0 or newer, or set COORDINATOR_EMBEDDED_REDIS=auto",
                ) from error
            _log.info("Redis is imitated in this process, which is slower: %s", error.cause)
    # Imported here: where there is a server, none is imitated.
    from handoffs.coordinator.runtime.embedded.imitation import RedisImitation  # noqa: PLC0415

    return RedisImitation()


class _Elsewhere:
    """What a child has in the place of connections to the servers in its parent."""

    def get_connection(self, *_: Any, **__: Any) -> NoReturn:
        raise ServerError(
            "an embedded coordinator was forked: its servers and workers are in the process that made it",
            "nothing was done here",
            "make another Coordinator in this process, or set COORDINATOR_BROKER_URL and COORDINATOR_REDIS_URL",
        )

    get_encoder = get_connection

    def release(self, *_: Any) -> None:
        """There is nothing to give back."""

    disconnect = reset = close = release


def refuse_embedded(settings: Settings, what: str) -> None:
    """Refuse ``what`` needs servers that other processes can reach, where none is set.

    Raises :class:`~handoffs.coordinator.errors.ServerError`.
    """
    if settings.embedded:
        raise ServerError(
            f"{what} needs servers, and none is set",
            "embedded mode lives in one process and ends with it",
            "set COORDINATOR_BROKER_URL and COORDINATOR_REDIS_URL",
        )
