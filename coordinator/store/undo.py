"""Undo: what undoes a step of a run when that is compensated."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from handoffs.coordinator.store.record import Record


@dataclass(frozen=True, slots=True)
class OutcomeRef:
    """Which outcome of an idempotency key it is: its agent, the digest of its idempotency key, and the fence under which it was
    settled."""

    agent: str
    key: str
    fence: int

    @property
    def name(self) -> str:
        """Names it: another outcome of the same key has another name."""
        return f"{self.agent}/{self.key}/{self.fence}"

    def to_json(self) -> dict[str, Any]:
        return {"agent": self.agent, "key": self.key, "fence": self.fence}

    @classmethod
    def from_json(cls, value: Any) -> Self | None:
        """The same, as a message or a run has it; None where that is something else."""
        match value:
            case {"agent": str(agent), "key": str(key), "fence": int(fence)}:
                return cls(agent, key, fence)
        return None


@dataclass(frozen=True, slots=True)
class Undo:
    """What undoes a step of a run: ``agent``, which accepts the contract version of the URI ``accepts``, with the policy ``retry``
    where its flow has one for it. ``outcome`` is the outcome that it undoes; None where the step's outcome is a person's."""

    step: str
    agent: str
    accepts: str
    retry: Mapping[str, Any] | None = None
    outcome: OutcomeRef | None = None

    def text(self) -> str:
        """As a run has it."""
        found: dict[str, Any] = {"step": self.step, "agent": self.agent, "accepts": self.accepts}
        if self.retry is not None:
            found["retry"] = dict(self.retry)
        if self.outcome is not None:
            found["outcome"] = self.outcome.to_json()
        return json.dumps(found)

    @classmethod
    def parse(cls, text: str) -> Self:
        found = json.loads(text)
        outcome = OutcomeRef.from_json(found.get("outcome"))
        return cls(found["step"], found["agent"], found["accepts"], found.get("retry"), outcome)


@dataclass(frozen=True, slots=True)
class UndoNext:
    """A step that is to be undone now: what undoes it, what it has made, and how many are to be undone after it."""

    undo: Undo
    record: Record
    left: int

    @classmethod
    def read(cls, reply: Sequence[str]) -> Self:
        """What the scripts say: three texts."""
        undo, record, left = reply
        return cls(Undo.parse(undo), Record.parse(record), int(left))
