"""Replay: how fast dead letters are sent on their way again, and their runs end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from bench.measures.measure import STANDARD, Bench, Column, Measure
from bench.peers import ours_work
from bench.peers.ours import Ours
from bench.peers.side import CLIENT_THREADS, NotDone
from bench.samples import Sample
from bench.work import Document, WrongResult, document
from handoffs.coordinator import Run
from handoffs.coordinator.letters.letter import Letter

T = TypeVar("T")

_WITHIN = 300.0  # seconds
_LOOKS_EVERY = 0.02  # seconds


def _play(bench: Bench) -> Iterator[Sample]:
    bench.part_company()
    n, rounds = bench.of_size(tiny=3, quick=100, full=400), bench.rounds_of(2)
    with bench.opened(Ours(bench.place, STANDARD, label="replay", serves=True)) as side:
        for number in range(1, rounds + 1):
            for threads in (1, CLIENT_THREADS):
                case = f"replay() in {threads} thread{'s' if threads > 1 else ''}"
                values, cpu = bench.metered(side, partial(_round, side, n, threads))
                yield Sample("replay", case, side.name, number, n, values, cpu)


def _round(side: Ours, n: int, threads: int) -> dict[str, float]:
    side.mended.unlink(missing_ok=True)
    payloads = [document() for _ in range(n)]
    began = time.perf_counter()
    runs = [started.get() for started in side.coordinator.start_many(ours_work.failing, payloads)]
    letters = _until(lambda: _letters(side, n), "all letters are in the journal")
    parked = time.perf_counter()
    side.mended.touch()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(Letter.replay, letters))
    replayed = time.perf_counter()
    _until(lambda: _completed(side, runs), "all replayed runs are completed")
    ended = time.perf_counter()
    _check(payloads, runs)
    return {
        "replayed_per_second": n / (replayed - parked),
        "per_second": n / (ended - parked),
        "parked_per_second": n / (parked - began),
    }


def _letters(side: Ours, n: int) -> Sequence[Letter]:
    found = side.coordinator.dead_letters(flow=ours_work.failing.name)
    return found if len(found) == n else ()


def _completed(side: Ours, runs: Sequence[Run]) -> bool:
    return all(status == "completed" for status in side.coordinator.statuses(runs))


def _check(payloads: Sequence[Document], runs: Sequence[Run]) -> None:
    for payload, run in zip(payloads, runs, strict=True):
        if run.result(0).model_dump() != {**payload, "steps": 1}:
            raise WrongResult(f"run {run.id} has another result after its replay than it should")


def _until(predicate: Callable[[], T], what: str) -> T:
    until = time.monotonic() + _WITHIN
    while not (found := predicate()):
        if time.monotonic() > until:
            raise NotDone(f"not within {_WITHIN:g} s: {what}")
        time.sleep(_LOOKS_EVERY)
    return found


REPLAY = Measure(
    name="replay",
    title="Replay of dead letters",
    explains="Runs of one step that fails, until all their letters are in the journal (*parked/s*, from the first start on, in the "
    "journal of a coordinator process); then the cause is mended, and every letter is replayed by the client, one after the other or in "
    "eight threads (*replay()/s*), until all runs have ended (*ended/s*). A letter that is replayed is read from the journal, its run "
    "unparked in Redis, its message published and confirmed, and the journal told twice. Celery keeps no failed message.",
    columns=(
        Column("per_second", "ended/s", 0),
        Column("replayed_per_second", "replay()/s", 0),
        Column("parked_per_second", "parked/s", 0),
    ),
    play=_play,
    unit="letter, parked and replayed",
)
