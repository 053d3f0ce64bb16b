"""Flow as Mermaid: a flow as a flowchart that GitHub, GitLab and many tools draw."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from handoffs.coordinator.observe.outline import Outline, OutlineStep, Track


def flow_mermaid(flow: Outline) -> str:
    """The flow as a Mermaid flowchart: a box a step, an arrow a handoff with what is handed over, a frame around what
    belongs together."""
    return _Chart().drawn(flow)


@dataclass(frozen=True, slots=True)
class _End:
    """Where an arrow begins, and what is said on it: ``way`` when it is taken, ``carries`` what."""

    box: str
    carries: str
    way: str = ""
    dotted: bool = False

    def to(self, box: str) -> str:
        shown = label(_both(self.way, self.carries))
        line = "-.->" if self.dotted else "-->"
        return f'{self.box} {line}|"{shown}"| {box}'


class _Chart:
    """One chart while it is drawn."""

    def __init__(self) -> None:
        self._boxes: list[str] = []
        self._arrows: list[tuple[_End, str]] = []
        self._depth = 0
        self._count = {"s": 0, "g": 0}

    def drawn(self, flow: Outline) -> str:
        self._box(f'start(["{label(flow.name)}"])')
        ends = self._row(flow.nodes, [_End("start", str(flow.accepts))])
        self._box("result([result])")
        self._join(ends, "result")
        return "\n".join(["flowchart TD", *self._boxes, *(f"  {end.to(box)}" for end, box in self._arrows)])

    def _row(self, nodes: Iterable[OutlineStep], ends: list[_End]) -> list[_End]:
        for node in nodes:
            ends = self._node(node, ends)
        return ends

    def _node(self, node: OutlineStep, ends: list[_End]) -> list[_End]:
        shown = label(f"{node.path}  {node.title}")
        match node.kind:
            case "agent":
                box = self._agent(node, ends)
                if node.undo:
                    undone = [_End(box, str(node.emits), "to undo it", dotted=True)]
                    self._agent(node.undo, undone)
                return [_End(box, str(node.emits))]
            case "delay" | "emit":
                box = self._step(f'{{{{"{shown}"}}}}', ends)
                return [_End(box, carries) for carries in dict.fromkeys(end.carries for end in ends)]
            case "wait":
                return [self._signal(node, self._step(f'[/"{shown}"/]', ends), ends)]
            case "parallel" | "choice":
                return self._ways(node, shown, ends)
            case "budget":
                return self._budget(node, shown, ends)
            case _:
                return self._framed(node, shown, ends)

    def _agent(self, node: OutlineStep, ends: list[_End]) -> str:
        return self._step(f'["{label(_both(f"{node.path}  {node.name}", node.tried))}"]', ends)

    def _ways(self, node: OutlineStep, shown: str, ends: list[_End]) -> list[_End]:
        """Branches at the same time, or the cases of a choice."""
        if node.kind == "parallel":
            return [end for track in node.tracks for end in self._branch(track, ends)]
        box = self._step(f'{{"{shown}"}}', ends)
        carries = ", ".join(dict.fromkeys(end.carries for end in ends))
        return [end for track in node.tracks for end in self._case(track, box, carries)]

    def _signal(self, node: OutlineStep, box: str, ends: list[_End]) -> _End:
        """What follows a signal: its payload, and where it is kept what arrived there."""
        if not node.part:
            return _End(box, str(node.emits))
        kept = dict.fromkeys(f"{node.part}: {end.carries}" for end in ends)
        return _End(box, _both(*kept, f"{node.name}: {node.emits}"))

    def _branch(self, track: Track, ends: list[_End]) -> list[_End]:
        return [
            replace(end, carries=f"{track.name}: {end.carries}") for end in self._row(track.nodes, list(ends))
        ]

    def _case(self, track: Track, box: str, carries: str) -> list[_End]:
        return self._row(track.nodes, [_End(box, "" if track.nodes else carries, track.says)])

    def _framed(self, node: OutlineStep, shown: str, ends: list[_End]) -> list[_End]:
        """A list, a repetition, or a flow within the flow."""
        [track] = node.tracks
        self._open(shown)
        if node.kind == "each":
            ends = [replace(end, way=_both(end.way, "each item"), carries=str(node.item)) for end in ends]
        before, givers = len(self._arrows), {end.box for end in ends}
        made = self._row(track.nodes, ends)
        self._close()
        if node.kind == "each":
            return [replace(end, carries=f"{node.part}: list of {end.carries}") for end in made]
        if node.kind == "repeat":
            new = [(end, box) for end, box in self._arrows[before:] if end.box in givers and not end.dotted]
            first = dict.fromkeys(box for _, box in new)
            self._join([replace(end, way="again", dotted=True) for end in made], *first)
        return made

    def _budget(self, node: OutlineStep, shown: str, ends: list[_End]) -> list[_End]:
        body, fallback = node.tracks
        self._open(shown)
        made = self._row(body.nodes, list(ends))
        spent = [replace(end, way=_both(end.way, f"after {node.says}"), dotted=True) for end in ends]
        if fallback.keeps:
            box = self._step(f'[("{label(fallback.keeps)}")]', spent)
            made += [_End(box, carries) for carries in dict.fromkeys(end.carries for end in made)]
            spent = [_End(box, "", "without one", dotted=True)]
        if fallback.gives:
            box = self._step(f'["{label(f"constant {fallback.gives}")}"]', spent)
            spent = [_End(box, str(fallback.gives))]
        made += self._row(fallback.nodes, spent)
        self._close()
        return made

    def _step(self, shape: str, ends: Sequence[_End]) -> str:
        """A box with the arrows that lead to it. Gives its id."""
        box = self._next("s")
        self._box(f"{box}{shape}")
        self._join(ends, box)
        return box

    def _join(self, ends: Iterable[_End], *boxes: str) -> None:
        self._arrows += [(end, box) for end in ends for box in boxes]

    def _open(self, shown: str) -> None:
        self._box(f'subgraph {self._next("g")}["{shown}"]')
        self._depth += 1

    def _close(self) -> None:
        self._depth -= 1
        self._box("end")

    def _box(self, line: str) -> None:
        self._boxes.append("  " * (self._depth + 1) + line)

    def _next(self, letter: str) -> str:
        self._count[letter] += 1
        return f"{letter}{self._count[letter]}"


def _both(*words: str) -> str:
    return ", ".join(word for word in words if word)


def label(text: str) -> str:
    """A text in quotes, with Mermaid's entities for what could end it."""
    return "".join(c if c.isalnum() or c in " .,-_/:" else f"#{ord(c)};" for c in text)
