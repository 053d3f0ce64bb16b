"""Guarantees: what each costs, by leaving it out."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bench.bars import Bar
from bench.interleave import in_turns
from bench.measures.bursts import burst
from bench.measures.measure import STANDARD, Bench, Column, Measure
from bench.peers.ours import Ours
from bench.samples import Sample
from bench.work import Job

_STEPS = 3
_BOTH = "history and dedupe"
_TOGETHER = {_BOTH: "history,dedupe", "all of them": "history,dedupe,leases,validation,confirms"}
_EACH = {name: name for name in ("history", "dedupe", "leases", "validation", "confirms")}
_WITH, _WITHOUT = "with it", "without"


def _play(bench: Bench) -> Iterator[Sample]:
    bench.part_company()
    n, rounds = bench.of_size(tiny=4, quick=200, full=500), bench.rounds_of(5)
    with bench.opened(Ours(bench.place, STANDARD, label="with")) as whole:
        cases = bench.of_size(tiny=_TOGETHER, quick=_TOGETHER, full=_TOGETHER | _EACH)
        for case, without in cases.items():
            label = case.replace(" ", "-")
            with bench.opened(Ours(bench.place, STANDARD, label=label, without=without)) as less:
                yield from _compared(bench, case, whole, less, n, rounds)


def _compared(bench: Bench, case: str, whole: Ours, less: Ours, n: int, rounds: int) -> Iterator[Sample]:
    """Both in turns. What a guarantee costs is the difference of neighbours in processor time, all groups together."""

    def turn(side: Ours) -> tuple[dict[str, float], dict[str, float]]:
        values, cpu = bench.metered(side, lambda: burst(side, [Job() for _ in range(n)]))
        return {**values, "cpu_ms": 1000 * sum(cpu.values()) / n / _STEPS}, cpu

    spent = 0.0
    for number, name, (values, cpu) in in_turns(
        {_WITH: partial(turn, whole), _WITHOUT: partial(turn, less)}, rounds
    ):
        if name == _WITH:
            spent = values["cpu_ms"]
        else:
            values["costs_ms"] = spent - values["cpu_ms"]
        yield Sample("guarantees", case, name, number, _STEPS * n, values, cpu)


GUARANTEES = Measure(
    name="guarantees",
    title="What each guarantee costs",
    explains="Bursts of runs of three steps by workers with everything, and by workers that leave something out, in turns. Only the "
    "benchmark can leave it out (`bench/peers/without.py`), no setting can. *history*: no entry of a handoff is written. *dedupe*: a key "
    "has neither a lease nor an outcome. *leases*: none is renewed. *validation*: input and output are taken as they are. *confirms*: "
    "a worker does not wait for the broker to have a message before it acknowledges the one before. *costs* is the processor time of a "
    "handoff with it less that without, of all processes together; what lies within the spread of neighbours is nothing. Starts stay as "
    "they are.",
    columns=(
        Column("per_second", "runs/s", 0),
        Column("cpu_ms", "CPU ms a handoff", 2),
        Column("costs_ms", "costs, CPU ms a handoff", 2),
    ),
    play=_play,
    unit="handoff",
    bars=(
        Bar(
            text="history and dedupe together",
            key="costs_ms",
            case=_BOTH,
            side=_WITHOUT,
            least=0.4,
            at_most=True,
            unit="ms of CPU a handoff",
        ),
    ),
)
