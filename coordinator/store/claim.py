"""Claim: what is found of an idempotency key, and of the step that asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from handoffs.coordinator.store.record import Record


class ClaimVerdict(StrEnum):
    """What became of a claim."""

    GRANTED = "granted"
    """The step is to be run, with the claim's ``fence``."""
    DONE = "done"
    """The key has an outcome: the claim's ``record``."""
    SETTLED = "settled"
    """This step has its outcome: the claim's ``record``, where it is known."""
    BUSY = "busy"
    """Another holds the lease, for the claim's ``wait``."""
    CONFLICT = "conflict"
    """The key stands for another content."""
    POISON = "poison"
    """The step has lost its worker too often."""
    EDITED = "edited"
    """A person has given the step another input than the message has: the claim's ``edit``."""
    PAUSED = "paused"
    """The run is held; look again after the claim's ``wait``."""
    CLOSED = "closed"
    """A budget that the step is in is spent."""
    COMPLETED = "completed"
    """The run has ended with its result; ``record`` is the step's outcome, where its events may not be on their way."""
    CANCELLED = "cancelled"
    """The run was cancelled."""
    COMPENSATING = "compensating"
    """The run is being undone."""
    SCHEDULED = "scheduled"
    """The run is to begin later."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a claim found. The other fields are those that its verdict names, and empty where it names none."""

    verdict: ClaimVerdict
    fence: int = 0
    record: Record | None = None
    wait: timedelta = timedelta()
    edit: str = ""


@dataclass(frozen=True, slots=True)
class Lease:
    """What is known of an idempotency key: ``state`` is ``leased``, ``released`` or ``done``; ``held``: a worker has it in hand
    now, for one of ``holders`` (``run|step``)."""

    state: str
    content: str
    held: bool
    holders: tuple[str, ...]
