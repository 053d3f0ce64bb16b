"""Negotiation: which version of a contract a message is written in, so that every consumer of its queue can read it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping

from handoffs.config.forks import after_fork
from handoffs.contracts import strictjson
from handoffs.contracts.contract import Contract, ContractRef
from handoffs.contracts.event import Event
from handoffs.contracts.migration import versioned
from handoffs.contracts.topic import matches
from handoffs.contracts.versions import Versions
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.messaging.envelopes import Original, Written
from handoffs.coordinator.store.announcements import Announcements, Manifest
from handoffs.coordinator.store.record import Record

_log = logging.getLogger(__name__)

FRESH = 0.5
"""For how many seconds a producer goes by what it knows of the consumers. A worker waits longer than that between
announcing itself and taking its first message."""

_ANY = Event.ref().name


class Negotiator:
    """Writes for the consumers that there are. Safe for threads."""

    def __init__(
        self, announcements: Announcements, versions: Versions, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.versions = versions
        self._announcements = announcements
        self._clock = clock
        self._seen: dict[str, tuple[float, list[dict[str, frozenset[int]]]]] = {}
        self._heard: tuple[float, dict[str, tuple[str, ...]]] = (-FRESH, {})
        self._lock = threading.Lock()
        after_fork(self, Negotiator._renew)

    def _renew(self) -> None:
        self._lock = threading.Lock()
        self.versions.renew()

    def written(self, record: Record, output: Contract | None, agents: Iterable[str]) -> Written:
        """``record`` as the consumers of ``agents`` can read it. ``output`` is what the record says, None where this
        build cannot read it: then it goes as it is.

        Raises :class:`~handoffs.contracts.errors.InvalidInput` where a downcast fails, and
        :class:`~handoffs.coordinator.errors.ServerError`.
        """
        ref = ContractRef.from_uri(record.schema)
        if output is None:
            return Written(record.schema, record.data, value=record.value)
        contract = type(output)
        version = self.version(contract, agents)
        if version == ref.version:
            return Written(record.schema, record.data, value=record.value)
        data = self.versions.write(contract, output.to_data(), version)
        original = Original(record.schema, self.versions.content(ref, record.parsed(), output))
        return Written(versioned(contract, version).uri, strictjson.dumps(data), original, value=data)

    def version(self, contract: type[Contract], agents: Iterable[str]) -> int:
        """The newest version of ``contract`` that can be written here and that every consumer of ``agents`` accepts.

        Consumers are the workers that are alive; where none is, the deployments that are recorded, or else the workers
        that were seen last. Who hears a pattern of events reads each as it is, and is not asked. Where no version suits all
        of them it is the newest that suits some.
        """
        options = self.versions.writable(contract)
        if len(options) == 1:
            return options[0]
        name = contract.ref().name
        builds = [build for agent in dict.fromkeys(agents) for build in self._builds(agent)]
        accepted = [build.get(name, frozenset()) for build in builds if name in build or _ANY not in build]
        for suits in (all, any):
            found = next(
                (option for option in options if accepted and suits(option in known for known in accepted)),
                None,
            )
            if found is not None:
                return found
        if accepted:
            _log.warning("no consumer of %s says that it reads a version written here: %s", name, options)
        return options[0]

    def subscribers(self, name: str) -> tuple[str, ...]:
        """The agents that subscribe to events of the contract ``name``, as far as they are known."""
        return tuple(
            agent
            for agent, patterns in self._subscriptions().items()
            if any(matches(pattern, name) for pattern in patterns)
        )

    def subscribes(self, agent: str, name: str) -> bool:
        """Whether any consumer of ``agent`` subscribes to events of the contract ``name``, as they say now."""
        said = (build.get("subscribes") for build in self._announcements.consumers(agent))
        patterns = (pattern for some in said if isinstance(some, list) for pattern in some)
        return any(isinstance(pattern, str) and matches(pattern, name) for pattern in patterns)

    def hears(self, agent: str, name: str) -> bool | None:
        """Whether ``agent`` hears events of the contract ``name``, as was said in the last day or by a deployment; None where
        nothing is known of it."""
        try:
            if any(matches(pattern, name) for pattern in self._subscriptions().get(agent, ())):
                return True
            return False if self._announcements.consumers(agent) else None
        except ServerError:
            return None

    def chooses(self, output: Contract | None) -> bool:
        """Whether ``output`` can be written in several versions, so that one has to know who reads it."""
        return output is not None and len(self.versions.writable(type(output))) > 1

    def fresh(self, agents: Iterable[str], events: Mapping[str, bool]) -> bool:
        """Whether what is known of the consumers of ``agents``, and of who hears ``events``, is new enough to go by; of those
        who hear an event that says so, it has to be known as well what they read."""
        now, names = self._clock(), set(agents)
        with self._lock:
            asked, heard = self._heard
            chosen = [name for name, chooses in events.items() if chooses]
            names |= {agent for agent, patterns in heard.items() if _hears(patterns, chosen)}
            looked = [self._seen.get(agent, (-FRESH, []))[0] for agent in names]
        return all(now - one < FRESH for one in ([*looked, asked] if events else looked))

    def look(self, agents: Iterable[str], events: Mapping[str, bool]) -> None:
        """Ask for what :meth:`fresh` asks about. Raises :class:`~handoffs.coordinator.errors.ServerError`."""
        names = list(agents)
        for name, chooses in events.items():
            hearing = self.subscribers(name)
            names += hearing if chooses else ()
        for agent in dict.fromkeys(names):
            self._builds(agent)

    def forget(self) -> None:
        """Ask anew who consumes."""
        with self._lock:
            self._seen.clear()
            self._heard = (-FRESH, {})

    def _subscriptions(self) -> dict[str, tuple[str, ...]]:
        with self._lock:
            asked, heard = self._heard
        if self._clock() - asked < FRESH:
            return heard
        asked, heard = self._clock(), self._announcements.subscriptions()
        with self._lock:
            self._heard = (asked, heard)
        return heard

    def _builds(self, agent: str) -> list[dict[str, frozenset[int]]]:
        with self._lock:
            asked, builds = self._seen.get(agent, (-FRESH, []))
        if self._clock() - asked < FRESH:
            return builds
        asked = self._clock()
        builds = [_accepted(manifest) for manifest in self._announcements.consumers(agent)]
        with self._lock:
            self._seen[agent] = (asked, builds)
        return builds


def _hears(patterns: Iterable[str], events: Iterable[str]) -> bool:
    return any(matches(pattern, name) for pattern in patterns for name in events)


def _accepted(manifest: Manifest) -> dict[str, frozenset[int]]:
    """The versions that a build reads, by contract; none of a contract for which it says something else."""
    accepts = manifest.get("accepts")
    named = accepts.items() if isinstance(accepts, dict) else ()
    return {
        name: frozenset(version for version in versions if type(version) is int)
        for name, versions in named
        if isinstance(versions, list)
    }
