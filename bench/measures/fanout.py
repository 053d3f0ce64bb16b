"""Fan-out: a step, 15 parts side by side, a join."""

from __future__ import annotations

from collections.abc import Iterator

from bench.bars import Bar
from bench.measures.bursts import ALWAYS, EACH_SECOND, SYNCING, burst, in_rounds, one_by_one
from bench.measures.measure import Bench, Column, Measure
from bench.peers.choice import BASELINE
from bench.peers.side import Side
from bench.samples import Sample
from bench.work import Job

_ALONE = 5


def _both(side: Side, jobs: list[Job]) -> dict[str, float]:
    alone = [Job("fan-out") for _ in range(min(_ALONE, len(jobs)))]
    return {**burst(side, jobs), "p50_ms": one_by_one(side, alone)["p50_ms"]}


def _play(bench: Bench) -> Iterator[Sample]:
    sides = {name: side for name, side in bench.sides().items() if "fan-out" in side.shapes}
    n, rounds = bench.of_size(tiny=2, quick=20, full=40), bench.rounds_of(5)
    for case, when in SYNCING.items():
        with bench.redis_syncing(when):
            yield from in_rounds(
                bench, "fan-out", case, sides, _both, job=lambda: Job("fan-out"), n=n, rounds=rounds
            )


def _bar(text: str, case: str) -> Bar:
    return Bar(text=text, key="per_second", case=case, against=BASELINE, least=2.2, aim=3.5)


FAN_OUT = Measure(
    name="fan-out",
    title="Fan-out and join",
    explains="A step, 15 parts side by side, and a step that gets all 15 results: many runs at once, then five one after the other. "
    "Celery's is a chord, Dramatiq's a group with a callback that fetches the results itself, Taskiq's a `map` that looks for its "
    "parts every 5 ms in a task. Processor time counts both halves.",
    columns=(
        Column("per_second", "runs/s", compared=True),
        Column("p50_ms", "p50 ms alone", 1, compared=True),
    ),
    play=_play,
    bars=(_bar("fan-out", ALWAYS), _bar("fan-out, Redis syncs each second", EACH_SECOND)),
)
