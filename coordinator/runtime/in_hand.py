"""In hand: the runs of which the workers of this process have messages, begun or not."""

from __future__ import annotations

from typing import Any

from celery.worker import state

from handoffs.coordinator.runtime.places import Places


def runs_in_hand(consumer: Any = None) -> set[str]:
    """What Celery has reserved here, and what waits for a place at ``consumer``."""
    places: Places | None = getattr(consumer, "places", None)
    waiting = places.runs() if places is not None else set()
    return (waiting | {_run_of(request) for request in _reserved()}) - {""}


def _reserved() -> tuple[Any, ...]:
    """The members of a set that workers change meanwhile."""
    while True:
        try:
            return tuple(state.reserved_requests)
        except RuntimeError:
            continue


def _run_of(request: Any) -> str:
    headers = getattr(getattr(request, "message", None), "headers", None)
    return str(headers.get("handoff_run") or "") if isinstance(headers, dict) else ""
