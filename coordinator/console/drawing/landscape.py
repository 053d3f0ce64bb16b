"""Landscape drawing: the topology as boxes and arrows: flows, agents, events, and what goes from where to where."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from handoffs.coordinator.console.drawing.layered import HEIGHT, WIDTH, layered
from handoffs.coordinator.observe.topology import LandscapeMap, MapAgent

MOST = 60
"""More boxes than this are no picture any more: then there are the tables alone."""
_FITS = 25  # characters of a box' first line

Kind = Literal["flow", "agent", "event"]


@dataclass(frozen=True, slots=True)
class DrawnBox:
    """A box: what it is, its name and how much of it fits, and what is said below it. ``state`` is ``good``, ``bad``, ``warn`` or ``dim``."""

    kind: Kind
    name: str
    fits: str
    says: str
    state: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class DrawnArrow:
    """An arrow, and what goes along it, in words."""

    source: str
    target: str
    says: str
    path: str
    event: bool


@dataclass(frozen=True, slots=True)
class LandscapeDrawing:
    """The topology as it is drawn."""

    boxes: tuple[DrawnBox, ...]
    arrows: tuple[DrawnArrow, ...]
    width: float
    height: float
    box_width: float = WIDTH
    box_height: float = HEIGHT


def drawing_of(landscape: LandscapeMap) -> LandscapeDrawing | None:
    """The drawing of a topology: what hands something over, emits or hears. None where nothing does, and where it is too much to be seen."""
    says: dict[tuple[str, str], list[str]] = {}
    for source, target, what in _arrows(landscape):
        says.setdefault((source, target), []).append(what)
    nodes = list(dict.fromkeys(node for edge in says for node in edge))
    if not nodes or len(nodes) > MOST:
        return None
    drawn = layered(nodes, says)
    boxes = tuple(_box(landscape, box.node, box.x, box.y) for box in drawn.boxes)
    arrows = tuple(
        DrawnArrow(
            one.source.partition(" ")[2], one.target.partition(" ")[2],
            ", ".join(dict.fromkeys(says[one.source, one.target])), one.path,
            "event" in (_kind(one.source), _kind(one.target)),
        )
        for one in drawn.arrows
    )  # fmt: skip
    return LandscapeDrawing(boxes, arrows, drawn.width, drawn.height)


def _arrows(landscape: LandscapeMap) -> Iterator[tuple[str, str, str]]:
    """From where to where something goes, as ``kind name``, and what."""
    for flow in landscape.flows:
        for one in flow.handovers:
            source = f"agent {one.sender}" if one.sender else f"flow {flow.name}"
            yield source, f"agent {one.receiver}", f"{one.contract} in {flow.name}"
        begun = {one.sender for one in flow.handovers if one.sender and not landscape.agent(one.sender)}
        for trigger in sorted(begun):
            yield f"flow {flow.name}", f"agent {trigger}", flow.accepts
    for event in landscape.events:
        for agent in event.agents:
            yield f"agent {agent}", f"event {event.contract}", "emits"
        for name in event.flows:
            yield f"flow {name}", f"event {event.contract}", "emits"
        for subscriber in event.subscribers:
            by = f" by {subscriber.pattern}" if subscriber.pattern != event.contract else ""
            yield f"event {event.contract}", f"agent {subscriber.agent}", f"hears{by}"


def _kind(node: str) -> str:
    return node.partition(" ")[0]


def _box(landscape: LandscapeMap, node: str, x: float, y: float) -> DrawnBox:
    kind, _, name = node.partition(" ")
    fits = name if len(name) <= _FITS else f"{name[: _FITS - 1]}…"
    if kind == "flow":
        return DrawnBox("flow", name, fits, "flow", "dim", x, y)
    if kind == "event":
        event = next((one for one in landscape.events if one.contract == name), None)
        unheard = event.unheard if event else 0
        heard = bool(event and event.subscribers)
        says = f"event, {unheard:,} unheard" if unheard else "event" if heard else "event, heard by nobody"
        return DrawnBox("event", name, fits, says, "good" if heard and not unheard else "warn", x, y)
    says, state = _of_agent(landscape.agent(name), asked=landscape.asked)
    return DrawnBox("agent", name, fits, says, state, x, y)


def _of_agent(agent: MapAgent | None, *, asked: bool) -> tuple[str, str]:
    """What is said of an agent, and how it is."""
    if agent is None or not asked:
        return "agent", "dim"
    words = [f"{agent.live:,} worker{'' if agent.live == 1 else 's'}"]
    words += [f"{agent.depth:,} queued"] if agent.depth else []
    words += [f"{agent.parked:,} parked"] if agent.parked else []
    waits = bool(agent.depth or agent.outstanding > agent.parked)
    if not agent.live:
        return ", ".join(words), "bad" if waits else "dim"
    return ", ".join(words), "warn" if agent.parked else "good"
