"""Diagram: a flow as boxes, which wrap on a narrow screen and print."""

from __future__ import annotations

from collections.abc import Mapping

from coordinator.catalogue.elements import Markup, join, listed, prose, tag
from coordinator.catalogue.links import chip, link
from coordinator.catalogue.model import FlowEntry, Fork, Giver, Row, StepEntry


def diagram(flow: FlowEntry, notes: Mapping[str, str]) -> Markup:
    """The steps from start to result, a box each; branches side by side; on each arrow, what is handed over.

    ``notes`` says, by agent, what stands in its box besides its name.
    """
    return tag(
        "div",
        tag("div", "start", class_="end"),
        _row(flow.row, notes),
        _arrow(flow.results, None),
        tag("div", "result", class_="end"),
        class_="diagram",
    )


def _row(row: Row, notes: Mapping[str, str]) -> Markup:
    return join(*(_fork(part, notes) if isinstance(part, Fork) else _step(part, notes) for part in row))


def _step(step: StepEntry, notes: Mapping[str, str]) -> Markup:
    number, note = tag("span", step.path, class_="path"), notes.get(step.agent)
    said = tag("div", prose(note), class_="note") if note else None
    return join(_arrow(step.givers, step), tag("div", number, link("agent", step.agent), said, class_="step"))


def _fork(fork: Fork, notes: Mapping[str, str]) -> Markup:
    branches = [
        tag("div", tag("div", name, class_="name"), _row(row, notes), class_="branch")
        for name, row in fork.branches
    ]
    return tag("div", *branches, class_="fork")


def _arrow(givers: tuple[Giver, ...], taker: StepEntry | None) -> Markup:
    """What goes over an arrow: what is given, and what it is read as or joined into where that is another thing."""
    given = list(dict.fromkeys(giver.contract for giver in givers))
    shown = listed([chip(ref) for ref in given], " ")
    if taker is not None and any(giver.part for giver in givers):
        shown = join("joined into ", chip(taker.accepts))
    elif taker is not None and given != [taker.accepts]:
        shown = join(shown, " read as ", chip(taker.accepts))
    return tag("div", shown, class_="arrow")
