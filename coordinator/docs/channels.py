"""Channels: queues and exchanges as AsyncAPI channels, and who sends and receives on them as operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from handoffs.contracts.contract import ContractRef
from handoffs.contracts.topic import matches
from handoffs.coordinator.docs.model import AgentEntry, ExchangeEntry, Landscape, QueueEntry
from handoffs.coordinator.docs.text import prose

Object = dict[str, Any]

_ABOUT = {
    "direct": "Every step is sent over it, by queue.",
    "topic": "Every event goes over it to those who subscribe, by the name of its contract.",
}

BINDING = "0.3.0"
"""The version of AsyncAPI's AMQP 0-9-1 bindings."""


def identity(ref: ContractRef) -> str:
    """The name of a version among messages and schemas."""
    return f"{ref.name}.v{ref.version}"


def refer(*path: str) -> Object:
    """A reference to a place in the document."""
    return {"$ref": "#/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in path)}


def channels(landscape: Landscape) -> Object:
    """A channel for each queue, with the messages that may stand in it, and for each exchange."""
    accepted = {agent.name: _accepted(landscape, agent) for agent in landscape.agents}
    accepted[""] = sorted(
        {ref for refs in accepted.values() for ref in refs}
    )  # the queues that are no agent's
    queues = {queue.name: _queue(queue, accepted[queue.agent]) for queue in landscape.queues}
    exchanges = {exchange.name: _exchange(exchange, landscape) for exchange in landscape.exchanges}
    return {**queues, **exchanges}


def _accepted(landscape: Landscape, agent: AgentEntry) -> list[ContractRef]:
    """The versions that may stand in an agent's queue, of those that the document describes, oldest first."""
    described = {version.ref for contract in landscape.contracts for version in contract.versions}
    wanted = (
        [] if agent.subscriptions else [ContractRef(agent.accepts.name, version) for version in agent.reads]
    )
    if agent.flows:
        wanted = [ContractRef(agent.accepts.name, version) for version in agent.reads]
    for entry in agent.subscriptions:
        if entry.contract:
            wanted += [ContractRef(entry.contract.name, version) for version in entry.versions]
        else:
            wanted += [
                ref
                for ref in described
                if matches(entry.pattern, ref.name) and ref.name != agent.accepts.name
            ]
    return sorted({ref for ref in wanted if ref in described})


def _events(landscape: Landscape) -> list[ContractRef]:
    """The versions of events, oldest first."""
    return sorted(
        version.ref for contract in landscape.contracts if contract.is_event for version in contract.versions
    )


def _queue(queue: QueueEntry, accepted: list[ContractRef]) -> Object:
    about = f"The queue of agent {queue.agent}." if queue.agent else f"For {queue.purpose}."
    return {
        "address": queue.name,
        "description": prose(about),
        "messages": {identity(ref): refer("components", "messages", identity(ref)) for ref in accepted},
        "bindings": {
            "amqp": {
                "is": "queue",
                "queue": {
                    "name": queue.name,
                    "durable": queue.durable,
                    "exclusive": False,
                    "autoDelete": False,
                },
                "x-exchange": queue.exchange,
                "x-routing-key": queue.routing_key,
                "x-arguments": queue.arguments,
                "bindingVersion": BINDING,
            }
        },
    }


def _exchange(exchange: ExchangeEntry, landscape: Landscape) -> Object:
    direct, topic = exchange.kind == "direct", exchange.kind == "topic"
    made: Object = {
        "address": "{queue}" if direct else "{contract}" if topic else None,
        "description": _ABOUT.get(exchange.kind, "What cannot go on passes it."),
        "bindings": {
            "amqp": {
                "is": "routingKey",
                "exchange": {
                    "name": exchange.name,
                    "type": exchange.kind,
                    "durable": exchange.durable,
                    "autoDelete": False,
                },
                "x-alternate-exchange": exchange.alternate,
                "bindingVersion": BINDING,
            }
        },
    }
    if direct:
        queues = [queue.name for queue in landscape.queues if queue.agent]
        made["parameters"] = {"queue": {"description": "The queue of an agent.", "enum": queues}}
    if topic:
        events = _events(landscape)
        names = list(dict.fromkeys(ref.name for ref in events))
        made["parameters"] = {"contract": {"description": "The name of a contract.", "enum": names}}
        made["messages"] = {identity(ref): refer("components", "messages", identity(ref)) for ref in events}
    return made


def receives(landscape: Landscape) -> Object:
    """What each agent takes from its queue."""
    return {
        f"{agent.name}.receive": {
            "action": "receive",
            "channel": refer("channels", agent.queue),
            "title": f"{agent.name} receives {_received(agent)}",
            "description": prose("\n\n".join(agent.description)),
            "messages": [
                refer("channels", agent.queue, "messages", identity(ref))
                for ref in _accepted(landscape, agent)
            ],
            "bindings": {"amqp": {"ack": True, "bindingVersion": BINDING}},
            "x-agent": agent.name,
        }
        for agent in landscape.agents
    }


def _received(agent: AgentEntry) -> str:
    """What comes to an agent, in words: names of contracts, and patterns of them."""
    own = [agent.accepts.name] if agent.flows or not agent.subscriptions else []
    return ", ".join(dict.fromkeys([*own, *(entry.pattern for entry in agent.subscriptions)]))


def sends(landscape: Landscape) -> Object:
    """What an agent sends to each queue that follows it in a flow. What ends a flow is sent nowhere: it is the result."""
    agents = {agent.name: agent for agent in landscape.agents}
    made: dict[str, Object] = {}
    for flow in landscape.flows:
        places = {step.path: step.agent for step in flow.steps}
        for step in flow.steps:
            for source in step.sources:
                if source.path:
                    sender, taker = places[source.path], agents[step.agent]
                    name = f"{sender}.send.{taker.name}"
                    versions = (source.contract.version,) if source.item else agents[sender].writes
                    writes = {ContractRef(source.contract.name, version) for version in versions}
                    sent = [ref for ref in _accepted(landscape, taker) if ref in writes]
                    operation = made.setdefault(
                        name, _send(landscape, taker, f"{sender} sends", sender, sent)
                    )
                    operation["x-flows"] = sorted({*operation["x-flows"], flow.name})
    return dict(sorted(made.items()))


def emits(landscape: Landscape) -> Object:
    """The events that agents and flows emit, to those that subscribe."""
    topic = next((exchange.name for exchange in landscape.exchanges if exchange.kind == "topic"), "")
    made: dict[str, Object] = {}
    for contract in landscape.contracts:
        described = {version.ref for version in contract.versions}
        speakers = [(party.agent, party.agent, party.versions) for party in contract.emitters]
        every = tuple(version.ref.version for version in contract.versions)
        speakers += [(f"the flow {flow}", "", every) for flow in contract.emitting]
        for who, agent, versions in speakers:
            refs = sorted({ContractRef(contract.name, version) for version in versions} & described)
            made[f"{who.removeprefix('the flow ')}.emit.{contract.name}"] = {
                "action": "send",
                "channel": refer("channels", topic),
                "title": f"{who} emits {contract.name}",
                "messages": [refer("channels", topic, "messages", identity(ref)) for ref in refs],
                "bindings": {"amqp": {"deliveryMode": 2, "bindingVersion": BINDING}},
                "x-agent": agent,
                "x-flows": [] if agent else [who.removeprefix("the flow ")],
            }
    return dict(sorted(made.items()))


def starts(landscape: Landscape) -> Object:
    """What the coordinator sends where a flow begins, and where it goes on with a signal."""
    agents = {agent.name: agent for agent in landscape.agents}
    made: dict[str, Object] = {}
    for flow in landscape.flows:
        for step in flow.steps:
            for source in step.sources:
                if not source.path:
                    taker, signal = agents[step.agent], source.signal
                    name = f"{flow.name}.{f'signal.{signal}' if signal else 'start'}.{taker.name}"
                    who = f"the signal {signal} in" if signal else "the start of"
                    made[name] = _send(landscape, taker, f"{who} {flow.name} sends")
                    made[name]["x-flows"] = [flow.name]
    return dict(sorted(made.items()))


def _send(
    landscape: Landscape, taker: AgentEntry, who: str, agent: str = "", sent: Sequence[ContractRef] = ()
) -> Object:
    """``sent``: the messages, where they are fewer than those that the receiver takes."""
    return {
        "action": "send",
        "channel": refer("channels", taker.queue),
        "title": f"{who} {taker.accepts.name} to {taker.name}",
        "messages": [
            refer("channels", taker.queue, "messages", identity(ref))
            for ref in sent or _accepted(landscape, taker)
        ],
        "bindings": {"amqp": {"deliveryMode": 2, "bindingVersion": BINDING}},
        "x-agent": agent,
        "x-flows": [],
    }
