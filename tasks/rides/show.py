"""Show: rides at a steady rate while the ETA fleet goes away, comes back slow, and comes back well."""

from __future__ import annotations

import threading
import time
import uuid
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any, Final

from handoffs.contracts import CoordinationError
from handoffs.contracts.reference.rides import RideRequested
from handoffs.coordinator import Flow, Run
from handoffs.tasks.rides.flow import ETA_WITHIN, MATCHING_WITHIN, PRICING_WITHIN
from handoffs.tasks.rides.script import Direction
from handoffs.tasks.rides.stage import Stage
from handoffs.tasks.rides.timings import AGENTS, Timing, Timings, latencies, percentiles

BUDGETS_MS: Final = {
    name: round(within / timedelta(milliseconds=1))
    for name, within in (("match", MATCHING_WITHIN), ("price", PRICING_WITHIN), ("eta", ETA_WITHIN))
}
FALLBACKS: Final = ("cached", "estimated", "no-driver", "flat-fare")
PHASES: Final = ("before", "stopped", "slow", "after")
SLOW: Final = 2 * ETA_WITHIN
"""How much later than it could a slow ETA answers."""

_WARM_UP = 8
_SETTLED_WITHIN = 30.0  # seconds after the last request
_LOOK = 0.2  # seconds


@dataclass(frozen=True, slots=True)
class Plan:
    """For how many seconds, at how many requests a second, which requests (over and over), and through which flow."""

    seconds: float
    rate: float
    requests: Sequence[RideRequested]
    flow: Flow
    slow: timedelta = SLOW


@dataclass
class Show:
    """One show. What it has seen so far can be asked for from another thread."""

    stage: Stage
    plan: Plan
    timings: Timings = field(default_factory=Timings)
    runs: list[Run] = field(default_factory=list)
    began: float = field(default_factory=time.time)
    changes: list[tuple[float, str]] = field(default_factory=list)
    """From when on (Unix time) which phase it was."""

    def play(self) -> None:
        """Play it to its end, as the stage directs it. It takes a little longer where workers need time to start.

        Raises :class:`~handoffs.contracts.CoordinationError` where requests cannot be started, or ETA cannot.
        """
        source = self._source()
        self._warm_up(source)
        after = self.stage.coordinator.journal.history.newest()
        over, trouble = threading.Event(), list[CoordinationError]()
        script = threading.Thread(target=self._script, args=(over, trouble), daemon=True)
        reader = _Reader(self, after)
        reader.start()
        script.start()
        try:
            self._ask(source, over)
            script.join()
            self._settle()
        finally:
            over.set()
            script.join()
            reader.stop()
        if trouble:
            raise trouble[0]

    @property
    def phase(self) -> str:
        """The phase now."""
        return self.changes[-1][1] if self.changes else "warming up"

    def phase_of(self, ride: Timing) -> str:
        """The phase that a ride belongs to: that in which it was asked for, or the outage that it ran into."""
        asked = self._phase_at(ride.started)
        return self._phase_at(ride.branches["eta"].ended) if asked == "before" else asked

    def rides(self) -> list[Timing]:
        """Those that have ended, without those of the warm-up."""
        asked = {run.id for run in self.runs}
        return [ride for ride in self.timings.all() if ride.run in asked]

    def figures(self) -> dict[str, Any]:
        """What there is to say of it, as JSON values: requests, those that were lost, and by phase latencies in
        milliseconds and the share of fallbacks."""
        rides = self.rides()
        by_phase: dict[str, list[Timing]] = {name: [] for name in PHASES}
        for ride in rides:
            by_phase[self.phase_of(ride)].append(ride)
        return {
            "requests": len(self.runs),
            "lost": len(self.runs) - len(rides),
            "rate": self.plan.rate,
            "where": self.stage.where,
            "budgets_ms": {AGENTS[name]: milliseconds for name, milliseconds in BUDGETS_MS.items()},
            "phases": {name: _phase_figures(found) for name, found in by_phase.items()},
            "overrun_ms": overruns(rides),
            "recovery_s": self._recovery(by_phase["after"]),
        }

    def _recovery(self, after: Sequence[Timing]) -> float:
        """The seconds from when the ETA fleet was well again to the last ride that still did without."""
        well = next((at for at, phase in self.changes if phase == "after"), 0.0)
        return round(
            max((ride.started - well for ride in after if ride.branches["eta"].fallback), default=0.0), 2
        )

    def _phase_at(self, moment: float) -> str:
        at = bisect_right(self.changes, moment, key=lambda change: change[0])
        return self.changes[max(at - 1, 0)][1]

    def _source(self) -> Iterator[RideRequested]:
        """The requests, day after day. On servers that outlive the show, each show's rides have ids of their own."""
        own = "" if self.stage.where == "embedded" else uuid.uuid4().hex[:6]
        for day in count():
            for ride in self.plan.requests:
                mark = f"-{own}.{day}" if own or day else ""
                yield ride.model_copy(
                    update={
                        "ride_id": f"{ride.ride_id[:48]}{mark}",
                        "requested_at": ride.requested_at + timedelta(days=day),
                    }
                )

    def _warm_up(self, source: Iterator[RideRequested]) -> None:
        """The first rides of a process lay out its city; they are no part of the figures."""
        for _ in range(_WARM_UP):
            self.stage.coordinator.start(self.plan.flow, next(source)).wait(_SETTLED_WITHIN)

    def _script(self, over: threading.Event, trouble: list[CoordinationError]) -> None:
        try:
            self.stage.direct(Direction(self.plan.seconds, self.plan.slow, self._change, over))
        except CoordinationError as error:
            trouble.append(error)
        finally:
            over.set()

    def _change(self, phase: str) -> None:
        self.changes.append((time.time(), phase))

    def _ask(self, source: Iterator[RideRequested], over: threading.Event) -> None:
        """Start a ride whenever it is time, whether those before it have ended or not."""
        begin = time.monotonic()
        for number, ride in enumerate(source):
            wait = begin + number / self.plan.rate - time.monotonic()
            if over.wait(max(wait, 0)):
                return
            self.runs.append(self.stage.coordinator.start(self.plan.flow, ride))

    def _settle(self) -> None:
        """Wait until every ride has ended."""
        deadline = time.monotonic() + _SETTLED_WITHIN
        while time.monotonic() < deadline and len(self.rides()) < len(self.runs):
            time.sleep(_LOOK)


class _Reader(threading.Thread):
    """Reads on in the journal until it is stopped."""

    def __init__(self, show: Show, after: int) -> None:
        super().__init__(name="rides-journal", daemon=True)
        self._show = show
        self._after = after
        self._over = threading.Event()

    def run(self) -> None:
        """Read."""
        while not self._over.wait(_LOOK):
            self._read()

    def stop(self) -> None:
        """Stop, with what can be read now."""
        self._over.set()
        self.join()
        self._read()

    def _read(self) -> None:
        journal = self._show.stage.coordinator.journal
        while found := journal.history.since(self._after):
            self._after = found[-1][0]
            self._show.timings.take(entry for _, entry in found)


def overruns(rides: Sequence[Timing]) -> dict[str, float] | None:
    """How much later than its budget, from when the ride was asked for, a fallback had taken its place: percentiles in
    milliseconds."""
    return percentiles(
        ride.branch_ms(name) - BUDGETS_MS[name]
        for ride in rides
        for name, branch in ride.branches.items()
        if branch.fallback
    )


def _phase_figures(rides: Sequence[Timing]) -> dict[str, Any]:
    stood_in = Counter(branch.fallback for ride in rides for branch in ride.branches.values())
    return {
        "requests": len(rides),
        "fallback_share": round(sum(ride.fell_back for ride in rides) / len(rides), 4) if rides else None,
        "fallbacks": {name: stood_in[name] for name in FALLBACKS},
        "latency_ms": latencies(rides),
        "overrun_ms": overruns(rides),
    }
