"""Served: whether a coordinator process is at work, which keeps dead letters, budgets and the history of this installation."""

from __future__ import annotations

from handoffs.coordinator.messaging import queues
from handoffs.coordinator.services import Services

UNSERVED = (
    "no coordinator process is at work: dead letters, budgets and history wait for one: coordinator serve"
)
"""That none is, what follows, and what to do."""


def coordinator_processes(services: Services) -> int:
    """How many coordinator processes are at work: they are those that take dead letters from their queue.

    Raises :class:`~handoffs.coordinator.errors.ServerError` where the broker cannot be asked.
    """
    name = services.topology.dead_letters.name
    found = queues.depths(
        services.app,
        [name],
        cause="the broker cannot be asked who takes dead letters",
        consequence="whether a coordinator process is at work is not known",
    )
    return found[name].consumers if name in found else 0
