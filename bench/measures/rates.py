"""Rates: how long a run takes while so many a second are started, whatever becomes of those before."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from bench.figures import latencies
from bench.measures.bursts import in_rounds
from bench.measures.measure import Bench, Column, Measure
from bench.peers.side import CLIENT_THREADS, NotDone, Side
from bench.samples import Sample
from bench.work import Job

_RATES = (10, 25, 50)  # runs a second
_LOOKS_EVERY = 0.002  # seconds
_ENDS_WITHIN = 60.0  # seconds after the last start


def _play(bench: Bench) -> Iterator[Sample]:
    seconds = bench.of_size(tiny=0.2, quick=3, full=6)
    for rate in _RATES:
        n, rounds = max(int(rate * seconds), 1), bench.rounds_of(2, quick=1)
        play = partial(at_rate, rate=rate)
        yield from in_rounds(
            bench, "rates", f"{rate} runs/s", bench.sides(), play, job=Job, n=n, rounds=rounds
        )


def at_rate(side: Side, jobs: list[Job], rate: float) -> dict[str, float]:
    """Start jobs at a fixed rate, and look for their results. A latency begins when its run was to be started."""
    handles: list[Any] = [None] * len(jobs)
    began = time.perf_counter() + 0.05
    numbers, fault = itertools.count(), threading.Event()

    def start(_: int) -> None:
        try:
            while (number := next(numbers)) < len(jobs):
                time.sleep(max(began + number / rate - time.perf_counter(), 0))
                handles[number] = side.start(jobs[number])
        except BaseException:
            fault.set()
            raise

    with ThreadPoolExecutor(CLIENT_THREADS) as pool:
        starters = [pool.submit(start, thread) for thread in range(CLIENT_THREADS)]
        took = _until_ended(side, handles, began, rate, fault)
        for starter in starters:
            starter.result()
    side.check_all(jobs, handles)
    return latencies(took)


def _until_ended(
    side: Side, handles: list[Any], began: float, rate: float, fault: threading.Event
) -> list[float]:
    """Look for results until all are there; gives how long each took. ``handles`` fill up meanwhile."""
    left, took = set(range(len(handles))), list[float]()
    until = began + len(handles) / rate + _ENDS_WITHIN
    while left and not fault.is_set():
        open_ = [number for number in left if handles[number] is not None]
        if open_:
            ended = side.ended([handles[number] for number in open_])
            now = time.perf_counter()
            for number, done in zip(open_, ended, strict=True):
                if done:
                    left.discard(number)
                    took.append(now - began - number / rate)
        if time.perf_counter() > until:
            raise NotDone(f"{side.name}: {len(left)} of {len(handles)} runs have not ended")
        time.sleep(_LOOKS_EVERY)
    return took


RATES = Measure(
    name="rates",
    title="Latency at fixed rates",
    explains="Runs of three steps are started at fixed times, however long those before take (open loop), and a latency begins when "
    "the run was to be started: what waits for its start counts. All sides' results are looked for every 2 ms.",
    columns=(
        Column("p50_ms", "p50 ms", 1, compared=True),
        Column("p95_ms", "p95 ms", 1),
        Column("p99_ms", "p99 ms", 1, compared=True),
    ),
    play=_play,
)
