"""Survey: looks at what is loaded, announced, queued and kept, and makes the map of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from handoffs.contracts.contract import valid_name
from handoffs.contracts.text import is_plain, printable
from handoffs.contracts.topic import matches
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.events import emitted_in, events_of
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.loading import Definitions
from handoffs.coordinator.flow.trigger import trigger_of
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.messaging import queues
from handoffs.coordinator.observe.handovers import handovers
from handoffs.coordinator.observe.topology import (
    LandscapeMap,
    MapAgent,
    MapEvent,
    MapFlow,
    MapHandover,
    MapQueue,
    MapSubscriber,
)
from handoffs.coordinator.services import Services

Versions = dict[str, tuple[int, ...]]

_ANY = "coordinator.event"
_NOTHING = "coordinator.nothing"


@dataclass(slots=True)
class _Agent:
    """What is known of an agent: its builds as they say it themselves, or its code."""

    known: str
    builds: Sequence[Mapping[str, Any]]
    live: int = 0
    events: set[str] | None = None
    """The names of the contracts that it emits as events, where its code is here."""

    def emits(self, name: str, asked_for: Collection[str]) -> bool:
        """Whether it emits events of that contract. Of one whose code is not here it is so where an agent subscribes to them, or
        where events call it."""
        return (
            name in self.events if self.events is not None else name in asked_for or bool(self.subscribes())
        )

    def names(self) -> tuple[str, ...]:
        return tuple(sorted({printable(build.get("build", ""), 80) for build in self.builds} - {""}))

    def subscribes(self) -> tuple[str, ...]:
        return tuple(sorted({text for build in self.builds for text in _texts(build.get("subscribes"))}))

    def reads(self) -> Versions:
        """The versions that all of its builds read."""
        announced = [_versions(build.get("accepts")) for build in self.builds]
        names = {name for one in announced for name in one}
        return {
            name: tuple(number for number in _newest(one.get(name, ()) for one in announced) if all(number in one.get(name, ()) for one in announced))
            for name in sorted(names)
        }  # fmt: skip

    def writes(self) -> Versions:
        """The versions that any of its builds can write."""
        announced = [_versions(build.get("emits")) for build in self.builds]
        names = {name for one in announced for name in one} - {_NOTHING}
        return {name: _newest(one.get(name, ()) for one in announced) for name in sorted(names)}


class Surveyor:
    """Makes the map. Raises :class:`~handoffs.coordinator.errors.ServerError` where Redis, the broker or the journal cannot be
    used."""

    def __init__(
        self,
        services: Services,
        journal: Journal,
        definitions: Definitions,
        *,
        asks: bool,
        working: Mapping[str, Agent],
    ) -> None:
        self._services = services
        self._journal = journal
        self._definitions = definitions
        self._asks = asks
        self._working = working

    def landscape_map(self) -> LandscapeMap:
        """What there is now."""
        agents = self._agents()
        outstanding: Counter[str] = Counter()
        if self._asks:
            for (agent, _), count in self._services.outstanding.counts().items():
                outstanding[agent] += count
        parked = self._journal.letters.count("waiting", by="agent") if self._asks else {}
        unheard = self._unheard() if self._asks else {}
        topology = self._services.topology
        own = [
            (topology.dead_letters.name, "dead letters"),
            (topology.unheard_events.name, "events that nobody hears"),
            (topology.timers.name, "timers"),
        ]
        names = [topology.queue_name(agent) for agent in agents]
        depths = self._depths([*names, *(name for name, _ in own)]) if self._asks else {}
        return LandscapeMap(
            asked=self._asks,
            agents=tuple(
                self._spot(name, agent, depths, outstanding[name], parked.get(name, 0))
                for name, agent in agents.items()
            ),
            events=tuple(self._events(agents, unheard)),
            flows=tuple(_flow(flow) for _, flow in sorted(self._definitions.flows.items())),
            queues=tuple(MapQueue(name, purpose, *depths.get(name, (None, None))) for name, purpose in own)
            if self._asks
            else (),
        )

    def _spot(
        self, name: str, agent: _Agent, depths: Mapping[str, tuple[int, int]], outstanding: int, parked: int
    ) -> MapAgent:
        queue = self._services.topology.queue_name(name)
        depth, consumers = depths.get(queue, (None, None))
        return MapAgent(
            name=name,
            queue=queue,
            known=agent.known,
            live=agent.live,
            builds=agent.names(),
            reads=agent.reads(),
            writes=agent.writes(),
            subscribes=agent.subscribes(),
            depth=depth,
            consumers=consumers,
            outstanding=outstanding,
            parked=parked,
        )

    def _agents(self) -> dict[str, _Agent]:
        """What is loaded here, and what is announced, by name."""
        found: dict[str, _Agent] = {}
        loaded = {**self._definitions.agents, **self._working}
        for name, agent in loaded.items():
            found[name] = _Agent("loaded", [self._services.manifest(agent).to_json()])
        for name in self._services.announcements.agents() if self._asks else ():
            if not valid_name(name):
                continue
            announced = self._services.announcements.of(name)
            alive = [one["manifest"] for one in announced if one["live"]]
            deployed = [] if alive else self._services.announcements.deployed(name)
            builds = alive or deployed or [one["manifest"] for one in announced]
            if builds:
                found[name] = _Agent(
                    "live" if alive else "deployed" if deployed else "seen", builds, len(alive)
                )
        for name, agent in loaded.items():
            found[name].events = {contract.ref().name for contract in events_of(agent)}
        return dict(sorted(found.items()))

    def _unheard(self) -> dict[str, int]:
        """How many events lie unheard, by the contract's name."""
        counts: Counter[str] = Counter()
        for ref, count in self._journal.letters.count("unheard", by="contract").items():
            counts[ref.partition("/")[0]] += count
        return counts

    def _events(self, agents: Mapping[str, _Agent], unheard: Mapping[str, int]) -> Iterator[MapEvent]:
        patterns = {name: agent.subscribes() for name, agent in agents.items()}
        reads = {name: agent.reads() for name, agent in agents.items()}
        writes = {name: agent.writes() for name, agent in agents.items()}
        asked_for = {one for some in patterns.values() for one in some if valid_name(one)}
        flows: dict[str, list[str]] = defaultdict(list)
        for flow in self._definitions.flows.values():
            for contract in emitted_in(flow):
                flows[contract.ref().name].append(flow.name)
        emitters: dict[str, list[str]] = defaultdict(list)
        for name, agent in agents.items():
            for event in writes[name]:
                if agent.emits(event, asked_for):
                    emitters[event].append(name)
        for event in sorted({*asked_for, *flows, *emitters, *filter(valid_name, unheard)}):
            yield MapEvent(
                event,
                _newest(writes[name][event] for name in emitters.get(event, ())),
                tuple(emitters.get(event, ())),
                tuple(sorted(flows.get(event, ()))),
                tuple(
                    MapSubscriber(name, pattern, reads[name].get(event, ()) if pattern == event else ())
                    for name, some in patterns.items()
                    for pattern in some
                    if matches(pattern, event)
                ),
                unheard.get(event, 0),
            )

    def _depths(self, names: Iterable[str]) -> dict[str, queues.Depth]:
        return queues.depths(
            self._services.app,
            names,
            cause="the broker cannot be asked for its queues",
            consequence="there is no map",
        )


def _flow(flow: Flow) -> MapFlow:
    found = handovers(flow)
    agents = {step.path: step.agent for step in found.steps}
    trigger = trigger_of(flow)
    start = trigger.name if trigger else ""
    handed = [
        MapHandover(agents.get(source.path, start), step.agent, str(source.contract))
        for step in found.steps
        for source in step.sources
    ]
    return MapFlow(found.name, str(found.accepts), tuple(dict.fromkeys(handed)))


def _newest(versions: Iterable[Iterable[int]]) -> tuple[int, ...]:
    return tuple(sorted({number for some in versions for number in some}, reverse=True))


def _versions(value: Any) -> Versions:
    """Versions by contract, as a worker announces them; nothing of what is none."""
    named = value.items() if isinstance(value, dict) else ()
    return {
        name: tuple(number for number in numbers if type(number) is int)
        for name, numbers in named
        if isinstance(name, str) and valid_name(name) and isinstance(numbers, list)
    }


def _texts(value: Any) -> list[str]:
    listed = value if isinstance(value, list) else []
    return [text for text in listed if isinstance(text, str) and len(text) <= 200 and is_plain(text)]
