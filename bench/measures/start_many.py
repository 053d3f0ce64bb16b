"""Starting: how fast runs are accepted, beside publishing messages and nothing else."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import amqp
from kombu import Connection, Exchange, Queue

from bench.bars import Bar
from bench.interleave import in_turns
from bench.measures.measure import Bench, Column, Measure
from bench.peers import ours_work
from bench.peers.durable_celery import DurableCelery
from bench.peers.ours import Ours
from bench.peers.processes import delete_queues
from bench.peers.side import Setup, Side
from bench.samples import Sample
from bench.servers import Place
from bench.work import Job, WrongResult

_NOBODY = Setup(processes=0)
_CASE = "accepted, nobody works"
_BARE = "bare publishes"
_IN_FLIGHT = 500


def _play(bench: Bench) -> Iterator[Sample]:
    bench.part_company()
    n, rounds = bench.of_size(tiny=20, quick=1_000, full=3_000), bench.rounds_of(5)
    with ExitStack() as stack:
        ours = stack.enter_context(Ours(bench.place, _NOBODY, label="many"))
        celery = stack.enter_context(DurableCelery(bench.place, _NOBODY))
        bare = stack.enter_context(_Bare(bench.place))
        plays: dict[str, tuple[Side, Callable[[], float]]] = {
            Ours.name: (ours, partial(_start_many, ours, n)),
            f"{Ours.name}, start() in 8 threads": (ours, partial(_start_each, ours, n)),
            f"{celery.name}, apply_async() in 8 threads": (celery, partial(_start_each, celery, n)),
            _BARE: (celery, partial(bare.publish, n)),
        }
        for _, play in plays.values():
            play()  # the first time is not measured
        turns = {name: partial(_timed, bench, side, play, n) for name, (side, play) in plays.items()}
        for number, name, (values, cpu) in in_turns(turns, rounds):
            yield Sample("start-many", _CASE, name, number, n, values, cpu)


def _timed(bench: Bench, side: Side, play: Callable[[], float], n: int) -> Any:
    return bench.metered(side, lambda: {"per_second": n / play()})


def _start_many(side: Ours, n: int) -> float:
    """How many seconds it takes until ``n`` runs are accepted, all at once."""
    payloads = [Job().document for _ in range(n)]
    began = time.perf_counter()
    runs = [started.get() for started in side.coordinator.start_many(ours_work.chain, payloads)]
    seconds = time.perf_counter() - began
    if len({run.id for run in runs}) != n or not all(run.created for run in runs):
        raise WrongResult("start_many() has not started each run once")
    return seconds


def _start_each(side: Side, n: int) -> float:
    """The same one by one, in 8 threads."""
    jobs = [Job() for _ in range(n)]
    began = time.perf_counter()
    side.start_all(jobs)
    return time.perf_counter() - began


class _Bare:
    """Publishes messages to a quorum queue, with up to 500 of them on their way to be confirmed, on one connection of py-amqp."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._queue = f"{place.space}.bare"
        self._connection = Connection(place.broker_url)

    def __enter__(self) -> _Bare:
        channel: Any = self._connection.channel()
        exchange = Exchange(self._queue, channel=channel)
        Queue(
            self._queue, exchange, self._queue, queue_arguments={"x-queue-type": "quorum"}, channel=channel
        ).declare()
        channel.confirm_select()
        channel.events["basic_ack"].add(self._confirmed)
        self._channel = channel
        self._open: set[int] = set()
        self._sent = 0
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        delete_queues(self._place, [self._queue])

    def publish(self, n: int) -> float:
        """How many seconds it takes until ``n`` messages of 1 KB are confirmed."""
        bodies = [json.dumps(Job().document) for _ in range(n)]
        began = time.perf_counter()
        for body in bodies:
            message = self._channel.prepare_message(
                body.encode(),
                content_type="application/json",
                content_encoding="utf-8",
                properties={"delivery_mode": 2},
            )
            self._sent += 1
            self._open.add(self._sent)
            amqp.Channel.basic_publish(self._channel, message, exchange=self._queue, routing_key=self._queue)
            while len(self._open) >= _IN_FLIGHT:
                self._connection.drain_events(timeout=30)
        while self._open:
            self._connection.drain_events(timeout=30)
        return time.perf_counter() - began

    def _confirmed(self, number: int, multiple: bool) -> None:
        self._open -= {one for one in self._open if one <= number} if multiple else {number}


START_MANY = Measure(
    name="start-many",
    title="Starting many runs",
    explains="Runs of three steps are accepted, and no worker takes any: `start_many()` in one thread, `start()` and Celery's "
    "`apply_async()` in eight. *bare publishes* are messages with the same document to a quorum queue, up to 500 of them unconfirmed at a "
    "time, and nothing else: no run, no key, no continuation. Celery's messages are confirmed one by one.",
    columns=(Column("per_second", "starts/s", 0),),
    play=_play,
    unit="start",
    bars=(
        Bar(
            text="`start_many()` to bare confirmed publishes",
            key="per_second",
            case=_CASE,
            against=_BARE,
            least=0.4,
        ),
    ),
)
