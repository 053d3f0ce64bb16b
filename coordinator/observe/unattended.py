"""Unattended: agents that have something to do, and of which no worker is alive."""

from __future__ import annotations

from collections.abc import Iterable

from handoffs.contracts.text import printable
from handoffs.coordinator.observe.current import current
from handoffs.coordinator.services import Services


def unattended(services: Services, run: str) -> list[str]:
    """The agents for which a step of a run is queued while none of their workers is alive, sorted. Only Redis is asked.

    Raises :class:`~handoffs.coordinator.errors.ServerError` where it cannot be used.
    """
    sent = services.outstanding.sent(run)  # first: what is settled meanwhile is left out
    record = services.runs.get(run)
    doing = current(record, sent, ()) if record else ()
    queued = sorted({one.agent for one in doing if one.state == "queued" and one.agent})
    return without_worker(services, queued)


def without_worker(services: Services, agents: Iterable[str]) -> list[str]:
    """Those of these agents of which no worker is alive, sorted. Raises :class:`~handoffs.coordinator.errors.ServerError`."""
    of = services.announcements.of
    return [agent for agent in sorted(agents) if not any(one["live"] for one in of(agent))]


def nobody(agents: Iterable[str]) -> tuple[str, str]:
    """That nobody is at work, in words, and what to do about it."""
    names = [printable(agent, 120) for agent in agents]
    return f"nobody is at work as {', '.join(names)}", f"start a worker: coordinator worker {' '.join(names)}"
