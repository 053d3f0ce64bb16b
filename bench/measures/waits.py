"""Waits: steps that wait for something, in threads and as coroutines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

from bench.interleave import in_turns
from bench.measures.bursts import burst
from bench.measures.measure import Bench, Column, Measure
from bench.peers.choice import side_classes
from bench.peers.ours import Ours
from bench.peers.side import Setup, Side
from bench.samples import Sample
from bench.work import Job, Shape, document

_WIDE = Setup(threads=100)
_SHAPES: tuple[Shape, ...] = ("pause", "async pause")


def _play(bench: Bench) -> Iterator[Sample]:
    bench.part_company()
    n, rounds = bench.of_size(tiny=4, quick=200, full=400), bench.rounds_of(2, quick=1)
    with ExitStack() as stack:
        wide = [
            stack.enter_context(bench.opened(kind(bench.place, _WIDE)))
            for kind in side_classes(bench.optional).values()
        ]
        kinds = {
            _name(side, shape): (side, shape) for shape in _SHAPES for side in wide if shape in side.shapes
        }
        for side, shape in kinds.values():
            _waited(side, shape, 0.0, 4)  # the first of a kind is not measured
        for seconds in bench.of_size(tiny=(0.1,), quick=(0.1, 1.0, 5.0), full=(0.1, 1.0, 5.0)):
            turns = {
                name: partial(bench.metered, side, partial(_waited, side, shape, seconds, n))
                for name, (side, shape) in kinds.items()
            }
            for number, name, (values, cpu) in in_turns(turns, rounds):
                yield Sample("waits", f"{seconds:g} s", name, number, n, values, cpu)


def _name(side: Side, shape: Shape) -> str:
    return f"{side.name}, async" if shape == "async pause" and side.name == Ours.name else side.name


def _waited(side: Side, shape: Shape, seconds: float, n: int) -> dict[str, float]:
    values = burst(side, [Job(shape, document=document(wait=seconds)) for _ in range(n)])
    places = side.setup.processes * side.setup.threads
    return {**values, "of_ideal": values["per_second"] * seconds / places * 100}


WAITS = Measure(
    name="waits",
    title="Steps that wait",
    explains="Bursts of runs of one step that waits. Workers are two processes that may have 100 steps each at work: in threads; as "
    "coroutines with *handoffs, async* and Taskiq. *of ideal* is how much of the time those 200 places were taken, from the first "
    "start to the last result: the start and the end of a burst count, so it is never 100.",
    columns=(
        Column("per_second", "runs/s", 1, compared=True),
        Column("of_ideal", "% of ideal", 0),
    ),
    play=_play,
)
