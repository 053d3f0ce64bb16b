"""The Celery app: settings in, app out. There is no global app."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from celery import Celery

from handoffs.config.intake import Intake
from handoffs.config.settings import Settings
from handoffs.config.topology import Topology

_SHORTEST_HEARTBEAT = 10
"""Seconds. Otherwise the broker gives a silent worker's messages to another when its leases end, no earlier or later."""
_LONGEST_HEARTBEAT = 65_535
"""Seconds: AMQP has 16 bits for it."""


def create_app(settings: Settings, agents: Mapping[str, Intake] | None = None) -> Celery:
    """Make the app of one process, with a queue for each agent in ``agents``, bound to the events that it hears. Opens no connection."""
    topology = Topology.of(settings)
    app = Celery("coordinator", set_as_current=False, autofinalize=False, fixups=[])
    app.conf.update(_configuration(settings, topology, agents or {}))
    app.finalize()
    return app


def _configuration(settings: Settings, topology: Topology, agents: Mapping[str, Intake]) -> dict[str, Any]:
    return {
        "broker_url": settings.broker_url or "memory://",
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,  # a worker waits for its broker as long as it takes
        "broker_heartbeat": min(
            max(_SHORTEST_HEARTBEAT, round(settings.lease.total_seconds())), _LONGEST_HEARTBEAT
        ),
        "broker_transport_options": {
            "confirm_publish": True,
            "most_octets": settings.message_limits.octets,  # of a body: what is larger nobody could read
        },
        "broker_pool_limit": 64,
        "task_queues": [topology.queue(agent, agents[agent]) for agent in sorted(agents)],
        "task_create_missing_queues": False,
        "task_default_queue": f"{settings.prefix}handoff.unused",  # Celery insists on one; nothing is ever sent to it
        "task_serializer": "json",
        "accept_content": ["json"],
        "result_backend": None,
        "task_ignore_result": True,
        "task_acks_late": True,
        "task_acks_on_failure_or_timeout": False,
        "task_reject_on_worker_lost": False,
        "task_always_eager": settings.eager,
        "task_send_sent_event": False,
        "worker_send_task_events": settings.task_events and not settings.embedded,
        "worker_enable_remote_control": settings.remote_control,
        "control_exchange": f"{settings.prefix}celery",  # Celery's own names, kept apart by namespace
        "event_exchange": f"{settings.prefix}celeryev",
        "worker_prefetch_multiplier": 1,  # what a busy worker holds, an idle one cannot begin
        "worker_detect_quorum_queues": True,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
    }
