"""Asking a server, in its own protocol, whether it serves; the answer is its version."""

import os
import threading
import time
from collections.abc import Callable

import kombu
import psycopg
import redis

from tests.servers.model import Backend, Name, ServersUnavailable

_ANSWER_SECONDS = 5
_POLL_SECONDS = 0.1


def rabbitmq_version(url: str) -> str:
    """Open a connection and a channel.

    Raises
    ------
    OSError, amqp.exceptions.AMQPError
        It does not serve (yet), or refuses the user.
    """
    with kombu.Connection(url, connect_timeout=_ANSWER_SECONDS) as connection:
        connection.connect()
        connection.channel().close()
        return str(connection.connection.server_properties["version"])


def redis_version(url: str) -> str:
    """Ping it; a server that still loads its append-only file does not count as ready.

    Raises
    ------
    redis.RedisError
        It does not serve (yet), or refuses the password.
    """
    with redis.Redis.from_url(
        url, socket_timeout=_ANSWER_SECONDS, socket_connect_timeout=_ANSWER_SECONDS
    ) as client:
        client.ping()
        return str(client.info("server")["redis_version"])


def postgres_version(url: str) -> str:
    """Run a query.

    Raises
    ------
    psycopg.Error
        It does not serve (yet), or refuses the user.
    """
    with psycopg.connect(url.replace("+psycopg", "", 1), connect_timeout=_ANSWER_SECONDS) as connection:
        row = connection.execute("show server_version").fetchone()
        assert row is not None
        return str(row[0]).split()[0]


HANDSHAKES: dict[Name, Callable[[str], str]] = {
    "rabbitmq": rabbitmq_version,
    "redis": redis_version,
    "postgres": postgres_version,
}


def default_deadline() -> float:
    """Seconds that a server may take to become ready: TEST_SERVERS_TIMEOUT, or 120."""
    return float(os.environ.get("TEST_SERVERS_TIMEOUT", "120"))


def wait_ready(backend: Backend, name: Name, given_up: threading.Event, timeout: float | None = None) -> str:
    """Poll until `name` answers, and return its version.

    Parameters
    ----------
    given_up
        Set by whoever no longer wants the answer: ends the wait at the next poll.
    timeout
        Seconds; by default those of `default_deadline`.

    Raises
    ------
    ServersUnavailable
        The time is up, the process has ended, or `given_up` was set.
    """
    seconds = default_deadline() if timeout is None else timeout
    deadline = time.monotonic() + seconds
    while True:
        alive = backend.is_running(name)
        try:
            return HANDSHAKES[name](backend.url(name))
        except Exception as error:  # noqa: BLE001  # each client has its own errors; the last one is reported
            refusal = f"{type(error).__name__}: {error}".strip().splitlines()[0]
        if not alive:
            raise ServersUnavailable(f"servers: {name} has ended: {backend.last_words(name)}")
        if given_up.is_set() or time.monotonic() > deadline:
            raise ServersUnavailable(
                f"servers: {name} is not ready after {seconds:g} s ({refusal}): {backend.last_words(name)}"
            )
        time.sleep(_POLL_SECONDS)
