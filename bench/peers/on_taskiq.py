"""Taskiq: pipelines on one asyncio loop a process, quorum queues, confirmed publishes, results in Redis. Two processes."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine, Sequence
from typing import Any, ClassVar

import redis
from taskiq_aio_pika import AioPikaBroker, Queue
from taskiq_aio_pika.exchange import Exchange
from taskiq_pipelines import Pipeline, PipelineMiddleware
from taskiq_redis import RedisAsyncResultBackend

from bench.peers.processes import delete_queues
from bench.peers.side import Setup, Side
from bench.servers import Place
from bench.work import WIDTH, Document, Job, Shape, joined, stepped

BROKER, RESULTS, QUEUE = "BENCH_BROKER_URL", "BENCH_REDIS_URL", "BENCH_QUEUE"
_PREFETCHED = 50
_EXPIRES = 3600  # seconds
_LOOKS_EVERY = 0.005
"""Seconds between two looks for a result; without being told, it is 0.2."""


class Tasks:
    """The broker with its tasks, for workers and for the client."""

    def __init__(self, broker_url: str, redis_url: str, queue: str) -> None:
        self.broker = (
            AioPikaBroker(
                broker_url,
                qos=_PREFETCHED,
                exchange=Exchange(name=queue),
                task_queues=[Queue(name=queue)],
                dead_letter_queue=Queue(name=f"{queue}.dead"),
            )
            .with_result_backend(RedisAsyncResultBackend(redis_url, result_ex_time=_EXPIRES))
            .with_middlewares(PipelineMiddleware())
        )
        names = ("one", "two", "three", "step", "part")
        self.steps = {name: self.broker.register_task(_step, task_name=name) for name in names}
        self.pause = self.broker.register_task(_pause, task_name="pause")
        self.spread = self.broker.register_task(_spread, task_name="spread")
        self.join = self.broker.register_task(_join, task_name="join")


async def _step(given: Document) -> Document:
    return stepped(given)


async def _pause(given: Document) -> Document:
    await asyncio.sleep(given["wait"])
    return stepped(given)


async def _spread(given: Document) -> list[Document]:
    return [stepped(given)] * WIDTH


async def _join(parts: list[Document]) -> Document:
    return joined(parts)


class OnTaskiq(Side):
    """Taskiq's pipelines. Its client is one event loop in a thread."""

    name: ClassVar[str] = "taskiq"
    shapes: frozenset[Shape] = frozenset({"chain", "fan-out", "async pause"})
    longest_chain = 100
    """Of 1,000 steps its pipeline makes headers that are larger than a frame of RabbitMQ's."""

    def __init__(self, place: Place, setup: Setup) -> None:
        super().__init__(place, setup)
        self.queue = f"{place.space}.taskiq-{setup.threads}"
        self.tasks = Tasks(place.plain_broker_url, place.redis_url, self.queue)
        self.redis = redis.Redis.from_url(place.redis_url)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="taskiq", daemon=True)

    def open(self) -> None:
        self._thread.start()
        self._do(self.tasks.broker.startup())
        urls = {BROKER: self.place.plain_broker_url, RESULTS: self.place.redis_url, QUEUE: self.queue}
        sizes = ["--workers", str(self.setup.processes), "--max-async-tasks", str(6 * self.setup.threads)]
        command = ["worker", "bench.peers.taskiq_worker:broker", *sizes, "--log-level", "WARNING"]
        self.workers.start("taskiq", *command, environment={**os.environ, **urls})
        self.workers.wait_consuming(self.queue, self.setup.processes)

    def close(self) -> None:
        self.workers.close()
        delete_queues(self.place, [self.queue, f"{self.queue}.dead", f"{self.queue}.delay"])
        if self._thread.is_alive():
            self._do(self.tasks.broker.shutdown())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)

    def start(self, job: Job) -> Any:
        tasks = self.tasks
        match job.shape:
            case "chain":
                names = ("one", "two", "three") if job.length == 3 else ("step",) * job.length
                first, *others = (tasks.steps[name] for name in names)
                pipe = Pipeline(tasks.broker, first)
                for task in others:
                    pipe = pipe.call_next(task)
            case "fan-out":
                pipe = Pipeline(tasks.broker, tasks.spread)
                pipe = pipe.map(tasks.steps["part"], check_interval=_LOOKS_EVERY).call_next(tasks.join)
            case _:
                return self._do(tasks.pause.kiq(job.document))
        return self._do(pipe.kiq(job.document))

    def result(self, handle: Any, timeout: float = 60.0) -> Document:
        found = self._do(handle.wait_result(check_interval=_LOOKS_EVERY, timeout=timeout))
        found.raise_for_error()
        return dict(found.return_value)

    def ended(self, handles: Sequence[Any]) -> list[bool]:
        pipeline = self.redis.pipeline(transaction=False)
        for handle in handles:
            pipeline.exists(handle.task_id)
        return [bool(there) for there in pipeline.execute()]

    def _do(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)
