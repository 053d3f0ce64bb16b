"""Tally: what the history tells of handoffs, counted. The coordinator process hears all of it, so workers pay nothing for being measured."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from handoffs.contracts.contract import valid_name
from handoffs.coordinator.handoff.failure import FailureKind
from handoffs.coordinator.history import EntryKind

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper bounds of what durations are counted by, in seconds."""
MOST_NAMES = 1_000
"""Pairs of flow and agent that are told apart; what others do is counted under :data:`OTHERS`."""
OTHERS = "others"

Place = tuple[str, str]
"""A flow and an agent; the agent is empty for what is of the run."""

_OUTCOMES = {
    EntryKind.SETTLED: "settled",
    EntryKind.DEDUPLICATED: "deduplicated",
    EntryKind.LATE: "late",
    EntryKind.SKIPPED: "skipped",
}
_FAILURES = {EntryKind.RETRIED: "retried", EntryKind.WAITS: "waits"}
_KINDS = frozenset(map(str, FailureKind))


@dataclass(slots=True)
class Durations:
    """How many were within each of :data:`BUCKETS`, the last one for all that were longer, and their sum in seconds."""

    within: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.within[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds


@dataclass(slots=True)
class Counted:
    """What was counted since this process began; by flow and agent, and where that is said by one thing more."""

    started: Counter[str] = field(default_factory=Counter)
    """Runs that were accepted, by flow."""
    outcomes: Counter[tuple[Place, str]] = field(default_factory=Counter)
    """Steps that have an outcome: ``settled``, ``deduplicated``, ``late`` (another stood), ``skipped``."""
    failures: Counter[tuple[Place, str]] = field(default_factory=Counter)
    """Attempts that failed and are tried again: ``retried``, or ``waits`` where the error said when."""
    parked: Counter[tuple[Place, str]] = field(default_factory=Counter)
    """Steps that were parked, by why."""
    fallbacks: Counter[tuple[Place, str]] = field(default_factory=Counter)
    """Budgets that were spent, by what took the step's place: ``cache``, ``constant``, ``agent``."""
    events: Counter[Place] = field(default_factory=Counter)
    """Events that were emitted."""
    took: dict[Place, Durations] = field(default_factory=dict)
    """How long agents ran for the outcomes that are settled."""
    lag: Durations = field(default_factory=Durations)
    """How old entries were when they were in the journal."""


class Tally:
    """Counts entries of the history. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: set[Place] = set()
        self._counted = Counted()

    def hear(self, entries: Iterable[Mapping[str, Any]], now: datetime) -> None:
        """Count ``entries``, which are in the journal ``now``, UTC. What is odd in one is not counted."""
        with self._lock:
            for entry in entries:
                self._count(entry, now)

    def read(self) -> Counted:
        """What was counted until now: a copy."""
        with self._lock:
            return deepcopy(self._counted)

    def _count(self, entry: Mapping[str, Any], now: datetime) -> None:
        counted, kind, place = self._counted, str(entry.get("kind")), self._place(entry)
        if kind == EntryKind.STARTED:
            counted.started[place[0]] += 1
        elif kind in _OUTCOMES:
            counted.outcomes[place, _OUTCOMES[EntryKind(kind)]] += 1
            took = entry.get("took_ms")
            if kind == EntryKind.SETTLED and isinstance(took, (int, float)):
                counted.took.setdefault(place, Durations()).add(max(took, 0) / 1000)
        elif kind in _FAILURES:
            counted.failures[place, _FAILURES[EntryKind(kind)]] += 1
        elif kind == EntryKind.PARKED:
            reason = str(entry.get("error", "")).partition(":")[0]
            counted.parked[place, reason if reason in _KINDS else OTHERS] += 1
        elif kind == EntryKind.FALLBACK:
            counted.fallbacks[place, str(entry.get("fallback", "")).partition(" ")[0][:20]] += 1
        emitted = entry.get("emitted")
        if isinstance(emitted, list) and emitted:
            counted.events[place] += len(emitted)
        age = _age(entry.get("at"), now)
        if age is not None:
            counted.lag.add(age)

    def _place(self, entry: Mapping[str, Any]) -> Place:
        flow, agent = (
            name
            if isinstance(name := entry.get(word, ""), str) and (not name or valid_name(name))
            else OTHERS
            for word in ("flow", "agent")
        )
        place = (flow, agent)
        if place not in self._places:
            if len(self._places) >= MOST_NAMES:
                return (OTHERS, OTHERS if agent else "")
            self._places.add(place)
        return place


def _age(at: object, now: datetime) -> float | None:
    """How long ago something was written, in seconds; None for what is no time."""
    try:
        written = datetime.fromisoformat(str(at))
    except ValueError:
        return None
    if written.tzinfo is None:
        written = written.replace(tzinfo=UTC)
    return max((now - written).total_seconds(), 0.0)
