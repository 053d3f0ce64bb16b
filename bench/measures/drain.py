"""Drain: how fast the coordinator process takes history into the journal."""

from __future__ import annotations

import time
from collections.abc import Iterator

from bench.measures.measure import STANDARD, Bench, Column, Measure
from bench.peers.ours import Ours
from bench.peers.side import NotDone
from bench.samples import Sample
from bench.work import Job, WrongResult

_WITHIN = 300.0  # seconds
_LOOKS_EVERY = 0.02  # seconds


def _play(bench: Bench) -> Iterator[Sample]:
    bench.part_company()
    runs, rounds = bench.of_size(tiny=4, quick=300, full=1_000), bench.rounds_of(3)
    case = f"{bench.place.journal_url.partition(':')[0].partition('+')[0]}"
    with bench.opened(Ours(bench.place, STANDARD, label="drain")) as side:
        for number in range(1, rounds + 1):
            jobs = [Job() for _ in range(runs)]
            handles = side.start_all(jobs)
            side.wait_all(handles)
            found = _drained(bench, side)
            told = len(side.coordinator.history(handles[0].id))
            if told <= jobs[0].steps:
                raise WrongResult(f"the journal has {told} entries of a run of three steps")
            if found is not None:
                entries, seconds, cpu = found
                values = {"per_second": entries / seconds}
                yield Sample("journal", case, side.name, number, entries, values, cpu)


def _drained(bench: Bench, side: Ours) -> tuple[int, float, dict[str, float]] | None:
    """Have a coordinator process drain what there is: how many entries it took once it had begun, in how many seconds and with which
    processor time; None where the first look has found that all are gone."""
    all_of_them = side.history()
    side.serve()
    meter = bench.meter(side)
    _wait_below(side, all_of_them)
    began, entries, _ = time.perf_counter(), side.history(), meter.read()
    _wait_below(side, 1)
    seconds, cpu = time.perf_counter() - began, meter.read()
    side.workers.end_last()
    return (entries, seconds, cpu) if entries else None


def _wait_below(side: Ours, entries: int) -> None:
    until = time.monotonic() + _WITHIN
    while side.history() >= entries:
        if time.monotonic() > until:
            raise NotDone(f"the coordinator process has not taken {entries} entries in {_WITHIN:g} s")
        side.workers.check()
        time.sleep(_LOOKS_EVERY)


DRAIN = Measure(
    name="journal",
    title="History into the journal",
    explains="Runs leave their history in Redis; then a coordinator process starts and takes it into the journal. The clock runs from its "
    "first batch to the last. An entry has the input and the output of a step; entries are written some hundreds in one transaction. The "
    "journal's PostgreSQL, where the benchmark starts it, has `fsync` off, so that it is not its disk that is measured.",
    columns=(Column("per_second", "entries/s", 0),),
    play=_play,
    unit="entry",
)
