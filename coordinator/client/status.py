"""Status: how a run is, in one word."""

from __future__ import annotations

from handoffs.coordinator.observe.standing import Status

_GOING = frozenset({"scheduled", "running", "paused", "compensating"})


def has_ended(status: Status) -> bool:
    """Whether nothing more comes of a run by itself: it has ended, is parked, or nobody knows of anything that could."""
    return status not in _GOING
