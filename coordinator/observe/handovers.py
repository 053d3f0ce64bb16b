"""Course: the steps of a flow, and who hands over to whom."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from handoffs.contracts.contract import ContractRef
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.observe.outline import Node, Outline, outline


@dataclass(frozen=True, slots=True)
class Giver:
    """Where a step gets its input: the step of that ``path``, empty for the start, which gives ``contract``. ``part`` is
    the field of a join that it fills. ``item``: what is given are the items of a list in what it emits. ``signal``: it comes
    from outside, as the signal of that name."""

    path: str
    contract: ContractRef
    part: str = ""
    item: bool = False
    signal: str = ""


@dataclass(frozen=True, slots=True)
class StepEntry:
    """An agent's place in a flow, and what it gets from whom."""

    path: str
    agent: str
    accepts: ContractRef
    emits: ContractRef
    givers: tuple[Giver, ...]


@dataclass(frozen=True, slots=True)
class FlowEntry:
    """A flow: its agents' places in order, and ``outline``, all of its steps as they are nested. ``results`` are its last
    ones."""

    name: str
    accepts: ContractRef
    steps: tuple[StepEntry, ...]
    outline: Outline
    results: tuple[Giver, ...]


Givers = tuple[Giver, ...]


def course(flow: Flow) -> FlowEntry:
    """What the documents tell of a flow."""
    drawn = outline(flow)
    steps: dict[str, StepEntry] = {}
    results = _row(drawn.nodes, (Giver("", drawn.accepts),), steps)
    return FlowEntry(flow.name, drawn.accepts, tuple(steps.values()), drawn, results)


def _row(nodes: Iterable[Node], givers: Givers, steps: dict[str, StepEntry]) -> Givers:
    """Who gives what follows a sequence; adds its steps to ``steps``."""
    for node in nodes:
        givers = _node(node, givers, steps)
    return givers


def _node(node: Node, givers: Givers, steps: dict[str, StepEntry]) -> Givers:
    if node.accepts is not None and node.emits is not None:
        before = steps[node.path].givers if node.path in steps else ()
        steps[node.path] = StepEntry(node.path, node.name, node.accepts, node.emits, _once(before, givers))
        given = (Giver(node.path, node.emits),)
        if node.undo is not None:
            _node(node.undo, given, steps)
        return given
    if node.kind == "wait":
        assert node.emits is not None
        kept = tuple(_filling(node.part, giver) for giver in givers) if node.part else ()
        return (*kept, Giver("", node.emits, node.name if node.part else "", signal=node.name))
    if node.kind in ("delay", "emit"):
        return givers
    if node.kind == "each":
        assert node.item is not None
        ends = _row(node.tracks[0].nodes, _items(givers, node.item), steps)
        return tuple(_filling(node.part, end) for end in ends)
    if node.kind == "repeat":
        ends = _row(node.tracks[0].nodes, givers, steps)
        return _row(
            node.tracks[0].nodes, ends, steps
        )  # once more: each round begins with what the one before made
    ends = ()
    for track in node.tracks:
        made = _row(track.nodes, givers, steps) if track.gives is None else ()
        ends += tuple(_filling(track.name, end) for end in made) if node.kind == "parallel" else made
    return _once(ends)


def _items(givers: Givers, item: ContractRef) -> Givers:
    return _once(replace(giver, contract=item, part="", item=True) for giver in givers)


def _filling(field: str, end: Giver) -> Giver:
    return replace(end, part=f"{field}.{end.part}" if end.part else field)


def _once(*givers: Iterable[Giver]) -> Givers:
    return tuple(dict.fromkeys(giver for some in givers for giver in some))
