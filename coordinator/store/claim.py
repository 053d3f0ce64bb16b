"""Claim: what is found of an idempotency key, and of the step that asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from handoffs.coordinator.store.record import Record, StepRef
from handoffs.coordinator.store.usage import Spent

_LOOK_AGAIN = timedelta(seconds=2)

_LET_GO = "#"
"""Begins what a run has left of an outcome that it has let go."""


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
    PARKED = "parked"
    """The step is parked, for the reason ``parked``: it waits to be replayed, and this is a copy of its message."""
    LOST = "lost"
    """The step has an outcome that Redis has lost: the claim's ``lost`` says why nobody does it again."""
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
    parked: str = ""
    lost: str = ""
    at: int = 0
    """What time it was by Redis' clock, where the step may run: milliseconds since 1970."""
    spent: Spent | None = None
    """What the run has used up, and what it may, where the step may run."""
    generation: int = 0
    """How many outcomes of the key were undone before: the work of another generation is another effect, also where key and
    input are the same."""


@dataclass(frozen=True, slots=True)
class Lease:
    """What is known of an idempotency key: ``state`` is ``leased``, ``released`` or ``done``; ``held``: a worker has it in hand
    now, for one of ``holders`` (``run|step``)."""

    state: str
    content: str
    held: bool
    holders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """A lease that a worker holds while the agent runs, and the step that it runs for."""

    agent: str
    key: str
    fence: int
    place: StepRef
    budgets: tuple[str, ...] = ()
    """The paths of those that the step is in."""


@dataclass(frozen=True, slots=True)
class Renewed:
    """What renewing a lease found: whether it is ``kept`` (and not another's by now), and the status of the step's run where
    that has ended or is being undone, or ``closed`` where its budget is spent, so that nobody wants the step's outcome any more;
    empty otherwise."""

    kept: bool
    ended: str = ""


def found(verdict: ClaimVerdict, number: int, record: str) -> Claim:
    """What is found of an idempotency key; ``number`` is the fence, or how long another holds it (ms)."""
    return Claim(
        verdict,
        fence=number if verdict in {ClaimVerdict.GRANTED, ClaimVerdict.DONE} else 0,
        record=Record.parse(record) if record else None,
        wait=timedelta(milliseconds=number if verdict is ClaimVerdict.BUSY else 0),
    )


def stopped(verdict: ClaimVerdict, settled: str, known: Record | None) -> Claim:
    """The claim of a step that does not run: ``settled`` is what its run has for it, ``known`` what its key has."""
    if verdict is ClaimVerdict.EDITED:
        return Claim(verdict, edit=settled)
    if verdict is ClaimVerdict.PARKED:
        return Claim(verdict, parked=settled)
    if verdict is ClaimVerdict.LOST:
        return Claim(verdict, lost=settled)
    if settled.startswith(_LET_GO):  # everything that follows is on its way; the key may have it still
        return Claim(verdict, record=known if known and settled == _LET_GO + known.digest() else None)
    held = _LOOK_AGAIN if verdict is ClaimVerdict.PAUSED else timedelta()
    return Claim(verdict, record=Record.parse(settled) if settled else None, wait=held)
