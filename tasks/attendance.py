"""Attendance: who works on the servers already."""

from __future__ import annotations

from collections.abc import Iterable

from celery import Celery

from handoffs.contracts import CoordinationError
from handoffs.coordinator import Coordinator
from handoffs.coordinator.messaging.queues import depths
from handoffs.coordinator.runtime.embedded.servers import refuse_embedded


def consumers(app: Celery, queues: Iterable[str]) -> dict[str, int]:
    """How many consume each queue; 0 where there is no such queue.

    Raises :class:`~handoffs.coordinator.errors.ServerError` where the broker does not say.
    """
    asked = list(queues)
    found = depths(
        app, asked, cause="the broker does not say who consumes", consequence="what comes next needs to know"
    )
    return {queue: found[queue].consumers if queue in found else 0 for queue in asked}


def require(coordinator: Coordinator, agents: Iterable[str], profile: str) -> None:
    """See that a worker runs for each of ``agents``, and that a coordinator process runs; ``profile`` is that of docker compose
    which starts them.

    Raises :class:`~handoffs.coordinator.errors.ServerError` without servers, and :class:`~handoffs.contracts.CoordinationError` where
    one is missing.
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
