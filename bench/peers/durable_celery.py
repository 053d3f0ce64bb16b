"""Durable Celery: a quorum queue, late acknowledgement, confirmed publishes, results in Redis. Everything else is as fast as we could
make it: two workers with the threads pool were faster than any other pool on two cores, for a worker waits for each confirm and for
each answer of Redis."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any, ClassVar

from celery import Celery, chain, group
from celery.exceptions import TimeoutError  # noqa: A004
from celery.result import AsyncResult
from kombu import Exchange, Queue

from bench.peers.processes import delete_queues
from bench.peers.side import NotDone, Setup, Side
from bench.servers import Place
from bench.work import WIDTH, Document, Job, Shape, joined, stepped

BROKER, RESULTS, QUEUE = "BENCH_BROKER_URL", "BENCH_REDIS_URL", "BENCH_QUEUE"
_PREFETCHED = 8  # messages a thread
_EXPIRES = 3600  # seconds
_LOOKS_AGAIN = 1.0
"""Seconds. What ends while its caller subscribes to it is not always told, and would be waited for in vain."""


def make_app(broker_url: str, redis_url: str, queue: str) -> Celery:
    """The app of its workers and of its client."""
    app = Celery("bench", broker=broker_url, backend=redis_url, set_as_current=False)
    app.conf.update(
        task_queues=[Queue(queue, Exchange(queue), queue, queue_arguments={"x-queue-type": "quorum"})],
        task_default_queue=queue,
        task_default_exchange=queue,
        task_default_routing_key=queue,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        broker_transport_options={"confirm_publish": True},
        broker_connection_retry_on_startup=True,
        broker_pool_limit=64,
        result_expires=_EXPIRES,
        result_backend_transport_options={
            "global_keyprefix": "bench-"
        },  # others look into that Redis for keys of Celery's
        worker_prefetch_multiplier=_PREFETCHED,
        worker_detect_quorum_queues=True,
        worker_hijack_root_logger=False,
    )
    for name in ("one", "two", "three", "step", "part"):
        app.task(name=name, shared=False)(_step)
    app.task(name="join", shared=False)(_join)
    app.task(name="pause", shared=False)(_pause)
    return app


def _step(given: Document) -> Document:
    return stepped(given)


def _join(parts: list[Document]) -> Document:
    return joined(parts)


def _pause(given: Document) -> Document:
    time.sleep(given["wait"])
    return stepped(given)


class DurableCelery(Side):
    """Celery's own chain and chord."""

    name: ClassVar[str] = "celery"
    shapes: frozenset[Shape] = frozenset({"chain", "fan-out", "pause"})

    def __init__(self, place: Place, setup: Setup) -> None:
        super().__init__(place, setup)
        self.queue = f"{place.space}.celery-{setup.threads}"
        self.app = make_app(place.broker_url, place.redis_url, self.queue)

    def open(self) -> None:
        with self.app.connection_for_write() as connection:
            self.app.amqp.queues[self.queue](connection.channel()).declare()
        environment = {
            **os.environ,
            BROKER: self.place.broker_url,
            RESULTS: self.place.redis_url,
            QUEUE: self.queue,
        }
        for number in range(self.setup.processes):
            command = ["-A", "bench.peers.celery_worker", "worker"]
            pool = ["--pool", "threads", "--concurrency", str(self.setup.threads)]
            quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"]
            node = ["--hostname", f"{self.queue}-{number}@%h"]
            self.workers.start("celery", *command, *pool, *quiet, *node, environment=environment)
        self.workers.wait_consuming(self.queue, self.setup.processes)

    def close(self) -> None:
        self.workers.close()
        delete_queues(self.place, [self.queue])
        results = self.app.backend.result_consumer
        results.subscribed_to.clear()  # or each result would leave its subscription when it is collected, and Redis is gone by then
        results.stop()
        self.app.close()

    def start(self, job: Job) -> AsyncResult:
        return self._signature(job).apply_async()

    def result(self, handle: AsyncResult, timeout: float = 60.0) -> Document:
        until = time.monotonic() + timeout
        while True:
            try:
                return dict(handle.get(timeout=_LOOKS_AGAIN))
            except TimeoutError:
                if time.monotonic() > until:
                    raise NotDone(f"{self.name}: a run has not ended in {timeout:g} s") from None

    def ended(self, handles: Sequence[AsyncResult]) -> list[bool]:
        backend = self.app.backend
        pipeline = backend.client.pipeline(transaction=False)
        for handle in handles:
            pipeline.exists(backend.get_key_for_task(handle.id))
        return [bool(there) for there in pipeline.execute()]

    def _signature(self, job: Job) -> Any:
        task = self.app.signature
        match job.shape:
            case "chain":
                names = ("one", "two", "three") if job.length == 3 else ("step",) * job.length
                first, *others = names
                return chain(task(first, (job.document,)), *map(task, others), app=self.app)
            case "fan-out":
                parts = group((task("part") for _ in range(WIDTH)), app=self.app)
                return chain(task("one", (job.document,)), parts, task("join"), app=self.app)
            case _:
                return task("pause", (job.document,))
