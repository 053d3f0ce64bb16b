"""Chains: how long a run takes that has 1, 10, 100 or 1,000 steps."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from bench.bars import Bar
from bench.interleave import in_turns
from bench.measures.measure import Bench, Column, Measure
from bench.peers.side import Side
from bench.samples import Sample
from bench.work import Job

_LONG, _SHORT = 1_000, 100


def _play(bench: Bench) -> Iterator[Sample]:
    times = bench.of_size(
        tiny={1: 1, 10: 1}, quick={1: 5, 10: 2, 100: 1, 1_000: 1}, full={1: 20, 10: 10, 100: 3, 1_000: 1}
    )
    rounds = bench.rounds_of(2, quick=1)
    for number, name, found in in_turns(_turns(bench, times), rounds):
        hundred = 0.0
        for length, (values, cpu) in found.items():
            if length == _SHORT:
                hundred = values["ms"]
            if length == _LONG and hundred:
                values = {**values, "of_ten": values["ms"] / (10 * hundred)}  # noqa: PLW2901 - the same with one figure more
            steps = length * times[length]
            yield Sample("chains", _case(length), name, number, steps, values, cpu)


def _turns(
    bench: Bench, times: Mapping[int, int]
) -> dict[str, Callable[[], dict[int, tuple[Mapping[str, float], dict[str, float]]]]]:
    def turn(side: Side) -> dict[int, tuple[Mapping[str, float], dict[str, float]]]:
        return {
            length: bench.metered(side, partial(_one_by_one, side, length, count))
            for length, count in times.items()
            if length <= side.longest_chain
        }

    return {name: partial(turn, side) for name, side in bench.sides().items()}


def _one_by_one(side: Side, length: int, count: int) -> dict[str, float]:
    took = []
    for _ in range(count):
        job = Job("chain", length)
        began = time.perf_counter()
        found = side.result(side.start(job), timeout=300)
        took.append((time.perf_counter() - began) * 1000)
        job.check(found)
    middle = statistics.median(took)
    return {"ms": middle, "ms_a_step": middle / length}


def _case(length: int) -> str:
    return "1 step" if length == 1 else f"{length:,} steps"


CHAINS = Measure(
    name="chains",
    title="Long chains",
    explains="One run after the other. The whole rest of a chain travels in each message, here as with Celery and Dramatiq, so a "
    "longer chain has larger messages. Dramatiq and Taskiq make no message of 1,000 steps: one nests them too deep for JSON, the other has them in headers. *of ten* is how long a run of 1,000 steps took, in terms of ten runs of 100 one after the other.",
    columns=(
        Column("ms_a_step", "ms a step", 2, compared=True),
        Column("ms", "ms a run", 0),
        Column("of_ten", "of ten", 2),
    ),
    play=_play,
    unit="step",
    bars=(
        Bar(
            text="1,000 steps, in terms of ten chains of 100",
            key="of_ten",
            case=_case(_LONG),
            least=1.2,
            at_most=True,
        ),
    ),
)
