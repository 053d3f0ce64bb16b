"""Operation: what is done with many dead letters, how it is done, and how far it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Self, cast

from handoffs.coordinator.journal.operations import (
    AGAIN,
    CLAIMED,
    DONE,
    ELSEWISE,
    GONE,
    PENDING,
    REFUSED,
    OperationRow,
)

OperationState = Literal["running", "stopped", "cancelled", "done"]


@dataclass(frozen=True, slots=True)
class Pace:
    """How letters are replayed: the first ``canary`` before the others (0: all alike), which are waited for, up to ``canary_wait``
    seconds; at most ``rate`` a second (None: as fast as it goes); until one parks again for the same cause, with
    ``stop_on_recurrence``."""

    canary: int = 0
    canary_wait: float = 600.0
    rate: float | None = None
    stop_on_recurrence: bool = False
    canary_passed: bool = False

    def options(self) -> dict[str, Any]:
        """As JSON values."""
        return {name: getattr(self, name) for name in Pace.__slots__}

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """What :meth:`options` gave; where that was changed by hand, what it is where nobody says anything."""
        plain: Self = cls()
        found: dict[str, Any] = {}
        for name in Pace.__slots__:
            value, known = options.get(name), getattr(plain, name)
            kinds = (int, float, type(None)) if name == "rate" else (type(known), int)
            found[name] = value if isinstance(value, kinds) else known
        return replace(plain, **found)


@dataclass(frozen=True, slots=True)
class Operation:
    """What is done with many dead letters, those that were chosen when it began. Times are ISO 8601 in UTC.

    ``kind`` is ``replay``, ``archive`` or ``restore``. ``state`` is ``running`` (also where the process that did it has died: ``changed_at`` is its last
    sign), ``stopped`` (``told`` says why; it can be resumed), ``cancelled`` or ``done``. Of its ``total`` letters so many are ``pending``,
    ``done``, ``refused``, or ``gone``, moved by something else before their turn; of those that are done, so many have parked ``again``
    for the same cause, and for another (``otherwise``).
    """

    id: str
    kind: str
    state: OperationState
    at: str
    by: str
    why: str
    selection: str
    pace: Pace
    told: str
    changed_at: str
    total: int
    pending: int
    done: int
    refused: int
    gone: int
    again: int
    otherwise: int

    @classmethod
    def of(cls, row: OperationRow) -> Self:
        """The operation of a row of the journal."""
        counts = row.counts
        pending, done, refused, gone = (
            counts.get(PENDING, 0) + counts.get(CLAIMED, 0),
            counts.get(DONE, 0),
            counts.get(REFUSED, 0),
            counts.get(GONE, 0),
        )
        return cls(
            id=row.id, kind=row.kind, state=cast("OperationState", row.state), at=row.at, by=row.who, why=row.why,
            selection=row.selection, pace=Pace.of(row.options), told=row.told, changed_at=row.changed_at,
            total=pending + done + refused + gone, pending=pending, done=done, refused=refused, gone=gone,
            again=counts.get(AGAIN, 0), otherwise=counts.get(ELSEWISE, 0),
        )  # fmt: skip

    def words(self) -> str:
        """``2 done, 1 refused, 0 gone, 3 pending; 1 parked again``."""
        told = f"{self.done} done, {self.refused} refused, {self.gone} gone, {self.pending} pending"
        parked = self.again + self.otherwise
        return f"{told}; {parked} parked again" if parked else told
