"""Settlement: what settling a step moves, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from handoffs.coordinator.continuation.moves import Join
from handoffs.coordinator.store.record import Record
from handoffs.coordinator.store.undo import OutcomeRef, UndoNext


@dataclass(frozen=True, slots=True)
class Advance:
    """How a settlement moves the run on.

    ``joins`` it arrives at, innermost first, with ``part`` (None: the record itself); ``sends``, once those are complete,
    as (step, agent, ``contract/version``). ``ends``: then the run ends; by default where nothing is sent.
    """

    joins: tuple[Join, ...] = ()
    sends: tuple[tuple[str, str, str], ...] = ()
    part: Record | None = None
    ends: bool | None = None
    undo: str = ""
    """What undoes the step, as JSON (``undo.py``), where anything does."""
    most: int = 0
    """How many octets the joins may put together, data and schemas, before the step is refused; 0: any number."""
    body: int = 0
    """The same for what they take in the body of a message, in which quotes and backslashes take two."""
    left: int | None = None
    """Of a step that undoes another: the number of the one that is to be undone after it, 0 for none. None for other steps."""
    span: str = ""
    """The span in which it arrives at its joins, where one is recorded: what they put together links to it."""
    undoes: OutcomeRef | None = None
    """Of a step that undoes another: the outcome that is undone by it."""


class SettleVerdict(StrEnum):
    """What became of a settlement."""

    SETTLED = "settled"
    """This outcome stands."""
    AGAIN = "again"
    """It was settled before, and this finds what follows."""
    UNDO = "undo"
    """It stands, and is to be undone: the run is being compensated."""
    LATE = "late"
    """Another outcome stands, or is about to."""
    TOO_LARGE = "too-large"
    """It was not recorded: with it, what a join puts together would be too large for a message."""
    CANCELLED = "cancelled"
    """The run was cancelled: nothing follows."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a settlement.

    ``fenced`` says of a late one that another holder of the key shut this one out, and that the step itself has no outcome
    yet. ``waiting`` says that a join still waits for other branches, the one at ``level`` (from 1) of those that it arrived
    at; ``joined`` is the join's data when all are complete, and ``mark`` says which fallback it is, if it is one. ``kept``
    says that this outcome stands, at its idempotency key as well. ``octets`` says of one that is too large for its join how many
    octets that would put together, as far as it is known. ``undo`` is the step that is to be undone next: this one, where its run is
    being compensated.
    """

    verdict: SettleVerdict
    fenced: bool = False
    waiting: bool = False
    joined: Record | None = None
    level: int = 0
    mark: str = ""
    kept: bool = False
    octets: int = 0
    undo: UndoNext | None = None
    spans: tuple[str, ...] = ()
    """The spans in which the parts of the joins have arrived, where spans are recorded."""

    @classmethod
    def read(cls, reply: list[str], *, kept: bool = False) -> Settled:
        """What the script says."""
        word, data, schemas, complete, *level = reply
        verdict = SettleVerdict(word)
        if verdict is SettleVerdict.TOO_LARGE:
            return cls(verdict, octets=int(data))
        if complete == "undo":
            return cls(verdict, undo=UndoNext.read(level))
        joined = Record(schemas, data) if data else None
        return cls(
            verdict,
            fenced=complete == "fenced",
            waiting=complete == "waiting",
            joined=joined,
            level=int(level[0]) if level else 0,
            mark=level[1] if len(level) > 1 else "",
            spans=tuple(level[2].split()) if len(level) > 2 else (),
            kept=kept and verdict in {SettleVerdict.SETTLED, SettleVerdict.AGAIN},
        )


def lines_of(sends: Iterable[tuple[str, str, str]]) -> str:
    """What is sent, as the scripts take it: a line ``step agent contract/version`` for each."""
    return "\n".join(map(" ".join, sends))
