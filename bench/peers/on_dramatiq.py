"""Dramatiq: pipelines and groups over quorum queues, confirmed publishes, results in Redis. Two processes of eight threads."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any, ClassVar

import dramatiq
import redis
from dramatiq import Message, group, pipeline
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.middleware import GroupCallbacks
from dramatiq.rate_limits.backends import RedisBackend as CountBackend
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from bench.peers.processes import delete_queues
from bench.peers.side import Setup, Side
from bench.servers import Place
from bench.work import WIDTH, Document, Job, Shape, joined, stepped

BROKER, RESULTS, QUEUE = "BENCH_BROKER_URL", "BENCH_REDIS_URL", "BENCH_QUEUE"


class _Broker(RabbitmqBroker):
    """One whose queues are quorum queues: Dramatiq has no setting for it."""

    def _build_queue_arguments(self, queue_name: str) -> dict[str, Any]:
        return {**super()._build_queue_arguments(queue_name), "x-queue-type": "quorum"}


class Actors:
    """The broker with its actors, for workers and for the client."""

    def __init__(self, broker_url: str, redis_url: str, queue: str) -> None:
        self.results = RedisBackend(url=redis_url)
        self.broker = _Broker(url=broker_url, confirm_delivery=True)
        self.broker.add_middleware(Results(backend=self.results, store_results=True))
        self.broker.add_middleware(GroupCallbacks(CountBackend(url=redis_url)))

        def actor(function: Any, name: str, **options: Any) -> Any:
            return dramatiq.actor(function, actor_name=name, queue_name=queue, broker=self.broker, **options)

        self.steps = {name: actor(_step, name) for name in ("one", "two", "three", "step", "part")}
        self.pause = actor(_pause, "pause")
        self.join = actor(self._join, "join")
        self.fan_out = actor(self._fan_out, "fan-out", store_results=False)

    def _join(self, parts: list[Any]) -> Document:
        """The callback of a group gets no results: it fetches them."""
        return joined([self.results.get_result(Message(**part)) for part in parts])

    def _fan_out(self, given: Document, join: Any) -> None:
        given = stepped(given)
        parts = [self.steps["part"].message(given) for _ in range(WIDTH)]
        references = [{**part.asdict(), "args": []} for part in parts]
        side_by_side = group(parts, broker=self.broker)
        side_by_side.add_completion_callback(Message(**join).copy(args=(references,)))
        side_by_side.run()


def _step(given: Document) -> Document:
    return stepped(given)


def _pause(given: Document) -> Document:
    time.sleep(given["wait"])
    return stepped(given)


class OnDramatiq(Side):
    """Dramatiq's own pipeline and group."""

    name: ClassVar[str] = "dramatiq"
    shapes: frozenset[Shape] = frozenset({"chain", "fan-out", "pause"})
    longest_chain = 100
    """Of 1,000 steps its pipeline makes a message that is nested too deep for Python's JSON."""

    def __init__(self, place: Place, setup: Setup) -> None:
        super().__init__(place, setup)
        self.queue = f"{place.space}.dramatiq-{setup.threads}"
        self.actors = Actors(place.plain_broker_url, place.redis_url, self.queue)
        self.redis = redis.Redis.from_url(place.redis_url)

    def open(self) -> None:
        urls = {BROKER: self.place.plain_broker_url, RESULTS: self.place.redis_url, QUEUE: self.queue}
        sizes = ["--processes", str(self.setup.processes), "--threads", str(self.setup.threads)]
        command = [*sizes, "bench.peers.dramatiq_worker:broker"]
        self.workers.start("dramatiq", *command, environment={**os.environ, **urls})
        self.workers.wait_consuming(self.queue, self.setup.processes)

    def close(self) -> None:
        self.workers.close()
        delete_queues(self.place, [self.queue, f"{self.queue}.DQ", f"{self.queue}.XQ"])
        self.actors.broker.close()

    def start(self, job: Job) -> Any:
        actors = self.actors
        match job.shape:
            case "chain":
                names = ("one", "two", "three") if job.length == 3 else ("step",) * job.length
                first, *others = (actors.steps[name] for name in names)
                messages = [first.message(job.document), *(actor.message() for actor in others)]
                return pipeline(messages, broker=actors.broker).run().messages[-1]
            case "fan-out":
                join = actors.join.message()
                actors.fan_out.send(job.document, join.asdict())
                return join
            case _:
                return actors.pause.send(job.document)

    def result(self, handle: Any, timeout: float = 60.0) -> Document:
        return dict(self.actors.results.get_result(handle, block=True, timeout=int(timeout * 1000)))

    def ended(self, handles: Sequence[Any]) -> list[bool]:
        pipeline_ = self.redis.pipeline(transaction=False)
        for handle in handles:
            pipeline_.exists(self.actors.results.build_message_key(handle))
        return [bool(there) for there in pipeline_.execute()]
