"""The servers of the embedded default: a broker and a Redis in this process, for one engine alone."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from celery import Celery

from handoffs.config.app import create_app
from handoffs.config.settings import Settings
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.messaging.publisher import Publisher
from handoffs.coordinator.runtime.embedded.brokers import forget
from handoffs.coordinator.runtime.engine import Engine


class EmbeddedEngine(Engine):
    """An engine whose broker and Redis live in this process, are its own, and end with it."""

    def __init__(
        self,
        settings: Settings,
        *,
        agents: Iterable[Agent] = (),
        app: Celery | None = None,
        publisher: Publisher | None = None,
    ) -> None:
        # Imported here: workers and commands ask this module only whether there are servers.
        from fakeredis import FakeServer, FakeStrictRedis  # noqa: PLC0415

        self._broker = uuid.uuid4().hex
        app = app or create_app(settings)
        app.conf.update(
            broker_url=f"memory://{self._broker}",
            broker_transport="handoffs.coordinator.runtime.embedded.transport:Transport",
        )
        redis = FakeStrictRedis(server=FakeServer(server_type="redis", version=(7,)), decode_responses=True)
        super().__init__(settings, agents=agents, app=app, redis=redis, publisher=publisher)

    def close(self) -> None:
        """Give connections back, and end the servers: what they hold is gone."""
        super().close()
        forget(self._broker)


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
