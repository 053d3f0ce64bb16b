"""Gather: reads what is loaded, and what is published, into the model of the documents."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from handoffs.config.settings import Settings
from handoffs.config.topology import Topology
from handoffs.contracts.contract import Contract, ContractRef
from handoffs.contracts.fields import sensitive_of
from handoffs.contracts.schema import fingerprint, generated
from handoffs.contracts.versions import Versions, parts
from handoffs.coordinator.docs.fields import fields_of
from handoffs.coordinator.docs.model import (
    CHANGED,
    PUBLISHED,
    UNPUBLISHED,
    AgentEntry,
    ContractEntry,
    ExchangeEntry,
    Landscape,
    Migration,
    Party,
    QueueEntry,
    Version,
)
from handoffs.coordinator.docs.published import PublishedVersion, between, declared
from handoffs.coordinator.docs.redaction import marked
from handoffs.coordinator.docs.servers import servers
from handoffs.coordinator.docs.subscriptions import emitted, emitters, emitting, subscribers, subscriptions
from handoffs.coordinator.docs.text import line, paragraphs
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.loading import Definitions
from handoffs.coordinator.observe.handovers import FlowHandovers, handovers


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What the code has: agents, flows and who hands over to whom in them, and which versions reach which."""

    agents: tuple[Agent, ...]
    flows: tuple[Flow, ...]
    handovers: tuple[FlowHandovers, ...]
    reach: Versions


def gather(
    definitions: Definitions, settings: Settings, published: Iterable[PublishedVersion] = ()
) -> Landscape:
    """Everything that the documents tell of the agents and flows in ``definitions``.

    ``published`` adds the versions of a registry, with their owners and modes; without it, only the classes that the
    code has are known. Raises :class:`ContractError` where a contract has a field for which there is no JSON Schema.
    """
    entries = tuple(published)
    reach = Versions(entry.known() for entry in entries)
    topology = Topology.of(settings)
    agents = tuple(definitions.agents[name] for name in sorted(definitions.agents))
    loaded = tuple(definitions.flows[name] for name in sorted(definitions.flows))
    flows = tuple(map(handovers, loaded))
    return Landscape(
        contracts=_contracts(_Loaded(agents, loaded, flows, reach), entries),
        agents=tuple(_agent(agent, flows, topology, reach) for agent in agents),
        flows=flows,
        queues=(
            *(_queue(topology.queue(agent.name, agent.intake), agent.name) for agent in agents),
            _queue(topology.dead_letters, ""),
            _queue(topology.unheard_events, "", "events that nobody hears"),
        ),
        exchanges=tuple(
            map(
                _exchange,
                (topology.agents, topology.events, topology.dead, topology.unroutable, topology.unheard),
            )
        ),
        servers=servers(settings.broker_url),
    )


def _agent(agent: Agent, flows: tuple[FlowHandovers, ...], topology: Topology, reach: Versions) -> AgentEntry:
    return AgentEntry(
        name=agent.name,
        description=paragraphs(agent.function.__doc__),
        queue=topology.queue_name(agent.name),
        accepts=agent.accepts.ref(),
        emits=agent.emits.ref(),
        reads=reach.readable(agent.accepts),
        writes=reach.writable(agent.emits),
        attempts=agent.retry.attempts,
        time_limit=None if agent.time_limit is None else agent.time_limit.total_seconds(),
        flows=tuple(flow.name for flow in flows if any(step.agent == agent.name for step in flow.steps)),
        emitted=emitted(agent),
        subscriptions=subscriptions(agent, reach),
    )


def _contracts(loaded: _Loaded, published: tuple[PublishedVersion, ...]) -> tuple[ContractEntry, ...]:
    classes: dict[ContractRef, type[Contract]] = {}
    used = [contract for agent in loaded.agents for contract in (agent.accepts, agent.emits, *agent.events)]
    of_flows = [contract for flow in loaded.flows for contract in (flow.accepts, *flow.signals.values())]
    for contract in (*used, *of_flows):
        for found in (contract, *parts(contract)):
            classes.setdefault(found.ref(), found)
    entries: dict[str, dict[int, PublishedVersion]] = defaultdict(dict)
    for entry in published:
        entries[entry.ref.name].setdefault(entry.ref.version, entry)
    return tuple(
        _contract(name, classes, entries.get(name, {}), loaded)
        for name in sorted({ref.name for ref in classes} | set(entries))
    )


def _contract(
    name: str,
    classes: Mapping[ContractRef, type[Contract]],
    entries: Mapping[int, PublishedVersion],
    loaded: _Loaded,
) -> ContractEntry:
    known = {ref.version: contract for ref, contract in classes.items() if ref.name == name}
    in_code = [step for version in sorted(known, reverse=True) for step in declared(known[version])]
    steps: dict[tuple[int, int], Migration] = {}
    for step in (*in_code, *between(entries.values())):  # what the code says now comes first
        steps.setdefault((step.source, step.target), Migration(step.source, step.target, line(step.lossy)))
    newest = entries[max(entries)] if entries else None
    return ContractEntry(
        name=name,
        owner=line(newest.owner) if newest else "",
        mode=line(newest.mode) if newest else "",
        versions=tuple(
            _version(ContractRef(name, version), known.get(version), entries.get(version), steps)
            for version in sorted(set(known) | set(entries), reverse=True)
        ),
        producers=_parties(name, loaded.agents, loaded.reach, emitted=True),
        consumers=_parties(name, loaded.agents, loaded.reach, emitted=False),
        flows=tuple(flow.name for flow in loaded.handovers if name in _spoken(flow)),
        starts=tuple(flow.name for flow in loaded.handovers if flow.accepts.name == name),
        ends=tuple(
            flow.name for flow in loaded.handovers if any(name == end.contract.name for end in flow.results)
        ),
        joins=tuple(flow.name for flow in loaded.handovers if name in _joined(flow)),
        emitters=emitters(name, loaded.agents, loaded.reach),
        emitting=emitting(name, loaded.flows),
        subscribers=subscribers(name, loaded.agents, loaded.reach),
    )


def _version(
    ref: ContractRef,
    contract: type[Contract] | None,
    entry: PublishedVersion | None,
    steps: Mapping[tuple[int, int], Migration],
) -> Version:
    """A version from its class, which says more, or else from the registry."""
    if contract is not None:
        schema, mark = generated(contract), fingerprint(contract)
        text = paragraphs(contract.__doc__ if "__doc__" in vars(contract) else "")
    else:
        assert entry is not None
        schema, mark, text = entry.reads, entry.fingerprint, paragraphs(entry.description)
    schema = marked(
        schema, (*(entry.sensitive if entry else ()), *(sensitive_of(contract) if contract else ()))
    )
    state = UNPUBLISHED if entry is None else PUBLISHED if entry.fingerprint == mark else CHANGED
    fields = fields_of(
        schema,
        contract,
        keys=contract.__keys__ if contract else entry.keys if entry else (),
    )
    touching = [step for step in steps.values() if max(step.source, step.target) == ref.version]
    return Version(ref, state, mark, text, fields, schema, tuple(touching))


def _parties(name: str, agents: Iterable[Agent], reach: Versions, *, emitted: bool) -> tuple[Party, ...]:
    found: list[Party] = []
    for agent in agents:
        contract = agent.emits if emitted else agent.accepts
        versions = reach.writable if emitted else reach.readable
        if contract.ref().name == name:
            found.append(Party(agent.name, versions(contract)))
        else:
            held = [part for part in parts(contract) if part.ref().name == name]
            found += [Party(agent.name, versions(part), within=contract.ref()) for part in held]
    return tuple(found)


def _spoken(flow: FlowHandovers) -> set[str]:
    """The names of the contracts that a flow carries."""
    return {flow.accepts.name} | {ref.name for step in flow.steps for ref in (step.accepts, step.emits)}


def _joined(flow: FlowHandovers) -> set[str]:
    """The names of the contracts that a flow puts together from branches."""
    return {step.accepts.name for step in flow.steps if any(source.part for source in step.sources)}


def _queue(queue: Any, agent: str, purpose: str = "dead letters") -> QueueEntry:
    arguments = dict(sorted((queue.queue_arguments or {}).items()))
    steps = next((one.exchange for one in queue.bindings if one.routing_key == queue.name), queue.exchange)
    return QueueEntry(
        queue.name,
        agent,
        steps.name,
        queue.routing_key or queue.name if agent else queue.routing_key,
        bool(queue.durable),
        arguments,
        purpose,
    )


def _exchange(exchange: Any) -> ExchangeEntry:
    alternate = (exchange.arguments or {}).get("alternate-exchange", "")
    return ExchangeEntry(exchange.name, exchange.type, bool(exchange.durable), alternate)
