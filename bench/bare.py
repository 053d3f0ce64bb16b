"""The other side: a bare Celery chain of three tasks, durable in the same way."""

from __future__ import annotations

from typing import Any

from celery import Celery, chain
from kombu import Exchange, Queue

__all__ = ["Celery", "make_app", "make_chain"]


def make_app(broker_url: str, redis_url: str, space: str) -> Celery:
    """A Celery app with three tasks: quorum queue, late acknowledgement, confirmed publishes, results in Redis."""
    app = Celery(f"{space}-bare", broker=broker_url, backend=redis_url, set_as_current=False)
    name = f"{space}.bare"
    app.conf.update(
        task_queues=[Queue(name, Exchange(name), name, queue_arguments={"x-queue-type": "quorum"})],
        task_default_queue=name,
        task_default_exchange=name,
        task_default_routing_key=name,
        task_acks_late=True,
        broker_transport_options={"confirm_publish": True},
        worker_prefetch_multiplier=4,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
    )
    for step in ("one", "two", "three"):
        app.task(name=f"bare.{step}", shared=False)(_pass)
    return app


def make_chain(app: Celery) -> Any:
    """The chain of the three."""
    return chain(*(app.signature(f"bare.{step}") for step in ("one", "two", "three")), app=app)


def _pass(parcel: dict[str, Any]) -> dict[str, Any]:
    return parcel
