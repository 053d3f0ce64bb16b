"""AsyncAPI: the landscape as a document of version 3.0."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from handoffs.coordinator.docs.channels import (
    BINDING,
    channels,
    emits,
    identity,
    receives,
    refer,
    sends,
    starts,
)
from handoffs.coordinator.docs.draft7 import components
from handoffs.coordinator.docs.envelope import attributes
from handoffs.coordinator.docs.model import AgentEntry, ContractEntry, Landscape, Server, Version
from handoffs.coordinator.docs.text import prose
from handoffs.coordinator.observe.handovers import FlowHandovers

Object = dict[str, Any]

_ENVELOPE = "envelope"
_ABOUT = (
    "The agents, the contracts that they exchange, and the queues over which they do it.\n\n"
    "Every message is a CloudEvents 1.0 event in structured JSON. Here its attributes are the headers and its `data` is "
    "the payload. On the wire the event is the one argument of a Celery task (task protocol 2)."
)


def asyncapi(landscape: Landscape) -> Object:
    """The AsyncAPI 3.0 document, as JSON values. Two landscapes that tell the same give the same document.

    Contracts are messages and schemas, agents are operations, queues and exchanges are channels, and flows are the
    extension ``x-flows``. ``info.version`` is a digest of all the rest.
    """
    senders = sends(landscape)
    document: Object = {
        "asyncapi": "3.0.0",
        "info": {"title": "Agents and contracts", "version": "", "description": _ABOUT},
        "defaultContentType": "application/json",
        "servers": {name: _server(server) for name, server in _named_servers(landscape)},
        "channels": channels(landscape),
        "operations": {**receives(landscape), **starts(landscape), **senders, **emits(landscape)},
        "components": {"schemas": _schemas(landscape), "messages": _messages(landscape)},
        "x-agents": {agent.name: _agent(agent) for agent in landscape.agents},
        "x-contracts": {contract.name: _contract(contract) for contract in landscape.contracts},
        "x-flows": {flow.name: _flow(flow) for flow in landscape.flows},
    }
    if not landscape.servers:
        del document["servers"]
    text = json.dumps(document, ensure_ascii=False, sort_keys=True)
    document["info"]["version"] = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return document


def _named_servers(landscape: Landscape) -> list[tuple[str, Server]]:
    return [
        ("broker" if number == 1 else f"broker-{number}", server)
        for number, server in enumerate(landscape.servers, 1)
    ]


def _server(server: Server) -> Object:
    made: Object = {"host": server.host, "protocol": server.protocol, "protocolVersion": "0.9.1"}
    return {**made, "pathname": f"/{server.vhost}"} if server.vhost else made


# Contracts


def _schemas(landscape: Landscape) -> Object:
    made: Object = {_ENVELOPE: attributes()}
    for contract in landscape.contracts:
        for version in contract.versions:
            made.update(components(identity(version.ref), version.schema))
    return dict(sorted(made.items()))


def _messages(landscape: Landscape) -> Object:
    return {
        identity(version.ref): _message(version)
        for contract in landscape.contracts
        for version in sorted(contract.versions, key=lambda version: version.ref.version)
    }


def _message(version: Version) -> Object:
    ref = version.ref
    made: Object = {
        "name": ref.name,
        "title": str(ref),
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "allOf": [
                refer("components", "schemas", _ENVELOPE),
                {"properties": {"type": {"const": ref.name}, "dataschema": {"const": ref.uri}}},
            ],
        },
        "payload": refer("components", "schemas", identity(ref)),
        "correlationId": {"location": "$message.header#/correlationid", "description": "The run."},
        "bindings": {"amqp": {"contentEncoding": "utf-8", "bindingVersion": BINDING}},
        "x-fingerprint": version.fingerprint,
        "x-keys": [field.name for field in version.fields if field.key],
        "x-sensitive": [field.name for field in version.fields if field.sensitive],
        "x-state": version.state,
    }
    if version.description:
        made["summary"] = version.description[0]
        made["description"] = prose("\n\n".join(version.description))
    return made


def _contract(contract: ContractEntry) -> Object:
    return {
        "owner": contract.owner,
        "mode": contract.mode,
        "versions": [version.ref.version for version in contract.versions],
        "migrations": [
            {"from": step.source, "to": step.target, "lossy": step.lossy}
            for version in contract.versions
            for step in version.migrations
        ],
        "producers": [
            {"agent": party.agent, "versions": list(party.versions), "within": str(party.within or "")}
            for party in contract.producers
        ],
        "consumers": [
            {"agent": party.agent, "versions": list(party.versions), "within": str(party.within or "")}
            for party in contract.consumers
        ],
        "emitters": [{"agent": party.agent, "versions": list(party.versions)} for party in contract.emitters],
        "emitting": list(contract.emitting),
        "hearers": [{"agent": entry.agent, "pattern": entry.pattern} for entry in contract.subscribers],
    }


# Agents and flows


def _agent(agent: AgentEntry) -> Object:
    return {
        "description": "\n\n".join(agent.description),
        "queue": agent.queue,
        "accepts": str(agent.accepts),
        "reads": list(agent.reads),
        "emits": str(agent.emits),
        "writes": list(agent.writes),
        "attempts": agent.attempts,
        "timeLimitSeconds": agent.time_limit,
        "says": [str(ref) for ref in agent.emitted],
        "hears": [
            {
                "pattern": entry.pattern,
                "contract": str(entry.contract or ""),
                "versions": list(entry.versions),
                "where": entry.where,
                "gathers": entry.gathers,
                "ordered": entry.ordered,
            }
            for entry in agent.subscriptions
        ],
    }


def _flow(flow: FlowHandovers) -> Object:
    return {
        "accepts": str(flow.accepts),
        "steps": [
            {
                "path": step.path,
                "agent": step.agent,
                "accepts": str(step.accepts),
                "emits": str(step.emits),
                "from": [
                    {"path": source.path, "contract": str(source.contract), "part": source.part}
                    for source in step.sources
                ],
            }
            for step in flow.steps
        ],
        "results": [
            {"path": source.path, "contract": str(source.contract), "part": source.part}
            for source in flow.results
        ],
    }
