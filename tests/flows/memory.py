"""What has happened in a run, as the interpreter remembers it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
Answers = dict[tuple[str, str], tuple[str, Json | None]]
"""By path and key: the content that the key stands for, and its outcome, where there is one."""


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

    ``failed`` were parked at some time, ``parked`` are now (agent and contract), ``held`` do not begin while it is paused,
    ``put_off`` were held at some time, ``hand`` are at work; ``attempts`` has each attempt and what came of it, ``edits`` the inputs that people gave. ``taken``
    has what came back from budgets and waits, ``fallbacks`` which of it stood in (as ``constant`` or ``cache``), ``late`` who
    came after that. ``emitted`` has the events; whoever hears one does that at ``3.x.1!ear``. ``loose`` begins the paths of
    steps that perhaps did not get as far as they would have. ``claims`` has what keys stand for, ``undecided`` the effects that did
    not stand, since it could not be said what comes next, ``hopeless`` who fails in the same way again, and ``told_to_end`` who was at work when the run was cancelled, or in a budget when that
    was spent. ``scheduled``: its time has not come.
    """

    settled: dict[str, Done] = field(default_factory=dict)
    effects: dict[str, tuple[str, str]] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    parked: dict[str, tuple[str, str]] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    attempts: dict[str, list[str]] = field(default_factory=dict)
    edits: dict[str, list[Json]] = field(default_factory=dict)
    put_off: set[str] = field(default_factory=set)
    emitted: dict[str, Json] = field(default_factory=dict)
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
    claims: Answers = field(default_factory=dict)
    undecided: dict[str, tuple[str, str]] = field(default_factory=dict)
    hopeless: set[str] = field(default_factory=set)
    told_to_end: set[str] = field(default_factory=set)
    scheduled: bool = False
    paused: bool = False
    cancelled: bool = False
    compensated: bool = False
    result: Any = None

    @property
    def size(self) -> int:
        """It grows whenever something happens."""
        known = len(self.settled) + len(self.effects) + len(self.failed) + len(self.taken) + len(self.spent)
        return known + len(self.late) + len(self.emitted) + len(self.undoing) + (self.result is not None)

    def forget(self, path: str) -> None:
        """What was undone does not answer for its key any more; a key under which it only failed stays with that content."""
        for one in [one for one, (_, made) in self.claims.items() if one[0] == path and made is not None]:
            del self.claims[one]

    @property
    def status(self) -> str:
        def stops(path: str) -> bool:
            """Whether a person has to end it: no budget will, and the run waits for it."""
            words = path.split(".")
            around = [".".join(words[:at]) for at, word in enumerate(words) if word == "b"]
            return not is_fact(path) and (words[-1] == "undo" or all(one in self.taken for one in around))

        if self.result is not None:
            return "completed"
        if any(map(stops, self.parked)):
            return "parked"
        if self.cancelled or self.scheduled:
            return "cancelled" if self.cancelled else "scheduled"
        return "paused" if self.paused else "running"


def hearing(path: str, ear: str) -> str:
    """Where the agent ``ear`` hears what is emitted at ``path``: ``3.x.1!ear``."""
    return f"{path}!{ear.rpartition('.')[2]}"


def is_fact(path: str) -> bool:
    """Whether an event is heard there: that goes on whatever becomes of the run."""
    return "!" in path


def plain(value: Any) -> str:
    """JSON values as text, the same for the same values."""
    return json.dumps(value, sort_keys=True)


def static(path: str) -> str:
    """The place in the flow that a step of a run belongs to: ``4.i2.1`` is at ``4.i*.1``."""
    words = path.split(".")
    return ".".join(f"{word[0]}*" if word[0] in "ir" and word[1:].isdigit() else word for word in words)
