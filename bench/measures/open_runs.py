"""Open runs: 100,000 runs that wait for a signal, what they take of memory, and whether others go on as fast beside them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

from bench.cpu import memory_mb
from bench.measures.bursts import burst
from bench.measures.measure import STANDARD, Bench, Column, Measure
from bench.peers import ours_work
from bench.peers.ours import Ours
from bench.samples import Sample
from bench.work import Job, WrongResult, document
from handoffs.coordinator import Run

_SIGNALLED = 20


def _play(bench: Bench) -> Iterator[Sample]:
    bench.part_company()
    count, n = bench.of_size(tiny=50, quick=5_000, full=100_000), bench.of_size(tiny=4, quick=200, full=400)
    rounds = bench.rounds_of(3)
    with bench.opened(Ours(bench.place, STANDARD, label="open")) as side:
        for number in range(1, rounds + 1):
            yield _others(bench, side, "none open", n, number)
        began = time.perf_counter()
        first = _opened(side, count)
        seconds = time.perf_counter() - began
        yield Sample(
            "open-runs",
            f"opening {count:,}",
            side.name,
            1,
            count,
            {"per_second": count / seconds, **_memory(bench, side)},
        )
        for number in range(1, rounds + 1):
            yield _others(bench, side, f"{count:,} open", n, number)
        _signal(first)


def _opened(side: Ours, count: int) -> list[Run]:
    """Start runs that wait; gives the first of them. All are waiting: nothing of theirs is queued."""
    payloads = (document() for _ in range(count))
    runs = (started.get() for started in side.coordinator.start_many(ours_work.open_run, payloads))
    first = list(itertools.islice(runs, _SIGNALLED))
    for _ in runs:
        pass
    if set(side.coordinator.statuses(first)) != {"running"}:
        raise WrongResult("a run that waits for a signal does not run")
    return first


def _others(bench: Bench, side: Ours, case: str, n: int, number: int) -> Sample:
    values, cpu = bench.metered(side, lambda: burst(side, [Job() for _ in range(n)]))
    return Sample("open-runs", case, side.name, number, n, {**values, **_memory(bench, side)}, cpu)


def _memory(bench: Bench, side: Ours) -> dict[str, float]:
    data = side.coordinator.engine.store.redis.info("memory")["used_memory"]
    found = {"redis_data_mb": data / 2**20, "workers_mb": memory_mb(side.workers.pids)}
    return found | ({"rabbitmq_mb": memory_mb(bench.server("RabbitMQ"))} if bench.server("RabbitMQ") else {})


def _signal(runs: list[Run]) -> None:
    """Runs that were open all the while end as they should."""
    for run in runs:
        payload = document()
        run.signal("go", ours_work.Document(**payload))
        found = run.result(60).model_dump()
        if found != {**payload, "steps": 1}:
            raise WrongResult(
                f"a run that was open ended with another result than its signal's: {found['id']}"
            )


OPEN_RUNS = Measure(
    name="open-runs",
    title="100,000 runs open",
    explains="Bursts of runs of three steps, before and after 100,000 others (5,000 with `--quick`) were started with `start_many()` that "
    "wait for a signal; afterwards the signal comes to some of them, and they end. The rates are not interleaved: open runs cannot be "
    "closed for a round. Memory is resident; of Redis it is what it says of its data. Celery has nothing to compare: a run that waits "
    "would hold a worker.",
    columns=(
        Column("per_second", "runs/s", 0),
        Column("redis_data_mb", "Redis data MB", 0),
        Column("workers_mb", "workers MB", 0),
        Column("rabbitmq_mb", "RabbitMQ MB", 0),
    ),
    play=_play,
)
