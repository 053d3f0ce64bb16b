"""Map as Mermaid: the topology as a Mermaid flowchart, for documents."""

from __future__ import annotations

from collections.abc import Callable

from handoffs.coordinator.observe.topology import LandscapeMap, MapAgent
from handoffs.coordinator.render.flow_mermaid import label

_BREAK = "<br/>"
_Named = Callable[[str], str]
"""The name of an agent's box."""


def map_mermaid(landscape: LandscapeMap) -> str:
    """The topology as a Mermaid flowchart: agents are boxes, events are rounded, what is handed over in a flow is a thick
    arrow. Dotted is the arrow to an agent that has no live worker."""
    boxes: dict[str, str] = {}
    lines: list[str] = []

    def agent(name: str) -> str:
        return boxes.setdefault(name, f"a{len(boxes) + 1}")

    arrows = [*_heard(landscape, agent), *_handed(landscape, agent)]
    for spot in landscape.agents:
        agent(spot.name)
    known = {spot.name: spot for spot in landscape.agents}
    for name, box in boxes.items():
        lines.append(f'  {box}["{_about(name, known.get(name), asked=landscape.asked)}"]')
    for number, event in enumerate(landscape.events, 1):
        lost = f"{_BREAK}{event.unheard} unheard" if event.unheard else ""
        lines.append(f'  e{number}(["{label(event.contract)}{lost}"])')
        lines += [
            f'  f{number}_{place}[["flow {label(flow)}"]] --> e{number}'
            for place, flow in enumerate(event.flows, 1)
        ]
        if not event.subscribers:
            lines.append(f"  e{number} -.-x n{number}[nobody]")
    return "\n".join(["flowchart LR", *lines, *arrows])


def _heard(landscape: LandscapeMap, agent: _Named) -> list[str]:
    arrows = []
    for number, event in enumerate(landscape.events, 1):
        arrows += [f"  {agent(name)} --> e{number}" for name in event.agents]
        for subscriber in event.subscribers:
            spot = landscape.agent(subscriber.agent)
            line = "-.->" if landscape.asked and not (spot and spot.live) else "-->"
            by = f'|"{label(subscriber.pattern)}"|' if subscriber.pattern != event.contract else ""
            arrows.append(f"  e{number} {line}{by} {agent(subscriber.agent)}")
    return arrows


def _handed(landscape: LandscapeMap, agent: _Named) -> list[str]:
    arrows = []
    for number, flow in enumerate(landscape.flows, 1):
        start = f"s{number}"
        arrows.append(f'  {start}[["flow {label(flow.name)}"]]')
        for one in flow.handovers:
            sender = agent(one.sender) if one.sender else start
            arrows.append(f'  {sender} ==>|"{label(one.contract)}"| {agent(one.receiver)}')
    return arrows


def _about(name: str, agent: MapAgent | None, *, asked: bool) -> str:
    if agent is None or not asked:
        return label(name)
    queued = "" if agent.depth is None else f", {agent.depth} queued"
    parked = f", {agent.parked} parked" if agent.parked else ""
    return f"{label(name)}{_BREAK}{agent.live} live{queued}{parked}"
