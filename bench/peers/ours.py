"""The product: contracts checked both ways, leases and outcomes by key, history, parking, confirmed publishes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import Any, ClassVar

from bench.peers import ours_work
from bench.peers.processes import delete_queues
from bench.peers.side import Setup, Side
from bench.peers.without import WITHOUT
from bench.servers import Place
from bench.work import Document, Job, Shape
from handoffs.config.settings import Settings, environment
from handoffs.coordinator import Coordinator, Run
from handoffs.coordinator.flow.trigger import agents_of

_APP = "handoffs.coordinator.worker"
_APP_WITHOUT = "bench.peers.without_worker"


class Ours(Side):
    """Workers of all agents, as Celery's own command starts them. ``without`` names what is switched off in them, separated by commas;
    ``serves`` is whether a coordinator process runs as well; ``label`` keeps installations apart."""

    name: ClassVar[str] = "handoffs"
    shapes: frozenset[Shape] = frozenset({"chain", "fan-out", "pause", "async pause"})

    def __init__(
        self, place: Place, setup: Setup, *, label: str = "", without: str = "", serves: bool = False
    ) -> None:
        super().__init__(place, setup)
        self.without = without
        if without:
            self.shapes = frozenset(
                {"chain"}
            )  # what is not validated is no contract within a contract, and cannot be joined
        self.serves = serves
        self.mended = place.folder / f"mended-{id(self)}"
        space = "-".join(filter(None, (place.space, label, str(setup.threads))))
        limits: dict[str, Any] = {"max_message_bytes": setup.largest} if setup.largest else {}
        self.settings = Settings(
            broker_url=place.broker_url,
            redis_url=place.redis_url,
            journal_url=place.journal_url,
            namespace=space,
            agents=(ours_work.__name__,),
            task_events=False,
            contracts_enforced=False,  # those of a benchmark are not published
            **limits,
        )
        self._coordinator: Coordinator | None = None

    @property
    def coordinator(self) -> Coordinator:
        """The client."""
        assert self._coordinator is not None
        return self._coordinator

    @property
    def environment(self) -> dict[str, str]:
        """What its processes find in their environment."""
        others = {ours_work.MENDED: str(self.mended), WITHOUT: self.without}
        return environment(self.settings) | others

    def open(self) -> None:
        os.environ[ours_work.MENDED] = str(self.mended)  # the client loads the agents as well
        self._coordinator = Coordinator(self.settings)
        engine, flows = self.coordinator.engine, self.coordinator.flows
        engine.publisher.declare(name for flow in flows.flows.values() for name in agents_of(flow))
        engine.publisher.declare(flows.agents)
        for number in range(self.setup.processes):
            self._start_worker(number)
        if self.serves:
            self.serve()
        self.workers.wait_consuming(engine.topology.queue_name(ours_work.join.name), self.setup.processes)

    def serve(self) -> None:
        """Start a coordinator process."""
        self.workers.start("handoffs.coordinator", "serve", environment=self.environment)

    def history(self) -> int:
        """How many entries of history are not in the journal yet."""
        engine = self.coordinator.engine
        keys, pipeline = engine.store.keys, engine.store.redis.pipeline(transaction=False)
        for shard in range(keys.shards):
            pipeline.xlen(keys.history(shard))
        return sum(pipeline.execute())

    def _start_worker(self, number: int) -> None:
        app = _APP_WITHOUT if self.without else _APP
        command = ["-A", app, "worker", "--pool", "threads", "--concurrency", str(self.setup.threads)]
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"]
        node = f"{self.settings.namespace}-{number}@%h"
        self.workers.start("celery", *command, *quiet, "--hostname", node, environment=self.environment)

    def close(self) -> None:
        self.workers.close()
        if self._coordinator is None:
            return
        engine = self._coordinator.engine
        topology, redis = engine.topology, engine.store.redis
        own = [topology.dead_letters.name, topology.timers.name, topology.unheard_events.name]
        delete_queues(self.place, [*map(topology.queue_name, self._coordinator.flows.agents), *map(str, own)])
        batch: list[str] = []
        for key in redis.scan_iter(f"{self.settings.prefix}*", count=1000):
            batch.append(key)
            if len(batch) == 1000:
                redis.unlink(*batch)
                batch.clear()
        if batch:
            redis.unlink(*batch)
        with contextlib.suppress(FileNotFoundError):
            self.mended.unlink()
        self._coordinator.close()
        self._coordinator = None

    def start(self, job: Job) -> Run:
        return self.coordinator.start(ours_work.flow_of(job), ours_work.Document(**job.document))

    def result(self, handle: Run, timeout: float = 60.0) -> Document:
        return dict(handle.result(timeout).model_dump())

    def ended(self, handles: Sequence[Run]) -> list[bool]:
        statuses = self.coordinator.statuses(handles)
        if "parked" in statuses:
            handles[statuses.index("parked")].result(0)  # raises what its agent raised
        return [status == "completed" for status in statuses]
