"""Readings: reads an installation again and again, its servers side by side, each by a deadline."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from handoffs.config import clock
from handoffs.config.forks import after_fork
from handoffs.config.topology import Topology
from handoffs.contracts.contract import valid_name
from handoffs.contracts.text import printable
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.handoff.failure import describe
from handoffs.coordinator.history import EntryKind
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.journal.recent import Happened
from handoffs.coordinator.messaging.queues import Depth, QueueWatch
from handoffs.coordinator.observe.census import Census, RunCounts
from handoffs.coordinator.observe.reading import (
    AgentReading,
    DrainLag,
    LetterCount,
    LetterReading,
    OldestLetter,
    QueueReading,
    Rate,
    Rates,
    Reading,
    ServerReading,
)
from handoffs.coordinator.patience import Looks
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.pulse import Backlog, Pulse, Shards

_log = logging.getLogger(__name__)

WITHIN = 2.0
"""Seconds in which a reading is there, whatever the servers do."""
_FRESH = 0.2
"""Seconds for which a reading is given again: however many ask, the servers are asked that often."""
_SPAN = timedelta(seconds=10)
"""Over which rates are counted."""
_CENSUS = 0.02
"""Seconds for which runs are looked at in one reading."""
_SHARE = 20.0
"""What costs Redis long is asked again after so many times as long."""
_RESERVED = "coordinator."
"""What names begin with that are no agent's."""

_RATES: Mapping[str, str] = {
    EntryKind.STARTED: "started",
    EntryKind.SETTLED: "handoffs",
    EntryKind.FALLBACK: "fallbacks",
    EntryKind.RETRIED: "failures",
    EntryKind.WAITS: "failures",
    EntryKind.PARKED: "parked",
}

Workers = Mapping[str, list[dict[str, Any]]]


class _InRedis(NamedTuple):
    """What Redis says."""

    shards: Shards
    backlog: Mapping[str, Backlog]
    workers: Workers


class _Told(NamedTuple):
    """What the journal says of letters: those that wait, and how many of them each agent has."""

    letters: LetterReading
    by_agent: Mapping[str, int]


class Readings:
    """Reads one installation. Safe for threads; a reading that is a moment old is given again.

    ``loaded`` are agents that there are, also where nobody has announced a worker of them.
    It raises nothing: a server that cannot be used is in the reading as such, since when it is so.
    """

    def __init__(
        self, services: Services, journal: Journal, loaded: Callable[[], Iterable[str]] = tuple
    ) -> None:
        self._services = services
        self._journal = journal
        self._loaded = loaded
        self._pulse = Pulse(services.store.redis, services.settings)
        self._queues = QueueWatch(services.app)
        self._census = Census(services, journal)
        self._looks: Looks[Any] = Looks()
        self._since: dict[str, datetime] = {}
        self._known: set[str] = set()
        self._backlog: tuple[Mapping[str, Backlog], float] = ({}, 0.0)
        self._last: tuple[Reading, float] | None = None
        self._renew()

    def _renew(self) -> None:
        """In a child that was forked."""
        self._lock = threading.Lock()
        after_fork(self, Readings._renew)

    def read(self, within: float = WITHIN) -> Reading:
        """The installation now, ``within`` seconds: of a server that takes longer it is said that it does not answer."""
        with self._lock:
            if self._last is None or time.monotonic() - self._last[1] > _FRESH:
                self._last = self._read(within), time.monotonic()
            return self._last[0]

    def close(self) -> None:
        """Give connections back."""
        self._queues.close()

    def _read(self, within: float) -> Reading:
        until = time.monotonic() + within
        took: dict[str, float] = {}
        first = self._looks.look(
            {"redis": _timed("redis", self._in_redis, took), "letters": _timed("journal", self._told, took)},
            within / 2,
        )
        redis, told = _found(first["redis"], _InRedis), _found(first["letters"], _Told)
        self._known |= {*(redis.workers if redis else ()), *(redis.backlog if redis else ()), *(told.by_agent if told else ())}  # fmt: skip
        named = {*self._known, *self._loaded()}
        agents = sorted(name for name in named if valid_name(name) and not name.startswith(_RESERVED))
        left = max(until - time.monotonic(), 0.05)
        names = self._names(agents)
        works = {"broker": _timed("broker", lambda: self._queues.depths(names, left), took)}
        if redis is not None and told is not None:
            works |= {
                "rates": lambda: self._rates(redis.shards),
                "runs": lambda: self._census.look(_CENSUS, redis.shards.entries),
            }
        second = self._looks.look(works, left)
        _log_faults({**first, **second})
        depths = second["broker"] if isinstance(second["broker"], dict) else None
        servers = tuple(
            self._server(name, found, took.get(name))
            for name, found in (("broker", second["broker"]), ("redis", first["redis"]), ("journal", first["letters"]))
        )  # fmt: skip
        topology = self._services.topology
        return Reading(
            at=clock.now(),
            servers=servers,
            runs=_found(second.get("runs"), RunCounts),
            rates=_found(second.get("rates"), Rates),
            letters=told.letters if told else None,
            drain=_lag(redis.shards) if redis else None,
            scheduled=redis.shards.scheduled if redis else None,
            coordinators=None if depths is None else _consumers(depths.get(topology.dead_letters.name)),
            agents=tuple(_agent(name, topology, redis, told, depths) for name in agents),
            queues=tuple(
                QueueReading(name, purpose, *((depths or {}).get(name) or (None, None)))
                for name, purpose in _own(topology)
            ),
        )

    def _names(self, agents: Iterable[str]) -> list[str]:
        topology = self._services.topology
        return [*(name for name, _ in _own(topology)), *map(topology.queue_name, agents)]

    def _in_redis(self) -> _InRedis:
        shards, workers = self._pulse.shards(), self._services.announcements.everybody()
        backlog, again = self._backlog
        began = time.monotonic()
        if began >= again:
            backlog = self._pulse.backlog()
            took = time.monotonic() - began
            self._backlog = backlog, (0.0 if took < _CENSUS else began + _SHARE * took)
        return _InRedis(shards, backlog, workers)

    def _told(self) -> _Told:
        letters = self._journal.letters
        reasons = [LetterCount(kind, count, first) for kind, (count, first) in letters.by_reason().items()]
        found = letters.find(limit=1) if reasons else []
        oldest = [
            OldestLetter(one.id, one.flow, one.step, one.agent, one.kind, one.first_failed_at)
            for one in found
        ]
        unheard = sum(letters.count_unheard().values())
        by_agent = letters.count("waiting", by="agent") if reasons else {}
        return _Told(LetterReading(tuple(reasons), oldest[0] if oldest else None, unheard), by_agent)

    def _rates(self, shards: Shards) -> Rates:
        until = shards.at if shards.oldest is None else min(shards.oldest, shards.at)
        return rates_of(self._journal.recent.before(until, _SPAN))

    def _server(self, name: str, found: Any, took: float | None) -> ServerReading:
        milliseconds = None if took is None else round(took * 1000, 1)
        if not isinstance(found, Exception):
            self._since.pop(name, None)
            return ServerReading(name, True, took_ms=milliseconds)
        since = self._since.setdefault(name, clock.now())
        error = found.cause if isinstance(found, ServerError) else f"{type(found).__name__}: {found}"
        return ServerReading(name, False, since, printable(error, 300), milliseconds)


def _log_faults(found: Mapping[str, Any]) -> None:
    """Tell of what nobody thought of: a server that is away is in the reading."""
    for name, error in found.items():
        if isinstance(error, Exception) and not isinstance(error, ServerError | TimeoutError):
            _log.warning("%s cannot be read: %s", name, ": ".join(describe(error)))


def rates_of(happened: Happened) -> Rates:
    """What happened a second, of what happened in all."""
    flows: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for (flow, kind), count in happened.counts.items():
        name = _RATES.get(kind)
        if name is not None:
            flows[flow if valid_name(flow) else ""][name] += count / happened.seconds
    rates = {flow: Rate(**counted) for flow, counted in flows.items()}
    total = {name: sum(getattr(rate, name) for rate in rates.values()) for name in Rate.__slots__}
    named = {flow: rate for flow, rate in rates.items() if flow}
    return Rates(happened.until, happened.seconds, Rate(**total), named)


def _timed(name: str, work: Callable[[], Any], took: dict[str, float]) -> Callable[[], Any]:
    def timed() -> Any:
        began = time.monotonic()
        try:
            return work()
        finally:
            took[name] = time.monotonic() - began

    return timed


def _found(value: Any, kind: type[Any]) -> Any:
    return value if isinstance(value, kind) else None


def _own(topology: Topology) -> list[tuple[str, str]]:
    """The queues that are no agent's, with what they are for."""
    return [
        (topology.dead_letters.name, "dead letters"),
        (topology.unheard_events.name, "events that nobody hears"),
        (topology.timers.name, "timers"),
    ]


def _lag(shards: Shards) -> DrainLag:
    behind = (shards.at - shards.oldest).total_seconds() if shards.oldest else 0.0
    return DrainLag(shards.entries, max(behind, 0.0))


def _consumers(depth: Depth | None) -> int:
    return depth.consumers if depth else 0


def _agent(
    name: str,
    topology: Topology,
    redis: _InRedis | None,
    told: _Told | None,
    depths: Mapping[str, Depth] | None,
) -> AgentReading:
    depth = (depths or {}).get(topology.queue_name(name))
    alive = [one["manifest"] for one in redis.workers.get(name, ()) if one["live"]] if redis else []
    builds = sorted({printable(one["build"], 80) for one in alive if one.get("build")})
    backlog = redis.backlog.get(name, Backlog(0, None)) if redis else None
    return AgentReading(
        name=name,
        workers=len(alive) if redis else None,
        builds=tuple(builds),
        depth=depth.ready if depth else None,
        consumers=depth.consumers if depth else None,
        outstanding=backlog.steps if backlog else None,
        parked=told.by_agent.get(name, 0) if told else None,
        oldest=backlog.oldest if backlog else None,
    )
