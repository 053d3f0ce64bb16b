"""Status: how a run is, in one word."""

from __future__ import annotations

from typing import Any, Literal, get_args

from handoffs.coordinator.store.run_state import RunState

Status = Literal["scheduled", "running", "paused", "parked", "completed", "compensating", "cancelled"]
"""``scheduled``: accepted, and its time is to come. ``parked``: at least one step waits in the dead-letter queue; other branches may still run."""

_GOING = frozenset({"scheduled", "running", "paused", "compensating"})


def status_of(record: RunState | None) -> Status:
    """The status of a run by what Redis has of it; what it has forgotten is completed."""
    status: Any = record.status if record else "completed"
    if record is not None and record.paused and status == "running":
        return "paused"
    return status if status in get_args(Status) else "running"


def has_ended(record: RunState | None) -> bool:
    """Whether nothing more comes of a run by itself: it has ended, or is parked."""
    return status_of(record) not in _GOING
