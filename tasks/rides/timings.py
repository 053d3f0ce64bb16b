"""Timings: how long the rides of a show took, by what the journal says of them."""

from __future__ import annotations

import statistics
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

AGENTS: Final = {"match": "matching", "price": "pricing", "eta": "eta"}
"""What the branches of a dispatch are called in tables."""

_JOINED = "2"
_OUTCOME: Final = frozenset({"settled", "deduplicated"})
"""What says that a step has its outcome: of its own, or that of a copy of its message that was a little faster."""


@dataclass(frozen=True, slots=True)
class Branch:
    """When a branch had its outcome (Unix time), and what stood in for its agent: empty, or ``cached``, ``estimated``,
    ``no-driver``, ``flat-fare``."""

    ended: float
    fallback: str = ""


@dataclass(frozen=True, slots=True)
class Timing:
    """One ride: when it was asked for and dispatched (Unix time), and its branches by name."""

    run: str
    started: float
    ended: float
    branches: Mapping[str, Branch]

    @property
    def whole_ms(self) -> float:
        """From start() to the dispatch."""
        return (self.ended - self.started) * 1000

    def branch_ms(self, name: str) -> float:
        """From when the branch was sent to when it had its outcome, its own or a fallback's."""
        return (self.branches[name].ended - self.started) * 1000

    @property
    def joined_ms(self) -> float:
        """From when the last branch had its outcome to the dispatch."""
        return (self.ended - max(branch.ended for branch in self.branches.values())) * 1000

    @property
    def fell_back(self) -> bool:
        """Whether anything stood in for anybody."""
        return any(branch.fallback for branch in self.branches.values())


_STANDS_IN = {"match": "no-driver", "price": "flat-fare", "eta": "estimated"}


def timing(entries: Iterable[Mapping[str, Any]]) -> Timing | None:
    """The timing of a run by its history, in any order; None while it has not ended, or began before the history does."""
    started, ended = None, None
    branches: dict[str, Branch] = {}
    entries = list(entries)
    late = {entry["step"] for entry in entries if entry["kind"] == "late"}
    for entry in entries:
        kind, step, at = entry["kind"], entry.get("step", ""), _unix(entry["at"])
        if kind == "started":
            started = at
        elif kind in _OUTCOME and step == _JOINED:
            ended = at
        elif kind == "fallback":
            branches[step.split(".")[1]] = Branch(at, "cached")
        elif kind in _OUTCOME and step not in late:
            _, name, _, side, *_ = step.split(".")
            branches[name] = Branch(at, _STANDS_IN[name] if side == "f" else "")
    if started is None or ended is None or branches.keys() != AGENTS.keys():
        return None
    return Timing(str(entries[0]["run"]), started, ended, branches)


@dataclass(slots=True)
class Timings:
    """Takes entries of the journal as they come, and keeps what they say of each ride. Safe for threads."""

    _open: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    _done: dict[str, Timing] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Take entries, of any runs."""
        with self._lock:
            for entry in entries:
                run = entry.get("run", "")
                if run in self._done:
                    continue
                known = self._open.setdefault(run, [])
                known.append(entry)
                if entry["kind"] in _OUTCOME and entry.get("step") == _JOINED:
                    found = timing(known)
                    if found is not None:
                        self._done[run] = found
                        del self._open[run]

    def all(self) -> list[Timing]:
        """The rides that have ended, in the order in which they were asked for."""
        with self._lock:
            return sorted(self._done.values(), key=lambda one: one.started)


def percentiles(took_ms: Iterable[float]) -> dict[str, float] | None:
    """The 50th, 95th and 99th percentile and the most, rounded to 0.1; None of nothing."""
    took = sorted(took_ms)
    if not took:
        return None
    cuts = statistics.quantiles(took, n=100, method="inclusive") if len(took) > 1 else took * 99
    return {
        "p50": round(cuts[49], 1),
        "p95": round(cuts[94], 1),
        "p99": round(cuts[98], 1),
        "max": round(took[-1], 1),
    }


def latencies(timings: Iterable[Timing]) -> dict[str, dict[str, float] | None]:
    """The percentiles of each agent and of the whole, in milliseconds."""
    timings = list(timings)
    found = {shown: percentiles(one.branch_ms(name) for one in timings) for name, shown in AGENTS.items()}
    found["dispatcher"] = percentiles(one.joined_ms for one in timings)
    found["whole"] = percentiles(one.whole_ms for one in timings)
    return found


def _unix(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()
