"""Diagram: a flow as boxes, which wrap on a narrow screen and print."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

from handoffs.coordinator.docs.elements import Markup, join, listed, prose, tag
from handoffs.coordinator.docs.links import chip, link
from handoffs.coordinator.observe.handovers import FlowHandovers, InputSource, StepInputs
from handoffs.coordinator.observe.outline import OutlineStep, Track


def diagram(flow: FlowHandovers, notes: Mapping[str, str], told: Container[str]) -> Markup:
    """The steps from start to result, a box each; branches, and the cases of a choice, side by side; on each arrow, what is
    handed over.

    ``notes`` says, by agent, what stands in its box besides its name. ``told`` are the flows to which there is something to
    link.
    """
    return tag(
        "div",
        tag("div", "start", class_="end"),
        _Boxes(flow, notes, told).row(flow.outline.nodes),
        _arrow(flow.results, None),
        tag("div", "result", class_="end"),
        class_="diagram",
    )


class _Boxes:
    def __init__(self, flow: FlowHandovers, notes: Mapping[str, str], told: Container[str]) -> None:
        self._steps = {step.path: step for step in flow.steps}
        self._notes = notes
        self._told = told

    def row(self, nodes: Iterable[OutlineStep]) -> Markup:
        return join(*map(self._node, nodes))

    def _node(self, node: OutlineStep) -> Markup:
        if node.kind == "agent":
            undo = join("undone by ", link("agent", node.undo.name)) if node.undo else None
            return self._step(self._steps[node.path], node.tried, undo)
        if node.kind == "parallel":
            return self._tracks(node)
        linked = node.kind == "flow" and node.name in self._told
        said = join("flow ", link("flow", node.name)) if linked else join(node.title)
        head = tag("div", tag("span", node.path, class_="path"), said, class_="control")
        return join(head, self._tracks(node) if node.tracks else None)

    def _tracks(self, node: OutlineStep) -> Markup:
        return tag("div", *map(self._track, node.tracks), class_="fork")

    def _track(self, track: Track) -> Markup:
        name = tag("div", track.says, class_="name") if track.says else None
        return tag("div", name, self.row(track.nodes), class_="branch")

    def _step(self, step: StepInputs, tried: str, undo: Markup | None) -> Markup:
        number, note = tag("span", step.path, class_="path"), self._notes.get(step.agent)
        said = tag("div", prose(note), class_="note") if note else None
        more = [tag("div", one, class_="note") for one in (tried, undo) if one]
        box = tag("div", number, link("agent", step.agent), said, *more, class_="step")
        return join(_arrow(step.sources, step), box)


def _arrow(sources: tuple[InputSource, ...], taker: StepInputs | None) -> Markup:
    """What goes over an arrow: what is given, and what it is read as or joined into where that is another thing."""
    given = list(dict.fromkeys(source.contract for source in sources))
    shown = listed([chip(ref) for ref in given], " ")
    if taker is not None and any(source.part for source in sources):
        shown = join("joined into ", chip(taker.accepts))
    elif taker is not None and given != [taker.accepts]:
        shown = join(shown, " read as ", chip(taker.accepts))
    return tag("div", shown, class_="arrow")
