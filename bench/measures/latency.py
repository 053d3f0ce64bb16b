"""Latency: how long one run takes when nothing else is under way."""

from __future__ import annotations

from collections.abc import Iterator

from bench.bars import Bar
from bench.measures.bursts import ALWAYS, EACH_SECOND, SYNCING, in_rounds, one_by_one
from bench.measures.measure import Bench, Column, Measure
from bench.peers.choice import BASELINE
from bench.samples import Sample
from bench.work import Job

_ELSE = ", Redis syncs each second"


def _play(bench: Bench) -> Iterator[Sample]:
    n, rounds = bench.of_size(tiny=4, quick=60, full=100), bench.rounds_of(5)
    for case, when in SYNCING.items():
        with bench.redis_syncing(when):
            yield from in_rounds(
                bench, "latency", case, bench.sides(), one_by_one, job=Job, n=n, rounds=rounds
            )


def _p50(text: str, case: str) -> Bar:
    return Bar(text=text, key="p50_ms", case=case, against=BASELINE, least=0.75, aim=0.6, at_most=True)


def _p99(text: str, case: str) -> Bar:
    return Bar(text=text, key="p99_ms", case=case, against=BASELINE, least=0.8, aim=0.7, at_most=True)


LATENCY = Measure(
    name="latency",
    title="Latency, one run at a time",
    explains="A run of three steps is started when the one before it has given its result, and waited for as the side's users do.",
    columns=(
        Column("p50_ms", "p50 ms", 1, compared=True),
        Column("p95_ms", "p95 ms", 1),
        Column("p99_ms", "p99 ms", 1, compared=True),
    ),
    play=_play,
    bars=(
        _p50("latency, p50", ALWAYS),
        _p99("latency, p99", ALWAYS),
        _p50(f"latency, p50{_ELSE}", EACH_SECOND),
        _p99(f"latency, p99{_ELSE}", EACH_SECOND),
    ),
)
