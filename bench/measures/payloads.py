"""Payloads: what larger documents cost, from 1 KB to 10 MB."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bench.measures.bursts import burst, in_rounds
from bench.measures.measure import STANDARD, Bench, Column, Measure
from bench.peers.ours import Ours
from bench.peers.side import Setup, Side
from bench.samples import Sample
from bench.work import Job, document

_LARGEST = 12_000_000
_ROOMY = Setup(STANDARD.processes, STANDARD.threads, _LARGEST)
_KB = 1_000


def _play(bench: Bench) -> Iterator[Sample]:
    many = bench.of_size(
        tiny={"1 KB": 2, "100 KB": 1},
        quick={"1 KB": 60, "10 KB": 60, "100 KB": 20, "1 MB": 6, "10 MB": 2},
        full={"1 KB": 200, "10 KB": 200, "100 KB": 60, "1 MB": 16, "10 MB": 4},
    )
    sides = bench.sides()
    with bench.opened(Ours(bench.place, _ROOMY, label="roomy")) as roomy:
        sides[Ours.name] = roomy
        for case, n in many.items():
            make = partial(_job, case)
            rounds = bench.rounds_of(2, quick=1)
            play = partial(_with_volume, octets=_octets(case))
            yield from in_rounds(bench, "payloads", case, sides, play, job=make, n=n, rounds=rounds)


def _with_volume(side: Side, jobs: list[Job], octets: int) -> dict[str, float]:
    values = burst(side, jobs)
    return {**values, "mb_per_second": values["per_second"] * octets / 1e6}


def _job(case: str) -> Job:
    return Job(document=document(_octets(case)))


def _octets(case: str) -> int:
    number, unit = case.split()
    return int(number) * (_KB if unit == "KB" else _KB * _KB)


PAYLOADS = Measure(
    name="payloads",
    title="Large documents",
    explains="Bursts of runs of three steps with larger documents. The product refuses envelopes of more than 1 MB by itself; here "
    "`COORDINATOR_MAX_MESSAGE_BYTES` is 12,000,000, and the documents have pages of 100,000 characters. They stay below RabbitMQ's own limit of 16 MiB a message. Ten megabytes "
    "belong into an object store, with a reference to them in the message.",
    columns=(
        Column("per_second", "runs/s", 2, compared=True),
        Column("mb_per_second", "MB/s of documents", 1),
    ),
    play=_play,
)
