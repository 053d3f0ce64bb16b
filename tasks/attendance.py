"""Attendance: who works on the servers already."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from amqp.exceptions import AMQPError, NotFound
from celery import Celery
from kombu.exceptions import OperationalError

from contracts.errors import CoordinationError
from contracts.text import printable
from coordinator.client import Coordinator
from coordinator.embedded.servers import refuse_embedded
from coordinator.errors import ServerError


def consumers(app: Celery, queues: Iterable[str]) -> dict[str, int]:
    """How many consume each queue; 0 where there is no such queue.

    Raises :class:`~coordinator.errors.ServerError` where the broker does not say.
    """
    found: dict[str, int] = {}
    try:
        with app.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0.2, timeout=5)
            for queue in queues:
                found[queue] = _consumers(connection, queue)
    except (OperationalError, OSError, AMQPError) as error:
        raise ServerError(
            f"the broker does not say who consumes: {type(error).__name__}: {printable(error, 200)}",
            "what comes next needs to know",
            "check COORDINATOR_BROKER_URL, and that the server is up",
        ) from error
    return found


def _consumers(connection: Any, queue: str) -> int:
    try:
        with connection.channel() as channel:
            return int(channel.queue_declare(queue, passive=True).consumer_count)
    except NotFound:
        return 0


def require(coordinator: Coordinator, agents: Iterable[str], profile: str) -> None:
    """See that somebody works for each of ``agents``, and that a coordinator process runs; ``profile`` is that of docker compose
    which starts them.

    Raises :class:`~coordinator.errors.ServerError` without servers, and :class:`~contracts.errors.CoordinationError` where
    somebody is missing.
    """
    refuse_embedded(coordinator.settings, "--running")
    engine, topology = coordinator.engine, coordinator.engine.topology
    wanted = {topology.queue_name(agent): agent for agent in agents}
    wanted[str(topology.timers.name)] = "the coordinator process"
    there = consumers(engine.app, wanted)
    missing = [name for queue, name in wanted.items() if not there[queue]]
    if missing:
        raise CoordinationError(
            f"nobody is at work as {', '.join(missing)}",
            "nothing was started",
            f"start them: COMPOSE_PROFILES={profile} make up; or leave --running out, for workers of the demo's own",
        )
