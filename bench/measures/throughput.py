"""Throughput: how many runs of three steps a second."""

from __future__ import annotations

from collections.abc import Iterator

from bench.bars import Bar
from bench.measures.bursts import ALWAYS, EACH_SECOND, SYNCING, burst, in_rounds
from bench.measures.measure import Bench, Column, Measure
from bench.peers.choice import BASELINE
from bench.samples import Sample
from bench.work import Job


def _play(bench: Bench) -> Iterator[Sample]:
    n, rounds = bench.of_size(tiny=6, quick=300, full=600), bench.rounds_of(5)
    for case, when in SYNCING.items():
        with bench.redis_syncing(when):
            yield from in_rounds(bench, "throughput", case, bench.sides(), burst, job=Job, n=n, rounds=rounds)


def _bar(text: str, case: str) -> Bar:
    return Bar(text=text, key="per_second", case=case, against=BASELINE, least=1.6, aim=2.5)


THROUGHPUT = Measure(
    name="throughput",
    title="Throughput",
    explains="Eight threads start runs of three steps that do nothing, with 1 KB, as fast as they can. The clock runs from the first "
    "start until the last result is there.",
    columns=(Column("per_second", "runs/s", compared=True), Column("started_per_second", "starts/s", 0)),
    play=_play,
    bars=(_bar("throughput", ALWAYS), _bar("throughput, Redis syncs each second", EACH_SECOND)),
)
