"""Markdown: the landscape as one file that GitHub and GitLab render, flows as Mermaid diagrams."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from handoffs.coordinator.docs import phrases
from handoffs.coordinator.docs.model import AgentEntry, ContractEntry, FieldEntry, Landscape, Version
from handoffs.coordinator.docs.text import code, escaped, prose, table
from handoffs.coordinator.observe.handovers import FlowHandovers
from handoffs.coordinator.render.flow_mermaid import flow_mermaid


def markdown(landscape: Landscape) -> str:
    """The catalogue in Markdown. Every part has an anchor: ``contract-<name>``, ``agent-<name>``, ``flow-<name>``."""
    blocks = [f"# {phrases.TITLE}", *_overview(landscape)]
    blocks += ["## Flows", *(block for flow in landscape.flows for block in _flow(flow))]
    blocks += ["## Contracts", escaped(phrases.LEGEND)]
    blocks += [block for contract in landscape.contracts for block in _contract(contract)]
    blocks += ["## Agents", *(block for agent in landscape.agents for block in _agent(agent))]
    blocks += _events(landscape)
    blocks += ["## Queues", *_queues(landscape)]
    blocks += ["## The envelope", escaped(phrases.ENVELOPE)]
    blocks.append(
        table(
            ("attribute", "what it says"),
            [(code(name), escaped(text)) for name, text in phrases.ENVELOPE_ROWS],
        )
    )
    return "\n\n".join(block for block in blocks if block) + "\n"


def _overview(landscape: Landscape) -> Iterator[str]:
    yield (
        f"{phrases.counted(len(landscape.contracts), 'contract')}, "
        f"{phrases.counted(len(landscape.agents), 'agent')}, {phrases.counted(len(landscape.flows), 'flow')}."
    )
    links = [f"- Flows: {_links('flow', [flow.name for flow in landscape.flows])}"]
    links.append(f"- Contracts: {_links('contract', [contract.name for contract in landscape.contracts])}")
    links.append(f"- Agents: {_links('agent', [agent.name for agent in landscape.agents])}")
    links.append("- [Queues](#queues), [the envelope](#the-envelope)")
    yield "\n".join(links)
    yield "## Who produces and consumes what"
    yield table(
        ("contract", "versions", "owner", "produced by", "consumed by"),
        [
            (
                _link("contract", contract.name),
                ", ".join(str(version.ref.version) for version in contract.versions),
                escaped(contract.owner),
                _parties(phrases.producers(contract)),
                _parties(phrases.consumers(contract)),
            )
            for contract in landscape.contracts
        ],
    )


def _contract(contract: ContractEntry) -> Iterator[str]:
    yield _heading("###", "contract", contract.name)
    yield from map(prose, contract.description)
    facts = [("owner", contract.owner), ("compatibility", contract.mode)]
    lines = [f"- {word}: {escaped(words)}" for word, words in facts if words]
    lines.append(f"- produced by: {_parties(phrases.producers(contract)) or phrases.NOBODY}")
    lines.append(f"- consumed by: {_parties(phrases.consumers(contract)) or phrases.NOBODY}")
    lines.append(f"- flows: {_links('flow', contract.flows)}")
    yield "\n".join(lines)
    for version in contract.versions:
        yield from _version(version, contract)


def _version(version: Version, contract: ContractEntry) -> Iterator[str]:
    yield f'#### <a id="contract-{version.ref.name}-{version.ref.version}"></a>Version {version.ref.version}'
    if version.description != contract.description:
        yield from map(prose, version.description)
    lines = [f"- {version.state}, fingerprint {code(version.fingerprint)}"]
    lines += [f"- {escaped(phrases.migration(step))}" for step in version.migrations]
    yield "\n".join(lines)
    yield table(phrases.FIELD_COLUMNS, map(_field, version.fields)) or "It has no field."


def _field(field: FieldEntry) -> tuple[str, ...]:
    kind = (
        _link("contract", field.contract.name, str(field.contract)) if field.contract else escaped(field.kind)
    )
    what = f"{kind}. {prose(field.description)}" if field.description else kind
    marks = ", ".join(f"**{mark}**" for mark in phrases.marks(field))
    return code(field.name), what, escaped(phrases.required(field)), _bounds(field), marks


def _bounds(field: FieldEntry) -> str:
    shown = ((bound, phrases.pattern(bound)) for bound in field.bounds)
    return ", ".join(f"matches {code(pattern)}" if pattern else escaped(bound) for bound, pattern in shown)


def _agent(agent: AgentEntry) -> Iterator[str]:
    yield _heading("###", "agent", agent.name)
    yield from map(prose, agent.description)
    yield "\n".join(
        (
            f"- accepts: {_link('contract', agent.accepts.name)}, {phrases.versions(agent.reads)}",
            f"- emits: {', '.join(_emits(agent)) or 'nothing'}",
            *(
                f"- hears: {_link('contract', one.contract.name) if one.contract else code(one.pattern)}, "
                f"{escaped(phrases.subscription(one))}"
                for one in agent.subscriptions
            ),
            f"- queue: {code(agent.queue)}",
            f"- effort: {phrases.effort(agent)}",
            f"- flows: {_links('flow', agent.flows)}",
        )
    )


def _emits(agent: AgentEntry) -> Iterator[str]:
    """What it hands over, and the events that it emits."""
    if not phrases.only_emits(agent):
        yield f"{_link('contract', agent.emits.name)}, {phrases.versions(agent.writes)}"
    yield from (f"{_link('contract', ref.name, str(ref))} as an event" for ref in agent.emitted)


def _events(landscape: Landscape) -> Iterator[str]:
    rows = [
        (
            _link("contract", contract.name),
            _parties(phrases.emitters(contract)) or phrases.OUTSIDE,
            _parties(phrases.subscribers(contract)) or phrases.NO_SUBSCRIBER,
        )
        for contract in landscape.contracts
        if contract.is_event
    ]
    if rows:
        yield "## Events"
        yield escaped(phrases.EVENTS)
        yield table(("event", "emitted by", "heard by"), rows)


def _queues(landscape: Landscape) -> Iterator[str]:
    yield table(
        ("queue", "for", "kind", "exchange"),
        [
            (
                code(queue.name),
                escaped(phrases.queue(queue)),
                ", ".join(phrases.queue_kind(queue)),
                code(queue.exchange),
            )
            for queue in landscape.queues
        ],
    )


def _flow(flow: FlowHandovers) -> Iterator[str]:
    yield _heading("###", "flow", flow.name)
    yield f"Starts with {_link('contract', flow.accepts.name, str(flow.accepts))}."
    yield f"```mermaid\n{flow_mermaid(flow.outline)}\n```"
    yield table(
        ("step", "agent", "accepts", "emits"),
        [
            (
                code(step.path),
                _link("agent", step.agent),
                _link("contract", step.accepts.name, str(step.accepts)),
                _link("contract", step.emits.name, str(step.emits)),
            )
            for step in flow.steps
        ],
    )


def _heading(level: str, kind: str, name: str) -> str:
    return f'{level} <a id="{kind}-{name}"></a>{escaped(name)}'


def _link(kind: str, name: str, text: str = "") -> str:
    return f"[{escaped(text or name)}](#{kind}-{name})"


def _links(kind: str, names: Iterable[str]) -> str:
    return ", ".join(_link(kind, name) for name in names) or "none"


def _parties(rows: Iterable[tuple[str, str, str]]) -> str:
    """Who, and in parentheses what they do with it."""
    shown = (
        ("flow " if kind == "flow" else "", _link(kind, name), escaped(words)) for kind, name, words in rows
    )
    return ", ".join(f"{word}{link} ({words})" for word, link, words in shown)
