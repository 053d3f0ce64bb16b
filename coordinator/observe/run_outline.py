"""Run outline: a run as its flow is nested, each step with how it is now. Many of a kind are folded: those with trouble and the first
few stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from handoffs.coordinator.flow import ways
from handoffs.coordinator.observe.current import Current
from handoffs.coordinator.observe.grouping import Part, grouped
from handoffs.coordinator.observe.outline import Outline, OutlineStep, Track
from handoffs.coordinator.observe.step_state import GOOD, kind_of, step_state, text_of

Entry = Mapping[str, Any]

LIVE = ("parked", "held", "retrying", "undoing", "stopped", "running", "delayed", "queued", "waiting")
"""The states of what somebody waits for, what needs a person first."""

NOT_TOLD = "not told"
"""The state of a step of a completed run of which the history tells nothing, or not yet."""

_NOT_BEGUN = "not begun"
_FINE = frozenset({"done", "skipped", "fallback", "undone", "not taken"})
_AHEAD = frozenset({"to come", _NOT_BEGUN})
_CAME = {"settled": "done", "deduplicated": "done", "gathered": "done", "passed over": "done"}
_AFTER = {"retried": "retrying", "waits": "retrying", "replayed": "queued", "edited": "queued", "refused": "waiting",
          "signalled": "done", "emitted": "done"}  # fmt: skip
_NOUNS = {"each": "item", "repeat": "round"}
_PASSED = frozenset({"wait", "delay", "emit", "choice"})
_NOW = "now"
_FEW, _LONG, _PAGE, _MOST = 12, 60, 50, 1_200


@dataclass(frozen=True, slots=True)
class Window:
    """Which of what is folded is wanted all the same: of the steps in ``path`` fifty, from number ``begin`` on, from 0."""

    path: str
    begin: int = 0


@dataclass(frozen=True, slots=True)
class RunStep:
    """A step of a run, or a way through one.

    kind
        That of the step (:mod:`handoffs.coordinator.observe.outline`); ``way`` for a branch, a case, an item, a round, a fallback.
    state
        ``done``, ``skipped``, ``fallback`` (that took its place), ``undone``, ``undoing``; ``parked``, ``held``, ``retrying``, ``running``,
        ``delayed``, ``queued``, ``waiting``; ``to come``; ``not taken`` (another way was); of a run that has ended ``not begun`` (where it
        is completed ``not told``), and ``stopped`` for what was at work then. Of what has steps within, that of those which matter most.
    says
        What it does now, or why it is parked, in words.
    at, took_ms
        When it began, and how long its agent ran.
    size, hidden
        How many are within, of each() and repeat(); and how many of those within are not in ``below``, from number ``shown_from`` on.
    """

    path: str
    kind: str
    title: str
    state: str
    says: str = ""
    attempts: int = 0
    at: datetime | None = None
    took_ms: float | None = None
    notes: tuple[str, ...] = ()
    below: tuple[RunStep, ...] = ()
    size: int = 0
    hidden: int = 0

    def to_json(self) -> dict[str, Any]:
        """As JSON values, without what is empty."""
        values = {
            "step": self.path, "kind": self.kind, "title": self.title, "state": self.state, "says": self.says,
            "attempts": self.attempts, "at": self.at.isoformat(timespec="milliseconds") if self.at else "",
            "took_ms": self.took_ms, "notes": list(self.notes), "size": self.size, "hidden": self.hidden,
            "below": [one.to_json() for one in self.below],
        }  # fmt: skip
        return {name: value for name, value in values.items() if value not in ("", None, 0, [])}


@dataclass(frozen=True, slots=True)
class RunOutline:
    """A run as it is drawn. ``counts`` has the agents' steps by their state, also those that are folded; ``is_flow`` says whether the
    flow is known, or only the paths in the history tell how the steps hang together."""

    steps: tuple[RunStep, ...]
    hidden: int
    counts: Mapping[str, int]
    is_flow: bool

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "steps": [one.to_json() for one in self.steps],
            "hidden": self.hidden,
            "counts": dict(self.counts),
            "is_flow": self.is_flow,
        }


def run_outline(
    history: Sequence[Entry],
    flow: Outline | None,
    doing: Iterable[Current] = (),
    *,
    ended: bool = False,
    completed: bool = False,
    window: Window | None = None,
) -> RunOutline:
    """How a run is drawn, by its ``history``, its ``flow`` as it is loaded here, and what it is ``doing``. ``ended``: it goes on no more;
    ``completed``: because all of it was done, so that a step of which nothing is told is ``not told``.

    Many parameters because each is read elsewhere.
    """
    now = {one.step: one for one in doing}
    told = [*history, *({"kind": _NOW, "step": path} for path in now)]
    root = grouped(told, flow)
    is_flow = flow is not None and (not root.parts or any(part.node for part in root.parts.values()))
    made = _Drawing(now, ended=ended, window=window)
    steps = made.sequence(flow.nodes if flow and is_flow else (), root, "")
    kept, hidden = made.folded(steps, "", _LONG)
    if completed:
        kept = tuple(_untold(one, made.counts) for one in kept)
    counts = {state: count for state, count in made.counts.most_common() if count > 0}
    return RunOutline(_pruned(kept), hidden, counts, is_flow)


class _Drawing:
    """Draws one run."""

    def __init__(self, now: Mapping[str, Current], *, ended: bool, window: Window | None) -> None:
        self._now = now
        self._ended = ended
        self._window = window
        self.counts: Counter[str] = Counter()

    def sequence(self, nodes: Sequence[OutlineStep], part: Part | None, prefix: str) -> list[RunStep]:
        """Steps one after another: those of the flow, and whatever else there is."""
        parts = dict(part.parts) if part else {}
        made = []
        for node in nodes:
            word = node.path.rpartition(".")[2]
            made.append(self._step(node, parts.pop(word, None), f"{prefix}{word}"))
        for word, other in parts.items():
            if word != ways.UNDO or other.parts:
                made.append(self._step(None, other, other.path))
        return made

    def folded(self, steps: Sequence[RunStep], path: str, most: int) -> tuple[tuple[RunStep, ...], int]:
        """Of many, those with trouble, the first few, and those of the window; and how many are left out."""
        kept = self._kept([one.state for one in steps], path, most)
        return tuple(steps[one] for one in kept), len(steps) - len(kept)

    def _kept(self, states: Sequence[str], path: str, most: int) -> Sequence[int]:
        """Which of those in these states stay."""
        if len(states) <= most:
            return range(len(states))
        rank = {state: number for number, state in enumerate(LIVE)}
        bad = [one for one, state in enumerate(states) if state in rank]
        kept = set(sorted(bad, key=lambda one: rank[states[one]])[:most])
        kept.update(range(max(most - len(kept), 3)))
        if self._window and self._window.path == path:
            kept.update(range(self._window.begin, min(self._window.begin + _PAGE, len(states))))
        return sorted(kept)

    def _step(self, node: OutlineStep | None, part: Part | None, path: str) -> RunStep:
        kind = node.kind if node else part.kind if part else ""
        if kind in ("agent", "wait", "delay", "emit") or (
            part is not None and node is None and not part.parts
        ):
            return self._leaf(kind or "agent", node, part, path)
        if kind == "flow" or not kind:
            within = self.sequence(node.tracks[0].nodes if node else (), part, f"{path}.")
        elif kind in _NOUNS and part is not None and part.parts:
            return self._again(kind, node, part, path)
        else:
            within = list(self._ways(kind, node, part, path))
        kept, hidden = self.folded(within, path, _LONG)
        title = node.title if node else kind or path
        return RunStep(
            path, kind or "way", title, self._of_those(kind, part, within), below=kept, hidden=hidden
        )

    def _again(self, kind: str, node: OutlineStep | None, part: Part, path: str) -> RunStep:
        """What is done for each item, or in rounds. Of many that are simply done no more is made than is shown."""
        track, items, noun = node.tracks[0] if node else None, list(part.parts.items()), _NOUNS[kind]

        def way(number: int) -> RunStep:
            word, inner = items[number]
            return self._way(f"{noun} {word[1:]}", track, inner, f"{path}.{word}", False)

        agents = _agents_of(track)
        plain = [agents > 0 and self._is_plain(inner, agents) for _, inner in items]
        made = {number: way(number) for number, is_plain in enumerate(plain) if not is_plain}
        kept = self._kept(
            [made[number].state if number in made else "done" for number in range(len(items))], path, _FEW
        )
        below = tuple(made[number] if number in made else way(number) for number in kept)
        self.counts["done"] += agents * (sum(plain) - sum(plain[number] for number in kept))
        size = len(items)
        title = f"{node.title if node else kind}: {size:,} {noun}{'' if size == 1 else 's'}"
        state = self._of_those(kind, part, [*made.values(), *below])
        return RunStep(path, kind, title, state, below=below, size=size, hidden=size - len(kept))

    def _is_plain(self, part: Part, agents: int) -> bool:
        """Whether so many agents and nothing else were at work there, and each is simply done."""
        return (
            len(part.parts) == agents
            and not part.entries
            and all(
                not step.parts and len(step.entries) == 1 and step.entries[0]["kind"] == "settled"
                for step in part.parts.values()
            )
        )

    def _ways(self, kind: str, node: OutlineStep | None, part: Part | None, path: str) -> Iterator[RunStep]:
        parts = dict(part.parts) if part else {}
        if kind in _NOUNS:  # nobody knows how many there will be
            for track in node.tracks if node else ():
                yield self._way(f"each {_NOUNS[kind]}", track, None, f"{path}.{track.name}", False)
            return
        taken = self._taken(kind, part)
        for track in node.tracks if node else ():
            found = parts.pop(track.name, None)
            untaken = found is None and track.name not in taken and bool(taken)
            yield self._way(_title(kind, track.name, track), track, found, f"{path}.{track.name}", untaken)
        for word, inner in parts.items():
            yield self._way(_title(kind, word, None), None, inner, f"{path}.{word}", False)

    def _way(self, title: str, track: Track | None, part: Part | None, path: str, untaken: bool) -> RunStep:
        nodes = track.nodes if track else ()
        if untaken:
            return RunStep(path, "way", title, "not taken")
        within = self.sequence(nodes, part, f"{path}.")
        if len(within) == 1 and within[0].kind == "agent" and not (part and part.entries):
            return replace(within[0], title=f"{title}: {within[0].title}")
        kept, hidden = self.folded(within, path, _LONG)
        return RunStep(path, "way", title, self._of_those("way", part, within), below=kept, hidden=hidden)

    def _taken(self, kind: str, part: Part | None) -> set[str]:
        """The ways that were taken, where that leaves others out."""
        if part is None:
            return set()
        if kind == "choice":
            passed = {ways.OTHERWISE} if not part.parts and not self._now.get(part.path) else set()
            return set(part.parts) | passed
        if kind == "budget":
            fell = {ways.WITHIN, ways.FALLBACK}
            if ways.FALLBACK in part.parts or any(kind_of(one) == "fallback" for one in part.entries):
                return fell
            return {ways.WITHIN} if self._is_done(part.parts.get(ways.WITHIN)) else fell
        return set()

    def _is_done(self, part: Part | None) -> bool:
        return (
            part is not None
            and all(
                step_state(inner.entries).state in GOOD
                for inner in part.parts.values()
                if inner.kind == "agent"
            )
            and not any(path.startswith(f"{part.path}.") for path in self._now)
        )

    def _passed(self, kind: str, part: Part | None) -> bool:
        return part is not None and kind in _PASSED

    def _of_those(self, kind: str, part: Part | None, within: Sequence[RunStep]) -> str:
        """The state of what has steps within."""
        entries = [one for one in part.entries if kind_of(one) != _NOW] if part else []
        own = self._now.get(part.path) if part else None
        states = {one.state for one in within} - {"not taken"}
        fell = any(kind_of(one) == "fallback" for one in entries) or (
            kind == "budget" and any(one.path.split(".")[-1:] == [ways.FALLBACK] or f".{ways.FALLBACK}." in one.path
                                     for one in within if one.state in {"done", "skipped"})
        )  # fmt: skip
        if fell:
            return "fallback"
        if own is not None:
            return _state_now(own)
        for state in LIVE:
            if state in states:
                return state
        if states and states <= _FINE:
            return "undone" if states == {"undone"} else "done"
        if states <= _AHEAD:
            passed = bool(entries) or self._passed(kind, part) or (not states and bool(within))
            return "done" if passed else _NOT_BEGUN if self._ended else "to come"
        return "stopped" if self._ended else "running"

    def _leaf(self, kind: str, node: OutlineStep | None, part: Part | None, path: str) -> RunStep:
        entries = [one for one in part.entries if kind_of(one) != _NOW] if part else []
        now, came = self._now.get(path), step_state(entries)
        state = self._state(kind, entries, came.state, now, is_there=part is not None)
        undone = part.undone if part else None
        if undone is not None:
            state = _undone(self._leaf("undo", None, undone, undone.path).state)
        if kind == "agent":
            self.counts[state] += 1
        agent = next(
            (text_of(one, "agent", 200) for one in entries if one.get("agent")), now.agent if now else ""
        )
        title = node.title if node else agent or kind
        says = (
            now.words()
            if now is not None and state not in _FINE
            else came.reason
            if state in ("parked", "stopped")
            else ""
        )
        return RunStep(
            path,
            kind,
            title,
            state,
            says,
            came.attempts,
            came.at if entries else None,
            came.took_ms,
            came.notes,
        )

    def _state(
        self, kind: str, entries: Sequence[Entry], came: str, now: Current | None, *, is_there: bool
    ) -> str:
        if entries and came in GOOD:
            return _CAME.get(came, came)
        if now is not None and not self._ended:
            return _state_now(now)
        if entries:
            after = "parked" if came == "parked" else _AFTER.get(kind_of(entries[-1]), "running")
            return "stopped" if self._ended and after not in _FINE else after
        if is_there and kind in _PASSED and now is None:
            return "done"
        return _NOT_BEGUN if self._ended else "to come"


def _agents_of(track: Track | None) -> int:
    """How many agents a way leads to, one after the other; 0 where it leads to anything else. Of one that is not known: one."""
    if track is None:
        return 1
    return len(track.nodes) if all(node.kind == "agent" for node in track.nodes) else 0


def _state_now(now: Current) -> str:
    return str(now.state)


def _undone(state: str) -> str:
    return "undone" if state in _FINE else "parked" if state == "parked" else "undoing"


def _title(kind: str, word: str, track: Track | None) -> str:
    """A way in words."""
    if kind == "budget":
        return "fallback" if word == ways.FALLBACK else "within the budget"
    if track is not None and track.says:
        return track.says
    return "otherwise" if word == ways.OTHERWISE else word


def _untold(step: RunStep, counts: Counter[str]) -> RunStep:
    """A step of a run that is completed: what has not begun was done, but for what a fallback took the place of."""
    if step.state == "fallback":
        return step
    below = tuple(_untold(one, counts) for one in step.below)
    if step.state != _NOT_BEGUN:
        return replace(step, below=below) if below else step
    if step.kind == "agent":
        counts.update({_NOT_BEGUN: -1, NOT_TOLD: 1})
    return replace(step, state=NOT_TOLD, below=below)


def _pruned(steps: Sequence[RunStep]) -> tuple[RunStep, ...]:
    """The same, with no more steps than can be looked at: what is deepest goes first."""
    room, level = _MOST - len(steps), [one for one in steps if one.below]
    cut: set[str] = set()
    while level:
        below: list[RunStep] = []
        for one in level:
            if len(one.below) > room:
                cut.add(one.path)
                continue
            room -= len(one.below)
            below += [inner for inner in one.below if inner.below]
        level = below
    return tuple(_without(one, cut) for one in steps) if cut else tuple(steps)


def _without(step: RunStep, cut: set[str]) -> RunStep:
    if step.path in cut:
        return replace(step, below=(), hidden=step.hidden + len(step.below))
    return replace(step, below=tuple(_without(one, cut) for one in step.below)) if step.below else step
