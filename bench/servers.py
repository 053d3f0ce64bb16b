"""Servers: those that ``COORDINATOR_BROKER_URL`` and ``COORDINATOR_REDIS_URL`` name, or RabbitMQ, Redis and PostgreSQL that are started
for the benchmark as the tests start them: in Docker, or from the system's programs."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from kombu import Connection
from redis import Redis

from handoffs.config.settings import load
from tests.servers import open_servers


@dataclass(frozen=True, slots=True)
class Place:
    """Where a benchmark runs: its servers, their versions, a folder for logs, and a namespace that nothing else has."""

    broker_url: str
    redis_url: str
    journal_url: str
    versions: str
    kind: str
    folder: Path
    space: str

    @property
    def plain_broker_url(self) -> str:
        """The same for clients that do not take ``//`` for the vhost ``/``."""
        return f"{self.broker_url[:-1]}%2F" if self.broker_url.endswith("//") else self.broker_url

    def log(self, name: str) -> Path:
        """The file that a process of that name writes to."""
        return self.folder / f"{name}.log"


def say(line: str) -> None:
    """Tell a person how far it is."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def open_place() -> Iterator[Place]:
    """The servers for as long as the block runs.

    Raises :class:`~handoffs.config.settings.SettingsError` for settings that are not valid, and
    :class:`~tests.servers.ServersUnavailable` where none can be started.
    """
    settings, space = load(), f"bench-{uuid.uuid4().hex[:8]}"
    with TemporaryDirectory(prefix="handoffs-bench-") as name:
        folder = Path(name)
        if settings.broker_url and settings.redis_url:
            journal = settings.journal_url or f"sqlite:///{folder / 'journal.sqlite3'}"
            versions = _versions(settings.broker_url, settings.redis_url)
            yield Place(settings.broker_url, settings.redis_url, journal, versions, "given", folder, space)
        else:
            with open_servers(say) as servers:
                yield Place(
                    servers.broker_url,
                    servers.redis_url,
                    servers.postgres_url,
                    servers.versions,
                    servers.kind,
                    folder,
                    space,
                )


def _versions(broker_url: str, redis_url: str) -> str:
    with Connection(broker_url, connect_timeout=5) as connection:
        connection.connect()
        properties = getattr(connection.connection, "server_properties", None) or {}
    with Redis.from_url(redis_url, socket_timeout=5, decode_responses=True) as redis:
        version = redis.info("server")["redis_version"]
    return f"rabbitmq {properties.get('version', '?')} redis {version}"
