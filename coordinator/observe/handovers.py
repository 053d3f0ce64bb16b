"""Handovers: the steps of a flow, and who hands over to whom."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from handoffs.contracts.contract import ContractRef
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.observe.outline import Outline, OutlineStep, outline


@dataclass(frozen=True, slots=True)
class InputSource:
    """Where a step gets its input: the step of that ``path``, empty for the start, which gives ``contract``. ``part`` is
    the field of a join that it fills. ``item``: what is given are the items of a list in what it emits. ``signal``: it comes
    from outside, as the signal of that name."""

    path: str
    contract: ContractRef
    part: str = ""
    item: bool = False
    signal: str = ""


@dataclass(frozen=True, slots=True)
class StepInputs:
    """An agent's place in a flow, and what it gets from whom."""

    path: str
    agent: str
    accepts: ContractRef
    emits: ContractRef
    sources: tuple[InputSource, ...]


@dataclass(frozen=True, slots=True)
class FlowHandovers:
    """A flow: its agents' places in order, and ``outline``, all of its steps as they are nested. ``results`` are its last
    ones."""

    name: str
    accepts: ContractRef
    steps: tuple[StepInputs, ...]
    outline: Outline
    results: tuple[InputSource, ...]

    def at(self, path: str) -> StepInputs:
        """The agent's place of that path, which is one of ``steps``."""
        return next(step for step in self.steps if step.path == path)


Sources = tuple[InputSource, ...]


def handovers(flow: Flow) -> FlowHandovers:
    """What the documents tell of a flow."""
    drawn = outline(flow)
    steps: dict[str, StepInputs] = {}
    results = _row(drawn.nodes, (InputSource("", drawn.accepts),), steps)
    return FlowHandovers(flow.name, drawn.accepts, tuple(steps.values()), drawn, results)


def contracts_of(sources: Iterable[InputSource]) -> list[ContractRef]:
    """The contracts that are given, each once, in order."""
    return list(dict.fromkeys(source.contract for source in sources))


def _row(nodes: Iterable[OutlineStep], sources: Sources, steps: dict[str, StepInputs]) -> Sources:
    """Who gives what follows a sequence; adds its steps to ``steps``."""
    for node in nodes:
        sources = _node(node, sources, steps)
    return sources


def _node(node: OutlineStep, sources: Sources, steps: dict[str, StepInputs]) -> Sources:
    if node.accepts is not None and node.emits is not None:
        before = steps[node.path].sources if node.path in steps else ()
        steps[node.path] = StepInputs(node.path, node.name, node.accepts, node.emits, _once(before, sources))
        given = (InputSource(node.path, node.emits),)
        if node.undo is not None:
            _node(node.undo, given, steps)
        return given
    if node.kind == "wait":
        assert node.emits is not None
        kept = tuple(_filling(node.part, source) for source in sources) if node.part else ()
        return (*kept, InputSource("", node.emits, node.name if node.part else "", signal=node.name))
    if node.kind in ("delay", "emit"):
        return sources
    if node.kind == "each":
        assert node.item is not None
        ends = _row(node.tracks[0].nodes, _items(sources, node.item), steps)
        return tuple(_filling(node.part, end) for end in ends)
    if node.kind == "repeat":
        ends = _row(node.tracks[0].nodes, sources, steps)
        return _row(
            node.tracks[0].nodes, ends, steps
        )  # once more: each round begins with what the one before made
    ends = ()
    for track in node.tracks:
        made = _row(track.nodes, sources, steps) if track.gives is None else ()
        ends += tuple(_filling(track.name, end) for end in made) if node.kind == "parallel" else made
    return _once(ends)


def _items(sources: Sources, item: ContractRef) -> Sources:
    return _once(replace(source, contract=item, part="", item=True) for source in sources)


def _filling(field: str, end: InputSource) -> InputSource:
    return replace(end, part=f"{field}.{end.part}" if end.part else field)


def _once(*sources: Iterable[InputSource]) -> Sources:
    return tuple(dict.fromkeys(source for some in sources for source in some))
