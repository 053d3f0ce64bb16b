"""Timeline: what happened in a run, as lines that hang together, each with when it began, how long it took and waited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from handoffs.coordinator.flow import ways
from handoffs.coordinator.observe.grouping import Entry, Part, grouped
from handoffs.coordinator.observe.nested import Item
from handoffs.coordinator.observe.outline import Outline
from handoffs.coordinator.observe.summary import summary

_MOST = 12
_NOUNS = {"each": "item", "repeat": "round"}
_TROUBLE = frozenset({"parked", "retried", "waits", "late", "fallback", "replayed"})


@dataclass(frozen=True, slots=True)
class Span:
    """Seconds since the run was started: from when it could begin, when it began, when it ended."""

    ready: float
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Line:
    """What stands on a line: a step and what happened (``kind``), or with an empty kind what belongs together.

    ``moment``: it is told when it was, not how long it took. ``span`` is None where there is nothing to tell of time.
    """

    label: str
    kind: str = ""
    span: Span | None = None
    moment: bool = False
    came: str = ""


Lines = list[Item[Line]]


def timeline(history: Sequence[Entry], flow: Outline | None = None) -> Lines:
    """The lines of a run."""
    if not history:
        return []
    first = next(
        (entry for entry in history if entry["kind"] == "begun"), history[0]
    )  # what came before took no time of it
    return _Timeline(datetime.fromisoformat(first["at"])).run(grouped(history, flow))


class _Timeline:
    def __init__(self, began: datetime) -> None:
        self._began = began

    def run(self, root: Part) -> Lines:
        own = [Item(self._line(_subject(entry), entry, self._end(entry))) for entry in root.entries]
        kinds = [entry["kind"] for entry in root.entries]
        before = kinds.index("begun") + 1 if "begun" in kinds else 1
        steps, _ = self._row(list(root.parts.values()), 0.0)
        return [*own[:before], *steps, *own[before:]]

    def _row(self, parts: Sequence[Part], ready: float) -> tuple[Lines, float]:
        """Steps one after another; each could begin when the one before had ended."""
        made: Lines = []
        for part in parts:
            items, ready = self._step(part, ready) if part.is_step else self._track(part, "", ready)
            made += items
        return made, ready

    def _step(self, part: Part, ready: float, note: str = "") -> tuple[Lines, float]:
        kind = part.kind
        if kind == "agent":
            return self._entries(part, ready, note)
        label, end = f"{part.path}  {_title(part)}", ready
        if kind == "wait" and [entry["kind"] for entry in part.entries] == ["waiting"]:
            [entry] = part.entries
            return [Item(self._line(label, entry, ready))], self._end(entry)
        below: Lines = []
        parts = list(part.parts.values())
        if kind == "flow":
            below, end = self._row(parts, ready)
        elif kind == "choice" and len(parts) == 1:
            below, end = self._row(list(parts[0].parts.values()), ready)
        else:
            kept = _kept(parts) if kind in _NOUNS else parts
            for inner in parts:
                start = end if kind == "repeat" else ready
                items, ended = self._track(
                    inner, kind, self._first(inner) if inner.word == ways.FALLBACK else start
                )
                end = max(end, ended)
                below += items if inner in kept else []
            if len(kept) < len(parts):
                below.append(
                    Item(Line(f"… and {_counted(len(parts) - len(kept), _NOUNS[kind])} without trouble"))
                )
        for entry in part.entries:
            below.append(Item(self._line("instead" if entry["kind"] == "fallback" else "", entry, end)))
            end = max(end, self._end(entry))
        span = Span(self._first(part), self._first(part), end) if any(part.every()) else None
        return [Item(Line(label, span=span), below)], end

    def _track(self, part: Part, kind: str, ready: float) -> tuple[Lines, float]:
        """A way through a step. What is one agent needs no line for the way."""
        steps = list(part.parts.values())
        note = "  (fallback)" if kind == "budget" and part.word == ways.FALLBACK else ""
        if len(steps) == 1 and steps[0].kind == "agent" and not part.entries:
            return self._step(steps[0], ready, note)
        below, end = self._row(steps, ready)
        below += [Item(self._line(entry["kind"], entry, self._end(entry))) for entry in part.entries]
        return [Item(Line(_way(part, kind)), below)], end

    def _entries(self, part: Part, ready: float, note: str) -> tuple[Lines, float]:
        """What happened to one step: a line for the first thing, and what followed beneath it."""
        undone = part.undone
        if not part.entries and not undone:
            return [Item(Line(f"{part.path}  {_title(part)}"))], ready
        made: Lines = []
        for entry in part.entries:
            again = f"attempt {entry['attempt']}" if entry.get("attempt") else ""
            what = "wait" if entry["kind"] == "waiting" else "step"
            name = f"{part.path}  {entry.get('agent') or what}{note}"
            made.append(Item(self._line(again if made else name, entry, ready)))
            if entry["kind"] != "late":  # it came after another stood, and nothing waited for it
                ready = max(ready, self._end(entry))
        if undone:
            made += self._entries(undone, self._first(undone), "")[0]
        first, *others = made
        first.below += others
        return [first], ready

    def _line(self, label: str, entry: Entry, ready: float) -> Line:
        end, begin = self._end(entry), self._begin(entry)
        moment = entry.get("took_ms") is None
        span = Span(end if moment and entry["kind"] != "parked" else min(ready, begin), begin, end)
        return Line(label, entry["kind"], span, moment, summary(entry))

    def _end(self, entry: Entry) -> float:
        return max((datetime.fromisoformat(entry["at"]) - self._began).total_seconds(), 0.0)

    def _begin(self, entry: Entry) -> float:
        return max(self._end(entry) - (entry.get("took_ms") or 0) / 1000, 0.0)

    def _first(self, part: Part) -> float:
        return min(map(self._begin, part.every()), default=0.0)


def _subject(entry: Entry) -> str:
    """What something happened to that is told of no step."""
    return f"signal {entry['step']}" if entry.get("step") else "run"


def _kept(parts: list[Part]) -> list[Part]:
    """Of many items or rounds, those with trouble, and the first."""
    if len(parts) <= _MOST:
        return parts
    bad = [part for part in parts if any(entry["kind"] in _TROUBLE for entry in part.every())][:_MOST]
    first = [part for part in parts if part not in bad][: max(_MOST - len(bad), 0)]
    return [part for part in parts if part in bad or part in first]


def _title(part: Part) -> str:
    """The step in words: as the flow has them, or else what the paths tell."""
    words = part.node.title if part.node else part.kind
    if part.kind == "choice":
        taken = next(iter(part.parts.values()), None)
        if taken is not None:
            return f"{words}: {_way(taken, 'choice')}"
        return f"{words}: {part.node.tracks[-1].says}" if part.node else words
    noun = _NOUNS.get(part.kind)
    return f"{words}: {_counted(len(part.parts), noun)}" if noun else words


def _way(part: Part, kind: str) -> str:
    if kind == "budget":
        return "fallback" if part.word == ways.FALLBACK else "within the budget"
    if part.track is not None and part.track.says:
        return part.track.says
    if kind == "choice":
        return "otherwise" if part.word == ways.OTHERWISE else f"case {part.word[1:]}"
    return f"{_NOUNS[kind]} {part.word[1:]}" if kind in _NOUNS else part.word


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
