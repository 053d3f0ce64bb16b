"""Bursts: many runs at once, and one after the other; what several measures play."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

from bench.figures import latencies
from bench.interleave import in_turns
from bench.measures.measure import Bench
from bench.peers.side import Side
from bench.samples import Sample
from bench.work import Job

MakeJob = Callable[[], Job]

ALWAYS, EACH_SECOND = "Redis syncs always", "Redis syncs each second"
SYNCING = {ALWAYS: "always", EACH_SECOND: "everysec"}
"""Cases: when Redis has what it is given on its disk. ``always`` is how the product is deployed."""


def burst(side: Side, jobs: list[Job]) -> dict[str, float]:
    """Start all jobs as fast as that goes, and wait for the last: ``per_second``, from the first start to the last result. Results
    are checked when the clock stands."""
    began = time.perf_counter()
    handles = side.start_all(jobs)
    started = time.perf_counter()
    side.wait_all(handles)
    ended = time.perf_counter()
    side.check_all(jobs, handles)
    return {"per_second": len(jobs) / (ended - began), "started_per_second": len(jobs) / (started - began)}


def one_by_one(side: Side, jobs: list[Job]) -> dict[str, float]:
    """One job after the other, each waited for as the side's users do: latencies in ms."""
    took = []
    for job in jobs:
        began = time.perf_counter()
        found = side.result(side.start(job))
        took.append(time.perf_counter() - began)
        job.check(found)
    return latencies(took)


def in_rounds(
    bench: Bench,
    measure: str,
    case: str,
    sides: Mapping[str, Side],
    play: Callable[[Side, list[Job]], dict[str, float]],
    *,
    job: MakeJob,
    n: int,
    rounds: int,
) -> Iterator[Sample]:
    """Have the sides play ``n`` jobs each, in turns."""

    def turn(side: Side) -> Callable[[], tuple[Mapping[str, float], dict[str, float]]]:
        return lambda: bench.metered(side, lambda: play(side, [job() for _ in range(n)]))

    turns = {name: turn(side) for name, side in sides.items()}
    for number, name, (values, cpu) in in_turns(turns, rounds):
        yield Sample(measure, case, name, number, n, values, cpu)
