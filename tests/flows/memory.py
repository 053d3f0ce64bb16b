"""What has happened in a run, as the interpreter remembers it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Done:
    """A step that has its outcome: ``by`` is ``settled``, or ``skipped`` where a person gave it."""

    agent: str
    read: str
    made: Json
    by: str = "settled"


@dataclass
class Memory:
    """What has happened in a run, by path.

    ``failed`` were parked at some time, ``parked`` are now (agent and contract), ``hand`` are at work; ``taken`` has what
    came back from budgets and waits, ``fallbacks`` which of it stood in (as ``constant`` or ``cache``), ``late`` who came
    after that. ``loose`` begins the paths of steps that perhaps did not get as far as they would have.
    """

    settled: dict[str, Done] = field(default_factory=dict)
    effects: dict[str, tuple[str, str]] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    parked: dict[str, tuple[str, str]] = field(default_factory=dict)
    hand: set[str] = field(default_factory=set)
    taken: dict[str, Json] = field(default_factory=dict)
    spent: set[str] = field(default_factory=set)
    fallbacks: dict[str, tuple[str, str]] = field(default_factory=dict)
    late: set[str] = field(default_factory=set)
    waits: dict[str, str] = field(default_factory=dict)
    signals: dict[str, Json] = field(default_factory=dict)
    undoing: list[list[str]] = field(default_factory=list)
    kept: set[tuple[str, str]] = field(default_factory=set)
    relied: set[tuple[str, str]] = field(default_factory=set)
    loose: set[str] = field(default_factory=set)
    paused: bool = False
    cancelled: bool = False
    compensated: bool = False
    result: Any = None

    @property
    def size(self) -> int:
        """It grows whenever something happens."""
        known = len(self.settled) + len(self.effects) + len(self.failed) + len(self.taken) + len(self.spent)
        return known + len(self.late) + len(self.undoing) + (self.result is not None)

    @property
    def status(self) -> str:
        def awaited(path: str) -> bool:
            """Whether a budget will end it, so that it waits for nobody."""
            words = path.split(".")
            around = [".".join(words[:at]) for at, word in enumerate(words) if word == "b"]
            return words[-1] != "undo" and any(budget not in self.taken for budget in around)

        if self.result is not None:
            return "completed"
        if not all(map(awaited, self.parked)):
            return "parked"
        if self.cancelled:
            return "cancelled"
        return "paused" if self.paused else "running"


def plain(value: Any) -> str:
    """JSON values as text, the same for the same values."""
    return json.dumps(value, sort_keys=True)


def static(path: str) -> str:
    """The place in the flow that a step of a run belongs to: ``4.i2.1`` is at ``4.i*.1``."""
    words = path.split(".")
    return ".".join(f"{word[0]}*" if word[0] in "ir" and word[1:].isdigit() else word for word in words)
