"""Flow as a tree: a flow in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from handoffs.contracts.text import printable
from handoffs.coordinator.observe.nested import Item
from handoffs.coordinator.observe.outline import Outline, OutlineStep
from handoffs.coordinator.render.lines import connected, padded, wrapped

_GAP = 3


@dataclass(frozen=True, slots=True)
class _Line:
    """A step, or a way through one: its path, what it is, and what it accepts and emits."""

    path: str
    title: str
    style: str
    passes: str = ""

    @property
    def label(self) -> str:
        return f"{self.path}  {self.title}" if self.path else self.title


def flow_tree(flow: Outline, width: int) -> list[Text]:
    """The flow in lines of at most ``width`` cells: agents with their contracts, which stand beside them where there is room
    for all, and beneath them where there is not."""
    rows = list(connected(_items(flow.nodes)))
    agents = [(cell_len(first + line.label), cell_len(line.passes)) for first, _, line in rows if line.passes]
    column = max(label for label, _ in agents) + _GAP
    beside = column + max(passes for _, passes in agents) <= width
    made = [Text(line, "bold") for line in wrapped(flow.name, width)]
    made += [Text(line, "dim") for line in wrapped(f"starts with {flow.accepts}", width)]
    for first, rest, line in rows:
        made += _drawn(first, rest, line, column if beside else 0, width)
    return made


def _items(nodes: Sequence[OutlineStep]) -> list[Item[_Line]]:
    return [Item(_line(node), _ways(node)) for node in nodes]


def _line(node: OutlineStep) -> _Line:
    passes = f"→ {node.emits}" if node.emits else ""
    passes = f"{node.accepts} {passes}" if node.accepts else passes
    return _Line(printable(node.path, 400), node.title, "cyan" if node.kind == "agent" else "bold", passes)


def _ways(node: OutlineStep) -> list[Item[_Line]]:
    """What hangs beneath a step: its ways, or the steps of its only one."""
    if len(node.tracks) == 1 and not node.tracks[0].says:
        return _items(node.tracks[0].nodes)
    return [Item(_Line("", track.says, "italic"), _items(track.nodes)) for track in node.tracks]


def _drawn(first: str, rest: str, line: _Line, column: int, width: int) -> Iterator[Text]:
    start = f"{line.path}  " if line.path else ""
    shown = wrapped(line.title, width - max(cell_len(first + start), cell_len(rest)))
    head = Text.assemble((first, "dim"), (start, "dim"), (shown[0], line.style))
    if line.passes and column:
        yield head.append(padded("", column - head.cell_len)).append(line.passes, "green")
        return
    yield head
    for text in shown[1:]:
        yield Text.assemble((rest, "dim"), (text, line.style))
    for text in wrapped(line.passes, width - cell_len(rest)) if line.passes else ():
        yield Text.assemble((rest, "dim"), (text, "green"))
