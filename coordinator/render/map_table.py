"""Map as a table: the topology in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.cells import cell_len
from rich.text import Text

from handoffs.contracts.text import printable
from handoffs.coordinator.observe.nested import Item
from handoffs.coordinator.observe.topology import LandscapeMap, MapAgent, MapEvent, MapFlow
from handoffs.coordinator.render.lines import connected, cut, padded, wrapped

_COLUMNS = ("live", "depth", "cons.", "outst.", "parked")
_COLUMN = 7
_LONGEST_NAME = 44

Line = tuple[str, str]
"""A text and its style."""


def map_table(landscape: LandscapeMap, width: int) -> Iterator[Text]:
    """The topology in lines of at most ``width`` cells (60 or more): agents with their queues, events with who emits and who
    hears them, flows, and at last what an operator should look at."""
    yield from _agents(landscape, width)
    if landscape.events:
        yield Text()
        yield Text("events", "bold")
        yield from _tree([_event(event, landscape) for event in landscape.events], width)
    if landscape.flows:
        yield Text()
        yield Text("flows", "bold")
        yield from _tree([_flow(flow) for flow in landscape.flows], width)
    if landscape.queues:
        yield Text()
        yield Text("other queues", "bold")
        for queue in landscape.queues:
            state = (
                "not there"
                if queue.depth is None
                else f"{queue.depth} in it, {_counted(queue.consumers, 'consumer')}"
            )
            yield from _folded(f"{queue.name}  {queue.purpose}: {state}", width, "")
    remarks = list(landscape.remarks())
    if remarks:
        yield Text()
        yield Text("to look at", "bold yellow")
        for remark in remarks:
            yield from _folded(remark, width, "yellow")


def _agents(landscape: LandscapeMap, width: int) -> Iterator[Text]:
    shown = _COLUMNS if landscape.asked else ()
    room = width - _COLUMN * len(shown) - 2
    longest = max((cell_len(printable(agent.name, 200)) for agent in landscape.agents), default=6)
    name = min(longest, _LONGEST_NAME, room) + 2
    head = Text(padded("agents", name), "bold")
    head.append("".join(column.rjust(_COLUMN) for column in shown), "dim")
    yield head
    for agent in landscape.agents:
        made = Text(padded(cut(agent.name, name - 2), name), "cyan")
        if shown:
            for figure, style in _figures(agent):
                made.append(figure.rjust(_COLUMN), style)
        yield made
        for line in wrapped(_about(agent), width - 4):
            yield Text(f"    {line}", "dim")


def _figures(agent: MapAgent) -> Iterator[Line]:
    yield str(agent.live), "" if agent.live else "yellow"
    yield ("-" if agent.depth is None else str(agent.depth)), ""
    yield ("-" if agent.consumers is None else str(agent.consumers)), ""
    yield str(agent.outstanding), ""
    yield str(agent.parked), "red" if agent.parked else ""


def _about(agent: MapAgent) -> str:
    """What it reads and writes, and which builds say so."""
    words = [f"reads {_contracts(agent.reads)}"] if agent.reads else []
    words += [f"writes {_contracts(agent.writes)}"] if agent.writes else []
    word = "build" if len(agent.builds) == 1 else "builds"
    where = "" if agent.known == "live" else f" ({agent.known})"
    words += [f"{word} {', '.join(agent.builds)}{where}"] if agent.builds else [agent.known]
    return "; ".join(words)


def _event(event: MapEvent, landscape: LandscapeMap) -> Item[Line]:
    writes = f"/{','.join(map(str, event.versions))}" if event.versions else ""
    lost = f"   {event.unheard} unheard" if event.unheard else ""
    below = [Item((f"from {agent}", "")) for agent in event.agents]
    below += [Item((f"from flow {flow}", "")) for flow in event.flows]
    if not below:
        below.append(Item(("from whoever emits it", "dim")))
    for subscriber in event.subscribers:
        agent = landscape.agent(subscriber.agent)
        reads = f", reads {','.join(map(str, subscriber.versions))}" if subscriber.versions else ""
        by = f" by {subscriber.pattern}" if subscriber.pattern != event.contract else ""
        away = landscape.asked and (agent is None or not agent.live)
        note = ", no worker is alive" if away else ""
        below.append(Item((f"to {subscriber.agent}{by}{reads}{note}", "yellow" if away else "")))
    if not event.subscribers:
        below.append(Item(("to nobody", "yellow")))
    return Item((f"{event.contract}{writes}{lost}", "green"), below)


def _flow(flow: MapFlow) -> Item[Line]:
    below = [
        Item((f"{one.sender or 'start'} → {one.receiver}   {one.contract}", "")) for one in flow.handovers
    ]
    return Item((f"{flow.name}   starts with {flow.accepts}", "bold"), below)


def _tree(items: Sequence[Item[Line]], width: int) -> Iterator[Text]:
    for item in items:
        yield from _folded(item.content[0], width, item.content[1], hang="  ")
        for first, rest, (text, style) in connected(item.below):
            for number, line in enumerate(wrapped(text, width - cell_len(rest))):
                yield Text.assemble((rest if number else first, "dim"), (line, style))


def _folded(text: str, width: int, style: str, hang: str = "  ") -> Iterator[Text]:
    for number, line in enumerate(wrapped(text, width - len(hang))):
        yield Text(f"{hang if number else ''}{line}", style)


def _contracts(versions: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(
        f"{name} {','.join(map(str, numbers)) or '(none in common)'}" for name, numbers in versions.items()
    )


def _counted(number: int | None, noun: str) -> str:
    return f"{number or 0} {noun}{'' if number == 1 else 's'}"
