"""Site: an installation on real servers, and how hostile cases come to it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil
from celery import Celery
from redis import Redis

from handoffs.config.topology import TIMERS
from handoffs.coordinator.client.coordinator import Coordinator
from tests.flower import Flower
from tests.hostile import house
from tests.hostile.case import Case, Publication, Target
from tests.hostile.raw import Raw, RawPublisher
from tests.servers import Servers
from tests.waiting import wait_until
from tests.workers import Installation, Program, depth, open_installation

_WORKERS = {
    "processes": ((house.PROCESSES,), "prefork"),
    "threads": ((house.THREADS, house.EAR), "threads"),
}
_MEGABYTE = 1_048_576


@dataclass
class Site:
    """An installation with a worker of each pool, with all that Celery does beside, and a coordinator process.

    Attributes
    ----------
    installation
        With its servers, its settings and its folder.
    programs
        What must stay alive, by name.
    client
        In this process.
    flower
        One of the programs: who watches tasks.
    """

    installation: Installation
    programs: dict[str, Program]
    client: Coordinator
    flower: Flower
    publisher: RawPublisher = field(repr=False)

    @property
    def folder(self) -> Path:
        return self.installation.folder

    @property
    def app(self) -> Celery:
        return self.client.engine.app

    @property
    def redis(self) -> Redis:
        return self.client.engine.store.redis

    def publish(self, publications: Sequence[Publication]) -> list[int]:
        """Publish all; gives the numbers of those that the broker itself refuses."""
        return self.publisher.publish([self._raw(one) for one in publications])

    def perform(self, cases: Sequence[Case]) -> list[Case]:
        """Do all, messages first; gives those that were refused."""
        messages = [case for case in cases if isinstance(case.what, Publication)]
        refused = self.publish([case.what for case in messages if isinstance(case.what, Publication)])
        for case in cases:
            if not isinstance(case.what, Publication):
                case.what(self)
        return [messages[number] for number in refused]

    def _raw(self, publication: Publication) -> Raw:
        exchange, key = self._addresses[publication.target]
        return Raw(
            exchange.encode(), publication.key or key.encode(), publication.properties, publication.body
        )

    @cached_property
    def _addresses(self) -> dict[Target, tuple[str, str]]:
        topology = self.client.engine.topology
        agents, events, prefix = topology.agents.name, topology.events.name, topology.prefix
        return {
            Target.PROCESSES: (agents, topology.queue_name(house.PROCESSES)),
            Target.THREADS: (agents, topology.queue_name(house.THREADS)),
            Target.TIMERS: (agents, topology.queue_name(TIMERS)),
            Target.NOBODY: (topology.unroutable.name, "nobody"),
            Target.EVENT: (events, "hostile.stamped"),
            Target.UNHEARD: (topology.unheard.name, "hostile.unheard"),
            Target.DEAD: (topology.dead.name, "hostile.dead"),
            Target.CONTROL: (f"{prefix}celery.pidbox", ""),
            Target.SHOWN: (f"{prefix}celeryev", "worker.heartbeat"),
        }

    @property
    def queues(self) -> list[str]:
        """Where messages may wait."""
        topology = self.client.engine.topology
        agents = [house.PROCESSES, house.THREADS, house.EAR, TIMERS]
        return [
            topology.dead_letters.name,
            topology.unheard_events.name,
            *map(topology.queue_name, agents),
        ]

    def waiting(self) -> dict[str, int]:
        """How many messages are ready in each queue, of those that have some."""
        with self.app.connection_for_read() as connection:
            found = {queue: depth(connection, queue)[0] for queue in self.queues}
        return {queue: count for queue, count in found.items() if count}

    def memory(self) -> dict[str, int]:
        """The memory of each program with its children, in MiB."""
        return {name: _memory(program.pid) for name, program in self.programs.items() if program.running}


def _memory(pid: int) -> int:
    """The largest of a process and its children: they share what they have not changed."""
    found = [0]
    with contextlib.suppress(psutil.Error):
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                found.append(process.memory_info().rss // _MEGABYTE)
    return max(found)


@contextlib.contextmanager
def open_site(servers: Servers, folder: Path) -> Iterator[Site]:
    """An installation of its own, at work; everything of it is gone afterwards."""
    with open_installation(
        servers, folder, AGENTS="tests.hostile.house", CONTRACTS_ENFORCED="false", LOG_LEVEL="WARNING"
    ) as installation:
        with installation.client() as declaring:
            declaring.engine.publisher.declare(declaring.flows.agents)
        programs: dict[str, Program] = {"coordinator": installation.coordinator_process()}
        for name, (agents, pool) in _WORKERS.items():
            options = ["--pool", pool, "--concurrency", "2", "--name", name]
            programs[name] = installation.program(name, "worker", *agents, *options)
        flower = Flower(installation)
        programs["flower"] = flower.program
        with installation.client() as client, RawPublisher(servers.broker_url) as publisher:
            site = Site(installation, programs, client, flower, publisher)
            _wait_ready(site)
            flower.wait_ready()
            yield site


def _wait_ready(site: Site) -> None:
    with site.app.connection_for_read() as connection:

        def ready() -> bool:
            dead = [program.last_words() for program in site.programs.values() if not program.running]
            assert not dead, dead
            return all(depth(connection, queue)[1] for queue in site.queues)

        wait_until(ready, description="all queues have consumers", timeout=60)


def details(site: Site) -> Any:
    """What the programs have said last, for an error message."""
    return "\n".join(program.last_words() for program in site.programs.values())
