"""Tracing: makes the trace of a story from the histories of its runs. Pure; whatever they say, it ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from handoffs.coordinator.continuation.path import follows_event, hears_event, is_set, marked
from handoffs.coordinator.observe.chronicle import Chronicle, EmittedEvent, agent_of
from handoffs.coordinator.observe.step_state import Entry, StepState, step_state, text_of, time_of
from handoffs.coordinator.observe.trace import Trace, TraceNode

_WHICH, _LONGEST_WORD = 80, 40


@dataclass(frozen=True, slots=True)
class TraceFacts:
    """What others than the histories tell.

    statuses
        Of runs.
    unheard
        The ids of the events that are kept because no agent subscribes to them.
    fresh
        The ids of events which were not told of yet when it was asked what is outstanding: they may be.
    expects
        By agent, the field of an event that holds how many there are in its set.
    """

    statuses: Mapping[str, str] = field(default_factory=dict)
    unheard: Collection[str] = ()
    fresh: Collection[str] = ()
    expects: Mapping[str, str] = field(default_factory=dict)


class _Todo(NamedTuple):
    """A node to come: how it is made, of which run, and what it led to."""

    make: Callable[[int | None], TraceNode]
    run: str
    step: str | None = None
    event: str | None = None


def traced(asked: str, root: str, runs: Mapping[str, Chronicle], facts: TraceFacts | None = None) -> Trace:
    """The trace of the run or story ``root``, with those of ``runs`` that its events began. ``asked`` is the id that
    was asked for."""
    return _Tracing(runs, facts or TraceFacts()).trace(asked, root)


class _Tracing:
    def __init__(self, runs: Mapping[str, Chronicle], facts: TraceFacts) -> None:
        self._runs = runs
        self._facts = facts
        self._zero: datetime | None = None
        self._seen: set[tuple[str, str]] = set()
        self._last: dict[tuple[str, str], str] = {}
        """The step of the part that came last, by the step that has the set."""

    def trace(self, asked: str, root: str) -> Trace:
        first = next(filter(None, map(time_of, self._runs[root].entries)), None)
        self._zero = first
        for run, found in self._runs.items():
            for step, parts in found.sets.items():
                self._last[run, step] = text_of(parts[-1], "step")
        nodes: list[TraceNode] = []
        stack: list[tuple[int | None, _Todo]] = [(None, self._run(root))]
        while stack:
            parent, todo = stack.pop()
            nodes.append(todo.make(parent))
            number = len(nodes) - 1
            stack += [(number, below) for below in reversed(list(self._below(todo)))]
        return Trace(asked, first.isoformat(timespec="milliseconds") if first else "", tuple(nodes))

    def _below(self, todo: _Todo) -> Iterator[_Todo]:
        found = self._runs.get(todo.run)
        if found is None:
            return
        if todo.event is not None:
            yield from self._heard(found, todo.event)
        elif todo.step:
            yield from self._after(found, todo.step)
        else:
            yield from self._within(found)

    # A run

    def _run(self, run: str) -> _Todo:
        self._seen.add((run, ""))
        return _Todo(lambda parent: self._run_node(run, parent), run)

    def _run_node(self, run: str, parent: int | None) -> TraceNode:
        found = self._runs.get(run)
        status = self._facts.statuses.get(run, "")
        if found is None:
            return TraceNode("run", parent, "a run that was not followed", status, run)
        at = next(filter(None, map(time_of, found.entries)), None)
        kind = found.is_story or not found.flow
        return TraceNode("story" if kind else "run", parent, found.flow, status, run, at_ms=self._ms(at))

    def _within(self, found: Chronicle) -> Iterator[_Todo]:
        """What a run begins with, its steps, and at last whatever hangs on nothing that is told of."""
        yield from self._events(found, "")
        for step in found.steps:
            if not hears_event(step) and not is_set(step):
                yield from self._work(found, step, "step")
        for step, agent in found.waiting.get("", ()):
            if not is_set(step):
                yield from self._work(found, step, "step", agent)
        yield from self._loose(found)

    def _loose(self, found: Chronicle) -> Iterator[_Todo]:
        """What hangs on nothing that is told of."""
        for event in found.hearings:
            if event not in found.events:
                yield from self._untold(found, event)
        for step in found.steps:
            if is_set(step) and (found.run, step) not in self._last:
                yield from self._work(found, step, "set")
        for event, waiting in found.waiting.items():
            unclear = all(agent in found.unclear for _, agent in waiting)  # it is one of several events
            if event and event not in found.events and not (event.startswith("@") and unclear):
                yield from self._untold(found, event)
        for at in found.triggered:
            if at.removeprefix("!") not in found.events and at not in found.steps:
                yield from self._triggered(found, at)

    # Events

    def _events(self, found: Chronicle, step: str) -> Iterator[_Todo]:
        for emission in found.emitted.get(step, ()):
            if self._new(found.run, f"!{emission.id}"):
                yield self._event(found, emission)

    def _event(self, found: Chronicle, emission: EmittedEvent) -> _Todo:
        def node(parent: int | None) -> TraceNode:
            heard = len(
                {agent_of(step, ()) for step in found.hearings.get(emission.id, ())} | set(emission.heard)
            )
            triggered = len(found.triggered.get(f"!{emission.id}", ()))
            unread = not heard and not triggered
            state = "unheard" if unread or emission.id in self._facts.unheard else "emitted"
            at, which = time_of(emission.entry), _fields(emission.entry.get("output"))
            return TraceNode(
                "event", parent, emission.contract, state, found.run, message=emission.id, at_ms=self._ms(at),
                which=which, size=heard + triggered,
            )  # fmt: skip

        return _Todo(node, found.run, event=emission.id)

    def _untold(self, found: Chronicle, event: str) -> Iterator[_Todo]:
        """An event of which nothing is told but who hears it: a flow emits it after a join, or at its start."""
        if not self._new(found.run, f"!{event}"):
            return

        def node(parent: int | None) -> TraceNode:
            steps = found.hearings.get(event, ())
            read = next(
                (text_of(one, "read", 200) for step in steps for one in found.steps[step] if one.get("read")),
                "",
            )
            message = "" if event.startswith("@") else event
            return TraceNode("event", parent, read, "emitted", found.run, message=message, size=len(steps))

        yield _Todo(node, found.run, event=event)

    def _heard(self, found: Chronicle, event: str) -> Iterator[_Todo]:
        """Those who hear an event, and the runs that it began."""
        emission = found.events.get(event)
        steps = found.hearings.get(event, [])
        for step in steps:
            yield from self._work(found, step, "hearing")
        there = {agent_of(step, found.steps[step]) for step in steps}
        if emission is not None:
            silent = (agent for agent in emission.heard if agent not in there)
            yield from (self._silent(found, emission, agent) for agent in silent)
        else:
            for step, agent in found.waiting.get(event, ()):
                yield from self._work(found, step, "hearing", agent)
        yield from self._triggered(found, f"!{event}")

    def _triggered(self, found: Chronicle, at: str) -> Iterator[_Todo]:
        """The runs that began there, once."""
        yield from (
            self._run(run) for run in found.triggered.get(at, ()) if run and (run, "") not in self._seen
        )

    def _silent(self, found: Chronicle, emission: EmittedEvent, agent: str) -> _Todo:
        """An agent that hears an event, of which no entry tells."""
        step = marked(agent, emission.mark) if emission.mark else ""
        state = self._silence(found, emission, agent, step)
        return _Todo(
            lambda parent: TraceNode("hearing", parent, agent, state, found.run, step), found.run, step="-"
        )

    def _silence(self, found: Chronicle, emission: EmittedEvent, agent: str, step: str) -> str:
        if found.cancelled and found.is_story:
            return "cancelled"
        if found.outstanding is None:
            return "unknown"
        if emission.id in self._facts.fresh or emission.id in self._facts.unheard:
            return "open"
        if step:
            return "open" if step in found.outstanding else "passed over"
        return "open" if agent in found.adrift else "passed over"

    # Work

    def _after(self, found: Chronicle, step: str) -> Iterator[_Todo]:
        """What a step led to: the events that it emitted, and the sets that were whole with it."""
        yield from self._events(found, step)
        yield from self._triggered(found, step)
        for entry in found.steps.get(step, ()):
            into = text_of(entry, "into")
            if into and self._last.get((found.run, into)) == step:
                yield from self._work(found, into, "set")

    def _work(self, found: Chronicle, step: str, kind: Any, agent: str = "") -> Iterator[_Todo]:
        if self._new(found.run, step):
            yield _Todo(lambda parent: self._worked(found, step, kind, agent, parent), found.run, step=step)

    def _worked(self, found: Chronicle, step: str, kind: Any, agent: str, parent: int | None) -> TraceNode:
        entries = found.steps.get(step, [])
        came = step_state(entries)
        parts = found.sets.get(step, []) if kind == "set" else []
        given = next((entry.get("input") for entry in entries if entry.get("input")), None)
        name = agent_of(step, entries) or agent
        return TraceNode(
            kind, parent, name, self._state(found, step, came), found.run, step, read=came.read,
            at_ms=self._ms(came.at), took_ms=came.took_ms, attempts=came.attempts,
            which=_fields(given) if kind != "set" else "", reason=came.reason, notes=came.notes,
            size=len({text_of(part, "step") for part in parts}), expected=self._expected(name, parts),
        )  # fmt: skip

    def _state(self, found: Chronicle, step: str, came: StepState) -> str:
        """What became of a step; where its run was cancelled, of what was not done yet. A fact goes on all the same."""
        waits = came.state in {"parked", "open"}
        return (
            "cancelled"
            if waits and found.cancelled and (found.is_story or not follows_event(step))
            else came.state
        )

    def _expected(self, agent: str, parts: Sequence[Entry]) -> int | None:
        name = self._facts.expects.get(agent)
        for part in reversed(parts) if name else ():
            given = part.get("input")
            number = given.get(name) if isinstance(given, Mapping) else None
            if type(number) is int and number >= 0:
                return number
        return None

    def _new(self, run: str, what: str) -> bool:
        """Whether it is the first time: a history that goes in a circle ends there."""
        if (run, what) in self._seen:
            return False
        self._seen.add((run, what))
        return True

    def _ms(self, at: datetime | None) -> float | None:
        if at is None or self._zero is None:
            return None
        return max(round((at - self._zero).total_seconds() * 1000, 1), 0.0)  # clocks differ


def _fields(value: Any) -> str:
    """The short fields of an input, to tell it from others. They are masked already."""
    if not isinstance(value, Mapping):
        return ""
    if isinstance(value.get("data"), Mapping) and isinstance(value.get("contract"), str):
        value = value["data"]  # an event of any contract
    words: list[str] = []
    room = _WHICH
    for name, one in value.items():
        if isinstance(one, (str, int, float)):
            plain = type(one) is int or (
                type(one) is str and one.isalnum()
            )  # most are, and JSON takes its time
            shown = (
                f'"{one}"'
                if plain and type(one) is str
                else str(one)
                if plain
                else json.dumps(one, ensure_ascii=False)
            )
            word = f"{name[:40]}={shown}"
            room -= len(word)
            if len(word) > _LONGEST_WORD or room < 0:
                break
            words.append(word)
    return " ".join(words)
