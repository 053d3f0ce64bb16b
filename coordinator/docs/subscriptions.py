"""Subscriptions: what the documents tell of events: who emits them, and what an agent subscribes to."""

from __future__ import annotations

from collections.abc import Iterable

from handoffs.contracts.contract import ContractRef
from handoffs.contracts.event import Event
from handoffs.contracts.text import printable
from handoffs.contracts.topic import matches
from handoffs.contracts.versions import Versions
from handoffs.coordinator.docs.model import Party, SubscriptionEntry
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.events import emitted_in, events_of
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.subscription import Gather, Subscription
from handoffs.coordinator.observe.words import duration

_LONGEST = 300


def emitted(agent: Agent) -> tuple[ContractRef, ...]:
    """The events that an agent emits."""
    return tuple(contract.ref() for contract in events_of(agent))


def subscriptions(agent: Agent, reach: Versions) -> tuple[SubscriptionEntry, ...]:
    """What an agent subscribes to."""
    return tuple(_entry(agent, subscription, reach) for subscription in agent.subscriptions)


def emitters(name: str, agents: Iterable[Agent], reach: Versions) -> tuple[Party, ...]:
    """The agents that emit the contract ``name`` as an event, with the versions that they write."""
    found = ((agent, contract) for agent in agents for contract in events_of(agent))
    return tuple(
        Party(agent.name, reach.writable(contract))
        for agent, contract in found
        if contract.ref().name == name
    )


def emitting(name: str, flows: Iterable[Flow]) -> tuple[str, ...]:
    """The flows of which a step emits the contract ``name`` as an event."""
    return tuple(flow.name for flow in flows if any(one.ref().name == name for one in emitted_in(flow)))


def subscribers(name: str, agents: Iterable[Agent], reach: Versions) -> tuple[SubscriptionEntry, ...]:
    """Who subscribes to the events of the contract ``name``."""
    every = (entry for agent in agents for entry in subscriptions(agent, reach))
    return tuple(entry for entry in every if matches(entry.pattern, name))


def _entry(agent: Agent, subscription: Subscription, reach: Versions) -> SubscriptionEntry:
    pattern = subscription.contract is Event
    return SubscriptionEntry(
        agent=agent.name,
        pattern=subscription.pattern,
        contract=None if pattern else subscription.contract.ref(),
        versions=() if pattern else reach.readable(subscription.contract),
        where=printable(str(subscription.where), _LONGEST) if subscription.where is not None else "",
        gathers=_gathers(agent, subscription.gather) if subscription.gather is not None else "",
        ordered=subscription.ordered,
    )


def _gathers(agent: Agent, gather: Gather) -> str:
    whole = (
        f"as many as {gather.until} says"
        if isinstance(gather.until, str)
        else "a condition in its code holds"
    )
    late = "then with what has come" if gather.partial else "else it is parked"
    return (
        f"in sets of the same {', '.join(gather.by)}, as {gather.into} of {agent.accepts.ref()}, once {whole}, "
        f"within {duration(gather.within)}, {late}"
    )
