"""Claim: what is found of an idempotency key, and of the step that asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from handoffs.coordinator.store.record import Record


@dataclass(frozen=True, slots=True)
class Claim:
    """What a claim found.

    ``granted``: run it, with ``fence``. ``done``: the key has an outcome, ``record``. ``settled``: this step has one.
    ``busy``: another holds the lease for ``wait``. ``conflict``: the key has another content. ``poison``: the step has
    lost its worker too often. ``completed``, ``cancelled``: the run has ended. ``closed``: the budget that it is in is spent.
    ``paused``: the run is held, look again after ``wait``. ``edited``: a person has given the step another input than the
    message has, ``edit``.
    """

    verdict: Literal[
        "granted",
        "done",
        "settled",
        "busy",
        "conflict",
        "poison",
        "completed",
        "cancelled",
        "closed",
        "compensating",
        "paused",
        "edited",
    ]
    fence: int = 0
    record: Record | None = None
    wait: timedelta = timedelta()
    edit: str = ""


@dataclass(frozen=True, slots=True)
class Lease:
    """What is known of an idempotency key: ``state`` is ``leased``, ``released`` or ``done``; ``held``: somebody works under it
    now, for one of ``holders`` (``run|step``)."""

    state: str
    content: str
    held: bool
    holders: tuple[str, ...]
