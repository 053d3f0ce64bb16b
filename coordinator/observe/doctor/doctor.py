"""Doctor: looks at all of an installation at once, each server by itself and by a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from kombu import Queue

from handoffs.config import clock
from handoffs.config.flower import management_api
from handoffs.config.installed import installed
from handoffs.config.intake import Intake
from handoffs.config.topology import TIMERS
from handoffs.contracts.contract import valid_name
from handoffs.contracts.errors import CoordinationError
from handoffs.coordinator.errors import Refused
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.loading import Definitions
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.observe.doctor.ask_management import management_facts, virtual_host
from handoffs.coordinator.observe.doctor.ask_rabbitmq import (
    asked,
    exchanges_declared,
    queues_declared,
    rabbit_facts,
)
from handoffs.coordinator.observe.doctor.ask_redis import redis_facts
from handoffs.coordinator.observe.doctor.check import AREAS, Area, Check, of_error, ok, unknown
from handoffs.coordinator.observe.doctor.journal import JournalFacts, drain_check, journal_checks
from handoffs.coordinator.observe.doctor.management import management_checks, without_management
from handoffs.coordinator.observe.doctor.payloads import payload_checks
from handoffs.coordinator.observe.doctor.rabbitmq import (
    exchange_checks,
    queue_checks,
    rabbitmq_checks,
    serving_checks,
)
from handoffs.coordinator.observe.doctor.redis import redis_checks
from handoffs.coordinator.observe.doctor.settings import limit_checks, module_checks, settings_checks
from handoffs.coordinator.observe.doctor.workers import WorkerFacts, beat_check, worker_checks
from handoffs.coordinator.patience import Looks
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.pulse import Pulse
from handoffs.coordinator.store.schedules import ScheduleProgress

WITHIN = 5.0
"""Seconds in which all is looked at, whatever the servers do."""
_REMEDIES: dict[Area, str] = {
    "settings": "look at the log of this process",
    "rabbitmq": "check COORDINATOR_BROKER_URL, and that the server is up and answers",
    "redis": "check COORDINATOR_REDIS_URL, and that the server is up and answers",
    "journal": "check COORDINATOR_JOURNAL_URL, and that the database is up and answers",
    "workers": "check COORDINATOR_REDIS_URL: it knows who is alive",
}

_BY_ANOTHER = frozenset({"drain", "fleets"})
"""What Redis says of the journal and of workers: where it is away, that is not theirs."""
_ORDERED = "x-single-active-consumer"

Look = Callable[[], tuple[Check, ...]]


class Doctor:
    """Examines one installation. Safe for threads; it raises nothing for what it looks at, and keeps nothing of it.

    ``load`` gives what the modules declare that the settings name.
    """

    def __init__(self, services: Services, journal: Journal, load: Callable[[], Definitions]) -> None:
        self._services = services
        self._settings = services.settings
        self._journal = journal
        self._load = load
        self._looks: Looks[tuple[Check, ...]] = Looks()
        self._seen: set[str] = set()

    def examine(self, within: float = WITHIN) -> tuple[Check, ...]:
        """All checks, by area; those of a server that is silent are one, which says so, after ``within`` seconds at most."""
        until = time.monotonic() + within
        looks = self._works(within)
        checks = list(self._looked(looks, within))
        others = sorted(self._seen - set(self._agents()))
        if others and "broker" in looks and not any(check.name == "broker" for check in checks):
            left = max(until - time.monotonic(), 0.1)
            more: dict[str, tuple[Area, Look]] = {
                "queues": ("rabbitmq", lambda: tuple(self._others(others, left)))
            }
            checks += self._looked(more, left)
        return tuple(sorted(checks, key=lambda check: AREAS.index(check.area)))

    def _looked(self, looks: Mapping[str, tuple[Area, Look]], within: float) -> Iterator[Check]:
        found = self._looks.look({name: look for name, (_, look) in looks.items()}, within)
        for name, (area, _) in looks.items():
            answer = found[name]
            if not isinstance(answer, Exception):
                yield from answer
            elif name in _BY_ANOTHER:
                yield unknown(area, name, f"Redis does not say: {answer}", _REMEDIES["redis"])
            else:
                yield of_error(area, name, answer, _REMEDIES[area])
                if name == "broker":
                    yield unknown(
                        "workers", "coordinator process", "the broker does not say", _REMEDIES[area]
                    )

    def _works(self, within: float) -> dict[str, tuple[Area, Look]]:
        def whole(checks: Callable[[], Iterable[Check]]) -> Look:
            return lambda: tuple(checks())

        looks: dict[str, tuple[Area, Look]] = {
            "variables": ("settings", whole(lambda: settings_checks(self._settings))),
            "payloads": (
                "settings",
                whole(lambda: payload_checks(self._settings, self._services.payloads)),
            ),
            "modules": ("settings", whole(lambda: module_checks(self._load, self._services.registry))),
            "database": ("journal", whole(self._of_journal)),
        }
        if self._settings.embedded or self._settings.eager:
            return {**looks, "embedded": ("redis", whole(self._embedded))}
        return {
            **looks,
            "server": ("redis", whole(self._of_redis)),
            "drain": ("journal", whole(self._drain)),
            "fleets": ("workers", whole(self._workers)),
            "broker": ("rabbitmq", whole(lambda: self._of_rabbitmq(within))),
            "management": ("rabbitmq", whole(lambda: self._management(within))),
        }

    def _embedded(self) -> Iterator[Check]:
        """What there is of servers that are in this process."""
        server = self._services.server
        server.now()
        try:
            named = server.version()
        except Refused:  # what imitates it has no INFO
            named = "Redis, imitated in memory"
        yield from limit_checks(self._definitions())
        yield ok("redis", "embedded", f"{named}, of this process alone; what it holds ends with it")
        if not self._settings.eager:
            yield ok(
                "rabbitmq", "embedded", "a broker in the memory of this process; what it holds ends with it"
            )
            yield drain_check(*self._lag())

    def _of_redis(self) -> Iterator[Check]:
        return redis_checks(redis_facts(self._services.store.redis, self._settings))

    def _lag(self) -> tuple[int, float]:
        shards = Pulse(self._services.store.redis, self._settings).shards()
        return shards.entries, (shards.at - shards.oldest).total_seconds() if shards.oldest else 0.0

    def _drain(self) -> Iterator[Check]:
        yield drain_check(*self._lag())

    def _of_journal(self) -> Iterator[Check]:
        began = time.monotonic()
        server = self._journal.ping()
        took = time.monotonic() - began
        there = self._journal.clock()
        ahead = None if there is None else (there - clock.now()).total_seconds()
        in_a_file = self._settings.journal_url is None and not self._settings.embedded
        newest = self._journal.verification.newest()
        return journal_checks(
            JournalFacts(
                server=server,
                revision=self._journal.revision,
                ahead=ahead,
                took=took,
                sealed_with=self._journal.sealed_with,
                in_a_file=in_a_file,
                embedded=self._settings.embedded,
                newest=newest,
            )
        )

    def _workers(self) -> Iterator[Check]:
        redis, settings, definitions = self._services.store.redis, self._settings, self._definitions()
        everybody = self._services.announcements.everybody()
        self._seen |= set(filter(valid_name, everybody))
        alive = [_worker(agent, one) for agent, some in everybody.items() for one in some if one["live"]]
        backlog = Pulse(redis, settings).backlog()
        waiting = {agent: one.steps for agent, one in backlog.items() if one.oldest and valid_name(agent)}
        yield from worker_checks(alive, {*definitions.agents, *self._seen}, waiting, installed())
        schedules = list(definitions.schedules.values())
        now, progress = ScheduleProgress(redis, settings).read([schedule.name for schedule in schedules])
        beat = beat_check(schedules, progress, now)
        if beat is not None:
            yield beat

    def _of_rabbitmq(self, within: float) -> Iterator[Check]:
        topology = self._services.topology
        own = [topology.dead_letters, topology.unheard_events, topology.timers]
        agents = [self._queue(name) for name in self._agents()]
        with asked(self._services, within) as (connection, connected):
            exchanges = [
                topology.agents,
                topology.events,
                topology.unheard,
                topology.unroutable,
                topology.dead,
            ]
            found = exchanges_declared(connection, exchanges)
            queues = queues_declared(connection, [*own, *agents])
            facts = rabbit_facts(
                connection, connected, topology, within / 2
            )  # last: under an alarm nothing is answered any more
        yield from rabbitmq_checks(facts, self._settings.broker_message_bytes)
        yield from exchange_checks(found)
        yield from queue_checks(queues)
        yield from serving_checks(queues.get(topology.dead_letters.name), queues.get(topology.timers.name))

    def _others(self, agents: Sequence[str], within: float) -> Iterator[Check]:
        """The queues of agents whose code is not here: whether they hear events in order is not known."""
        topology = self._services.topology
        with asked(self._services, within) as (connection, _):
            found = queues_declared(connection, [topology.queue(agent) for agent in agents])
            ordered = [agent for agent in agents if _ORDERED in found[topology.queue_name(agent)].difference]
            found |= queues_declared(
                connection, [topology.queue(agent, Intake(ordered=True)) for agent in ordered]
            )
        yield from queue_checks(found, "queues of agents that are not loaded here")

    def _management(self, within: float) -> Iterator[Check]:
        url = management_api()
        if not url:
            yield from without_management()
            return
        topology = self._services.topology
        own = [
            topology.dead_letters.name,
            topology.unheard_events.name,
            topology.timers.name,
            *map(topology.queue_name, self._agents()),
        ]
        try:
            found = management_facts(url, virtual_host(self._settings.broker_url or ""), within / 2)
        except CoordinationError as error:
            yield from without_management(error.cause)
            return
        yield from management_checks(found, topology.prefix, own)

    def _queue(self, agent: str) -> Queue:
        known: Agent | None = self._definitions().agents.get(agent)
        return (
            self._services.topology.queue(agent, known.intake)
            if known
            else self._services.topology.queue(agent)
        )

    def _agents(self) -> list[str]:
        """The agents that are loaded here."""
        return sorted(name for name in self._definitions().agents if name != TIMERS)

    def _definitions(self) -> Definitions:
        """What is loaded here; nothing where that cannot be: there is a check of its own for it."""
        try:
            return self._load()
        except CoordinationError:
            return Definitions()


def _worker(agent: str, announced: Mapping[str, Any]) -> WorkerFacts:
    """A worker, as it has announced itself."""
    ahead, build = announced["ahead"], announced["manifest"].get("build", "")
    return WorkerFacts(
        agent,
        announced["instance"],
        str(build),
        announced["versions"],
        None if ahead is None else ahead / 1000,
    )
