"""Grouping: a run's history, grouped as its flow is nested."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from handoffs.coordinator.flow import ways
from handoffs.coordinator.observe.outline import Outline, OutlineStep, Track, every

Entry = Mapping[str, Any]
_DEEPEST = 40
_NUMBERED = re.compile(r"([a-z]?)(\d{1,9})")
_LAST = frozenset({ways.FALLBACK})
_SIGNALS = frozenset({"signalled", "refused"})
_KINDS = {"c": "choice", "i": "each", "r": "repeat"}


@dataclass(slots=True, eq=False)
class Part:
    """A step of a run, or a way through one, with what happened there. ``word`` is the last of its path, ``node`` is the step as the flow has it, ``track`` the
    way, where the flow is known."""

    path: str
    word: str
    entries: list[Entry] = field(default_factory=list)
    parts: dict[str, Part] = field(default_factory=dict)
    node: OutlineStep | None = None
    track: Track | None = None

    @property
    def is_step(self) -> bool:
        """Whether it is a step, and no way through one."""
        return self.word.isdigit()

    @property
    def undone(self) -> Part | None:
        """What undid the step. A branch may have that name too, and has steps."""
        found = self.parts.get(ways.UNDO)
        return found if found is not None and not found.parts else None

    @property
    def kind(self) -> str:
        """What kind of step it is, by the flow, or else by the paths within it; of a way, empty."""
        if not self.is_step or (self.node is None and (not self.parts or self.undone)):
            return "agent" if self.is_step else ""
        return self.node.kind if self.node else _guessed(next(iter(self.parts)))

    def every(self) -> Iterator[Entry]:
        """What happened there and within it."""
        yield from self.entries
        for part in self.parts.values():
            yield from part.every()


def grouped(history: Sequence[Entry], flow: Outline | None = None) -> Part:
    """The steps of a run as they are nested, in the order of the flow. What belongs to no step is in ``entries``.

    ``flow`` adds what only a flow tells. It is left aside where the run has an agent in another place: then it was started
    with another flow of that name.
    """
    root = Part("", "")
    known = flow if flow is not None and _fits(history, flow) else None
    waits = _waits(known) if known else {}
    for entry in history:
        part, step = root, str(entry.get("step") or "")
        if entry["kind"] in _SIGNALS:  # there it is the signal's name
            step = waits.get(step, "")
        for token in _tokens(step):
            path = f"{part.path}.{token}" if part.path else token
            part = part.parts.setdefault(token, Part(path, token))
        part.entries.append(entry)
    if known:
        _know_steps(root, known.nodes)
    _sort(root)
    return root


def _tokens(path: str) -> list[str]:
    if not path:
        return []
    tokens = path.split(".")
    return tokens if len(tokens) <= _DEEPEST else [path]


def _waits(flow: Outline) -> dict[str, str]:
    """Where a signal is waited for, by its name, if it is at one place and once."""
    nodes = [node for node in every(flow.nodes) if node.kind == "wait"]
    counts = Counter(node.name for node in nodes)
    return {node.name: node.path for node in nodes if counts[node.name] == 1 and "*" not in node.path}


def _fits(history: Sequence[Entry], flow: Outline) -> bool:
    agents = {node.path: node.name for node in every(flow.nodes) if node.kind == "agent"}
    known = set(agents.items())
    return all(
        any((place, entry["agent"]) in known for place in _templates(entry["step"]))
        for entry in history
        if entry.get("agent") and entry.get("step")
    )


def _templates(path: str) -> Iterator[str]:
    """The path in a flow of a step in a run; and the path as it is, where a branch has a name like an item's."""
    yield re.sub(r"\.([ir])\d+(?=\.)", r".\1*", path)
    yield path


def _know_steps(part: Part, nodes: Sequence[OutlineStep]) -> None:
    """Tell the steps of a sequence which they are, and add what happened without leaving an entry."""
    found = {node.path.rpartition(".")[2]: node for node in nodes}
    reached = max((int(token) for token in part.parts if token.isdigit()), default=0)
    for token, node in found.items():
        passed = node.kind in ("delay", "wait", "emit") or (
            node.kind == "choice" and not node.tracks[-1].nodes
        )
        if token not in part.parts and passed and int(token) < reached:
            path = f"{part.path}.{token}" if part.path else token
            part.parts[token] = Part(path, token)
        if token in part.parts:
            _know(part.parts[token], node)


def _know(part: Part, node: OutlineStep) -> None:
    part.node = node
    if node.kind == "flow":
        _know_steps(part, node.tracks[0].nodes)
        return
    tracks = {track.name: track for track in node.tracks}
    for token, inner in part.parts.items():
        track = tracks.get(f"{token[0]}*" if node.kind in ("each", "repeat") else token)
        if track is not None:
            inner.track = track
            _know_steps(inner, track.nodes)


def _sort(part: Part) -> None:
    if len(part.parts) < 2:
        for inner in part.parts.values():
            _sort(inner)
        return
    order = [track.name for track in part.node.tracks] if part.node else []
    kind = part.kind

    def rank(token: str) -> tuple[int, int]:
        if token in order:
            return order.index(token), 0
        numbered = _NUMBERED.fullmatch(token)
        if numbered and kind != "parallel":
            return 0, int(numbered[2])
        return int(token in _LAST), 0

    part.parts = {token: part.parts[token] for token in sorted(part.parts, key=rank)}
    for inner in part.parts.values():
        _sort(inner)


def _guessed(way: str) -> str:
    """What kind of step has a way of that name."""
    numbered = _NUMBERED.fullmatch(way)
    if numbered:
        return _KINDS.get(numbered[1], "parallel") if numbered[1] else "flow"
    return "budget" if way in (ways.WITHIN, ways.FALLBACK) else "parallel"
