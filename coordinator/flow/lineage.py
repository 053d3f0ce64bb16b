"""Lineage: which contracts the loaded agents and flows use, who writes each and who reads it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from handoffs.contracts.contract import Contract
from handoffs.contracts.deployment import Deployed
from handoffs.contracts.topic import matches
from handoffs.contracts.versions import parts
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.loading import Definitions
from handoffs.coordinator.flow.trigger import agents_of


@dataclass(frozen=True, slots=True)
class Lineage:
    """Who writes a contract and who reads it, in words: agents, with the flows in which they do."""

    producers: tuple[str, ...]
    consumers: tuple[str, ...]


def contracts_of(definitions: Definitions) -> tuple[type[Contract], ...]:
    """The contracts that agents accept and emit, as events too, and those in their fields, by name and version."""
    found = {contract for agent in definitions.agents.values() for contract in _all_of(agent)}
    return tuple(
        sorted(found, key=lambda contract: (contract.ref(), contract.__module__, contract.__qualname__))
    )


def lineage_of(definitions: Definitions, name: str, deployed: Sequence[Deployed] = ()) -> Lineage:
    """Who writes and who reads the contract ``name``, of whichever version: what is loaded, and what is ``deployed``."""
    producers = [
        f"whoever starts {flow.name}" for flow in definitions.flows.values() if _has(flow.accepts, name)
    ]
    producers += [
        _named(definitions, agent)
        for agent in definitions.agents.values()
        if any(_has(contract, name) for contract in (agent.emits, *agent.events))
    ]
    consumers = [
        _named(definitions, agent) for agent in definitions.agents.values() if _has(agent.accepts, name)
    ]
    consumers += [
        f"{agent.name} (hears {pattern})"
        for agent in definitions.agents.values()
        for pattern in agent.patterns
        if pattern != name and matches(pattern, name)
    ]
    there = [build.manifest for build in deployed if build.manifest.agent not in definitions.agents]
    producers += [f"{made.agent} (deployed)" for made in there if name in made.emits]
    consumers += [f"{made.agent} (deployed)" for made in there if name in made.accepts or made.hears(name)]
    return Lineage(tuple(dict.fromkeys(producers)), tuple(dict.fromkeys(consumers)))


def _all_of(agent: Agent) -> Iterator[type[Contract]]:
    for contract in (agent.accepts, agent.emits, *agent.events):
        yield contract
        yield from parts(contract)


def _has(contract: type[Contract], name: str) -> bool:
    return any(found.ref().name == name for found in (contract, *parts(contract)))


def _named(definitions: Definitions, agent: Agent) -> str:
    flows = [flow.name for flow in definitions.flows.values() if agent.name in agents_of(flow)]
    return f"{agent.name} (in {', '.join(flows)})" if flows else agent.name
