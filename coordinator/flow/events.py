"""Events: which of them the loaded agents and flows emit."""

from __future__ import annotations

from collections.abc import Iterable

from handoffs.contracts.contract import Contract
from handoffs.contracts.event import Event, Nothing
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.flow import Flow


def events_of(agent: Agent) -> tuple[type[Contract], ...]:
    """The contracts that an agent emits as events: those that it declares, and what it returns when an event calls it."""
    returned = (agent.emits,) if agent.subscriptions and agent.emits is not Nothing else ()
    return tuple(dict.fromkeys((*returned, *agent.events)))


def emitted_in(flow: Flow) -> tuple[type[Contract], ...]:
    """The contracts that the steps of a flow emit as events, besides those that its agents do."""
    return tuple(dict.fromkeys(flow.events.values()))


def known_events(agents: Iterable[Agent], flows: Iterable[Flow]) -> dict[str, type[Contract]]:
    """The contracts of which there are events as far as they are loaded, by name: what is emitted, and what is subscribed to."""
    found: dict[str, type[Contract]] = {}
    agents = list(agents)
    for flow in flows:
        for contract in emitted_in(flow):
            found.setdefault(contract.ref().name, contract)
    for agent in agents:
        for contract in events_of(agent):
            found.setdefault(contract.ref().name, contract)
    for agent in agents:
        for subscription in agent.subscriptions:
            if subscription.contract is not Event:
                found.setdefault(subscription.pattern, subscription.contract)
    return found
