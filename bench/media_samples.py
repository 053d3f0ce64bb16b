"""Samples of a load: how far it is, who waits, and who has how much memory; every two seconds."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

import psutil
from redis import RedisError

from handoffs.tasks.depths import Depths
from handoffs.tasks.media.fleets import AGENTS
from handoffs.tasks.media.load import Load
from tests.servers import Servers

EVERY = 2.0  # seconds
SERVERS = ("RabbitMQ", "Redis", "PostgreSQL")
_MEGABYTE = 2**20


@dataclass(frozen=True, slots=True)
class Sample:
    """One moment: ``seconds`` since the beginning, titles ``emitted`` and ``shelved``, ``renditions`` made; messages that
    wait, by agent; memory in MB, by process; history entries that are not in the journal yet; Redis' own figure in MB."""

    seconds: float
    emitted: int
    shelved: int
    renditions: int
    waiting: dict[str, int]
    memory: dict[str, float]
    history: int
    redis_data: float


@dataclass
class Sampler:
    """Takes samples of a load while it runs."""

    load: Load
    servers: Servers
    samples: list[Sample] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.processor: dict[tuple[str, int], float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="samples", daemon=True)
        urls = (self.servers.broker_url, self.servers.redis_url, self.servers.postgres_url)
        self._server_processes = {name: _listening(url) for name, url in zip(SERVERS, urls, strict=True)}

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def processor_seconds(self) -> dict[str, float]:
        """How many seconds of processor time each process has had."""
        found: dict[str, float] = {}
        for (name, _), seconds in self.processor.items():
            found[name] = round(found.get(name, 0.0) + seconds, 2)
        return found

    def values(self) -> list[dict[str, Any]]:
        """All samples, as JSON values."""
        return [asdict(sample) for sample in self.samples]

    def _run(self) -> None:
        depths = Depths(self.load.stage.coordinator.engine.app)
        while not self._over.wait(EVERY):
            with contextlib.suppress(psutil.Error, RedisError, OSError):  # one of them ends just now
                self.samples.append(self._sample(depths))
        depths.close()

    def _sample(self, depths: Depths) -> Sample:
        engine, now = self.load.stage.coordinator.engine, self.load.progress
        queues = {agent: engine.topology.queue_name(agent) for agent in AGENTS}
        queues |= {
            "dead letters": str(engine.topology.dead_letters.name),
            "unheard": str(engine.topology.unheard_events.name),
        }
        waiting = depths.waiting(queues.values())
        workers = self.load.stage.processes()
        servers = {name: process for name, process in self._server_processes.items() if process}
        memory = {name: _alone(process) for name, process in workers.items()}
        memory |= {name: _family(process) for name, process in servers.items()}
        for name, process in (workers | servers).items():
            self.processor[name, process] = _processor(process, family=name in servers)
        redis, keys = engine.store.redis, engine.store.keys
        pipeline = redis.pipeline(transaction=False)
        for shard in range(keys.shards):
            pipeline.xlen(keys.history(shard))
        pipeline.info("memory")
        *lengths, memory = pipeline.execute()
        return Sample(
            round(now.seconds, 2),
            now.emitted,
            now.shelved,
            now.renditions,
            {name: waiting.get(queue, 0) for name, queue in queues.items()},
            memory,
            sum(lengths),
            round(memory["used_memory"] / _MEGABYTE, 1),
        )


def growth(samples: list[Sample]) -> dict[str, dict[str, float]]:
    """The memory of each process in MB: after a quarter of the time, in the last tenth, at most; and how much a thousand
    titles added between the former two."""
    found = {}
    for name in sorted({name for sample in samples for name in sample.memory}):
        of = [sample for sample in samples if name in sample.memory]
        early, late = of[len(of) // 4 : len(of) // 4 + 5], of[-max(len(of) // 10, 1) :]
        titles = (late[-1].shelved - early[0].shelved) / 1000
        begin, end = _middle(early, name), _middle(late, name)
        found[name] = {
            "quarter_mb": begin,
            "end_mb": end,
            "peak_mb": max(sample.memory[name] for sample in of),
            "per_1000_titles_mb": round((end - begin) / titles, 2) if titles else 0.0,
        }
    return found


def _middle(samples: list[Sample], name: str) -> float:
    return sorted(sample.memory[name] for sample in samples)[len(samples) // 2]


def _listening(url: str) -> int | None:
    """The process that listens where a URL leads; None where that is another machine."""
    port = urlsplit(url).port
    return next(
        (
            found.pid
            for found in psutil.net_connections("tcp")
            if found.status == psutil.CONN_LISTEN and found.laddr.port == port and found.pid
        ),
        None,
    )


def _processor(process: int, *, family: bool) -> float:
    """Seconds of processor time of a process; of a family also that of children, alive and waited for."""
    parent = psutil.Process(process)
    times = parent.cpu_times()
    seconds = times.user + times.system
    if family:
        seconds += times.children_user + times.children_system
        for child in parent.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                seconds += sum(child.cpu_times()[:2])
    return float(seconds)


def _alone(process: int) -> float:
    """The memory of a process in MB."""
    return float(round(psutil.Process(process).memory_info().rss / _MEGABYTE, 1))


def _family(process: int) -> float:
    """The memory of a process and its children in MB; pages that they share count once."""
    parent = psutil.Process(process)
    children = parent.children(recursive=True)
    if not children:
        return _alone(process)
    total = 0
    for member in (parent, *children):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += member.memory_full_info().pss
    return round(total / _MEGABYTE, 1)
