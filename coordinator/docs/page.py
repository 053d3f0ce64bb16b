"""Page: the landscape as one page that needs nothing else."""

from __future__ import annotations

from importlib import resources

from handoffs.coordinator.docs import phrases
from handoffs.coordinator.docs.diagram import diagram
from handoffs.coordinator.docs.elements import Child, Markup, join, listed, prose, table, tag
from handoffs.coordinator.docs.links import chip, link
from handoffs.coordinator.docs.model import (
    CHANGED,
    AgentEntry,
    ContractEntry,
    FieldEntry,
    Landscape,
    Migration,
    Version,
)
from handoffs.coordinator.observe.handovers import FlowHandovers

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(landscape: Landscape) -> str:
    """The page. It loads nothing and runs nothing, and follows the reader's choice of light or dark."""
    style = resources.files("handoffs.coordinator.docs").joinpath("catalogue.css").read_text("utf-8")
    head = join(
        Markup('<meta charset="utf-8">\n'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">\n'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'),
        Markup('<meta name="color-scheme" content="light dark">\n'),
        tag("title", phrases.TITLE),
        Markup(f"\n<style>\n{style}</style>\n"),
    )
    events = _events(landscape)
    main = tag(
        "main",
        _overview(landscape),
        _section("flows", "Flows", *(_flow(flow, landscape) for flow in landscape.flows)),
        _section(
            "contracts",
            "Contracts",
            tag("p", phrases.LEGEND, class_="quiet"),
            *map(_contract, landscape.contracts),
        ),
        _section("agents", "Agents", *map(_agent, landscape.agents)),
        _section("events", "Events", tag("p", phrases.EVENTS, class_="quiet"), events) if events else None,
        _section("queues", "Queues", _queues(landscape)),
        _section("the-envelope", "The envelope", tag("p", phrases.ENVELOPE), _envelope()),
    )
    body = tag("body", tag("div", _contents(landscape), main, class_="page"))
    return f"<!DOCTYPE html>\n{tag('html', tag('head', Markup(chr(10)), head), Markup(chr(10)), body, lang='en')}\n"


def _section(identity: str, title: str, *children: Child) -> Markup:
    return tag("section", tag("h2", title), *children, Markup("\n"), id=identity)


def _contents(landscape: Landscape) -> Markup:
    none: list[str] = []
    parts: tuple[tuple[str, str, str, list[str]], ...] = (
        ("flows", "Flows", "flow", [flow.name for flow in landscape.flows]),
        ("contracts", "Contracts", "contract", [contract.name for contract in landscape.contracts]),
        ("agents", "Agents", "agent", [agent.name for agent in landscape.agents]),
        *([("events", "Events", "", none)] if any(one.is_event for one in landscape.contracts) else []),
        ("queues", "Queues", "", none),
        ("the-envelope", "The envelope", "", none),
    )
    items = [tag("li", tag("a", "Overview", href="#overview"))]
    for anchor, title, kind, names in parts:
        inner = tag("ul", *(tag("li", link(kind, name)) for name in names)) if names else None
        items.append(tag("li", tag("a", title, href=f"#{anchor}"), inner))
    return tag("nav", tag("p", phrases.TITLE, class_="brand"), tag("ul", *items), aria_label="Contents")


def _overview(landscape: Landscape) -> Markup:
    counts = listed(
        [
            tag("span", phrases.counted(len(found), noun))
            for found, noun in (
                (landscape.contracts, "contract"),
                (landscape.agents, "agent"),
                (landscape.flows, "flow"),
            )
        ]
    )
    rows: list[tuple[Child, ...]] = [
        (
            link("contract", contract.name),
            join(
                ", ".join(str(version.ref.version) for version in contract.versions),
                tag("div", contract.owner, class_="quiet") if contract.owner else None,
            ),
            _parties(phrases.producers(contract)),
            _parties(phrases.consumers(contract)),
        )
        for contract in landscape.contracts
    ]
    return tag(
        "section",
        tag("h1", phrases.TITLE),
        tag("p", counts, ".", class_="quiet"),
        tag("h2", "Who produces and consumes what"),
        table(("contract", "versions, owner", "produced by", "consumed by"), rows, "cards"),
        id="overview",
    )


def _flow(flow: FlowHandovers, landscape: Landscape) -> Markup:
    notes = {agent.name: agent.description[0] for agent in landscape.agents if agent.description}
    told = {other.name for other in landscape.flows}
    return tag("article", tag("h3", flow.name), diagram(flow, notes, told), id=f"flow-{flow.name}")


def _contract(contract: ContractEntry) -> Markup:
    facts: list[tuple[str, Child]] = [
        ("owner", contract.owner),
        ("compatibility", contract.mode),
        ("produced by", _parties(phrases.producers(contract)) or phrases.NOBODY),
        ("consumed by", _parties(phrases.consumers(contract)) or phrases.NOBODY),
        ("flows", listed([link("flow", name) for name in contract.flows])),
    ]
    return tag(
        "article",
        tag("h3", contract.name),
        *(tag("p", prose(text)) for text in contract.description),
        _facts(facts),
        *(_version(version, contract) for version in contract.versions),
        Markup("\n"),
        id=f"contract-{contract.name}",
    )


def _version(version: Version, contract: ContractEntry) -> Markup:
    state = tag("span", version.state, class_="badge warn" if version.state == CHANGED else "badge")
    own = version.description if version.description != contract.description else ()
    steps = [_migration(step) for step in version.migrations]
    return tag(
        "section",
        tag("h4", f"Version {version.ref.version} ", state),
        *(tag("p", prose(text)) for text in own),
        tag("ul", *steps, class_="steps") if steps else None,
        table(phrases.FIELD_COLUMNS[:-1], list(map(_field, version.fields)), "cards fields")
        or tag("p", "It has no field."),
        tag("p", tag("code", version.fingerprint), class_="quiet small"),
        id=f"contract-{version.ref.name}-{version.ref.version}",
        class_="version",
    )


def _field(field: FieldEntry) -> tuple[Child, ...]:
    kind = chip(field.contract) if field.contract else join(field.kind)
    what = join(kind, tag("div", prose(field.description), class_="quiet") if field.description else None)
    marks = [tag("span", mark, class_=f"mark {mark}") for mark in phrases.marks(field)]
    name = join(tag("code", field.name), Markup(" "), listed(marks, " "))
    return name, what, phrases.required(field), _bounds(field)


def _bounds(field: FieldEntry) -> Markup:
    shown: list[Markup] = []
    for bound in field.bounds:
        word, sign, pattern = bound.partition("matches ")
        shown.append(join("matches ", tag("code", pattern)) if sign and not word else join(bound))
    return listed(shown)


def _agent(agent: AgentEntry) -> Markup:
    facts: list[tuple[str, Child]] = [
        ("accepts", join(link("contract", agent.accepts.name), f", {phrases.versions(agent.reads)}")),
        ("emits", _emits(agent)),
        ("hears", _hears(agent)),
        ("queue", tag("code", agent.queue)),
        ("effort", phrases.effort(agent)),
        ("flows", listed([link("flow", name) for name in agent.flows])),
    ]
    return tag(
        "article",
        tag("h3", agent.name),
        *(tag("p", prose(text)) for text in agent.description),
        _facts(facts),
        Markup("\n"),
        id=f"agent-{agent.name}",
    )


def _emits(agent: AgentEntry) -> Markup | None:
    """What it hands over, and the events that it emits."""
    shown = [join(link("contract", ref.name, str(ref)), " as an event") for ref in agent.says]
    if not phrases.only_emits(agent):
        shown.insert(0, join(link("contract", agent.emits.name), f", {phrases.versions(agent.writes)}"))
    return join(*(tag("div", one) for one in shown)) if shown else None


def _hears(agent: AgentEntry) -> Markup | None:
    lines = [
        tag(
            "div",
            link("contract", hearing.contract.name) if hearing.contract else tag("code", hearing.pattern),
            tag("span", f", {phrases.hears(hearing)}", class_="quiet"),
        )
        for hearing in agent.hears
    ]
    return join(*lines) if lines else None


def _events(landscape: Landscape) -> Markup | None:
    rows: list[tuple[Child, ...]] = [
        (
            link("contract", contract.name),
            _parties(phrases.emitters_of(contract)) or phrases.OUTSIDE,
            _parties(phrases.hearers_of(contract)) or phrases.NOBODY_HEARS,
        )
        for contract in landscape.contracts
        if contract.is_event
    ]
    return table(("event", "emitted by", "heard by"), rows, "cards") if rows else None


def _queues(landscape: Landscape) -> Markup | None:
    rows: list[tuple[Child, ...]] = [
        (
            tag("code", queue.name),
            phrases.queue(queue),
            ", ".join(phrases.queue_kind(queue)),
            tag("code", queue.exchange),
        )
        for queue in landscape.queues
    ]
    return table(("queue", "for", "kind", "exchange"), rows, "cards")


def _envelope() -> Markup | None:
    rows: list[tuple[Child, ...]] = [(tag("code", name), text) for name, text in phrases.ENVELOPE_ROWS]
    return table(("attribute", "what it says"), rows, "cards")


def _facts(facts: list[tuple[str, Child]]) -> Markup:
    return tag("dl", *(join(tag("dt", word), tag("dd", said)) for word, said in facts if said))


def _parties(rows: list[tuple[str, str, str]]) -> Markup:
    """A line for each, with what they do with it."""
    return join(
        *(
            tag(
                "div",
                "flow " if kind == "flow" else None,
                link(kind, name),
                tag("span", f" {said}", class_="quiet"),
            )
            for kind, name, said in rows
        )
    )


def _migration(step: Migration) -> Markup:
    lossy = tag("span", "lossy", class_="badge warn") if step.lossy else None
    return tag("li", phrases.migration(step), " " if lossy else None, lossy)
