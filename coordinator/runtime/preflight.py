"""Preflight: whether the servers are there, of a version that we work on, and hold what we expect."""

from __future__ import annotations

import logging
import re

from handoffs.contracts.text import printable
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.observe.doctor.versions import OLDEST
from handoffs.coordinator.runtime.engine import Engine

_log = logging.getLogger(__name__)

PROBE_WITHIN = 5.0
"""Seconds in which a broker shows whether it takes messages."""


def examine(engine: Engine, journal: Journal | None = None) -> list[tuple[str, str]]:
    """Look at every server that ``engine`` and ``journal`` use, and declare the queues of the engine's agents.

    Gives pairs of what was looked at and what it is. Raises :class:`~handoffs.coordinator.errors.ServerError`, in one line with
    cause and remedy, for the first that cannot be reached, is too old, evicts data, takes no messages (under an
    alarm), or has a queue with other arguments.
    """
    redis = engine.server.version()
    _refuse_old(redis, "COORDINATOR_REDIS_URL")
    _refuse_eviction(engine)
    broker = engine.broker_version()
    _refuse_old(broker, "COORDINATOR_BROKER_URL")
    engine.publisher.probe(PROBE_WITHIN)
    intakes = {agent.name: agent.intake for agent in engine.agents.values()}
    engine.publisher.declare((name for name, intake in intakes.items() if not intake.patterns), again=True)
    for name, intake in intakes.items():
        if intake.patterns:
            engine.publisher.subscribe(name, intake)
    found = [("redis", redis), ("broker", broker), ("queues", f"{len(engine.agents)} in order")]
    if journal is not None:
        database = journal.ping()
        _refuse_old(database, "COORDINATOR_JOURNAL_URL")
        found += [("journal", database), ("dead letters", journal.sealed())]
    return found


def _refuse_old(server: str, setting: str) -> None:
    """Raise :class:`ServerError` for a server, given as ``Name 1.2.3``, that is older than what we work on."""
    match = re.match(r"(\w+) (\d+)\.(\d+)", server)
    if match is None or match[1] not in OLDEST:
        _log.warning("%s is a server that was not tried: %s", setting, printable(server, 80))
        return
    oldest = OLDEST[match[1]]
    if (int(match[2]), int(match[3])) < oldest:
        raise ServerError(
            f"{printable(server, 80)} is too old",
            "nothing was started",
            f"{setting} must name a {match[1]} of {'.'.join(map(str, oldest))} or newer",
        )


def _refuse_eviction(engine: Engine) -> None:
    """Raise :class:`ServerError` for a Redis that evicts what it holds; log that it is lost at a restart, where it is."""
    policy, durable = engine.server.durability()
    if policy not in {"noeviction", ""}:
        raise ServerError(
            f"Redis may evict what it holds (maxmemory-policy {printable(policy, 40)})",
            "nothing was started: a lost outcome would be a second effect",
            "set maxmemory-policy to noeviction, or name another Redis in COORDINATOR_REDIS_URL",
        )
    if not durable:
        _log.warning(
            "Redis is not append-only: what it holds is lost when it restarts; set appendonly to yes"
        )
