"""Outline: a flow as it is drawn: its steps as they are nested, each with its path and what it does in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from handoffs.contracts.contract import ContractRef
from handoffs.contracts.text import printable
from handoffs.coordinator.continuation.path import undo_of
from handoffs.coordinator.flow import ways
from handoffs.coordinator.flow.agent_step import AgentStep, agent_step
from handoffs.coordinator.flow.budget import Budget, Cached, Constant
from handoffs.coordinator.flow.condition import Both, Condition
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.retry import Retry
from handoffs.coordinator.flow.signal import WaitFor
from handoffs.coordinator.flow.step import Choice, Delay, Each, Emit, Parallel, Repeat, Step, positions
from handoffs.coordinator.observe.words import duration

Kind = Literal["agent", "parallel", "choice", "each", "repeat", "delay", "budget", "flow", "wait", "emit"]
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class OutlineStep:
    """A step. ``name`` is the agent's or the flow's, ``says`` what else there is to say of it."""

    kind: Kind
    path: str
    name: str = ""
    says: str = ""
    accepts: ContractRef | None = None
    emits: ContractRef | None = None
    tracks: tuple[Track, ...] = ()
    part: str = ""
    """The field into which the outputs of items go, or what arrived where a signal is waited for."""
    item: ContractRef | None = None
    """The contract of an item."""
    undo: OutlineStep | None = None
    """The agent that undoes what this one did."""
    retry: Retry | None = None
    """How failures are treated there, where the flow says it."""

    @property
    def title(self) -> str:
        """``shop.price``; ``choice``; ``delay 5 min``; ``flow shop.checkout``."""
        if self.kind == "agent":
            tried = f", {self.tried}" if self.tried else ""
            undone = f", undone by {self.undo.title}" if self.undo else ""
            return f"{self.name}{tried}{undone}"
        if self.kind == "wait":
            return f"wait for {self.name}{self.says}"
        return " ".join(word for word in (self.kind, self.name, self.says) if word)

    @property
    def tried(self) -> str:
        """How often the flow has an agent tried there, in words; empty where that is the agent's own affair."""
        return _tried(self.retry) if self.retry else ""


@dataclass(frozen=True, slots=True)
class Track:
    """One way through a step. ``name`` is its name in paths: a branch's, ``c1``, ``i*``, ``r*``, ``b``, ``f``; empty for a
    flow within. ``says`` tells when it is taken. Without a step, what arrives passes on; or else ``gives`` does."""

    name: str
    says: str
    nodes: tuple[OutlineStep, ...]
    gives: ContractRef | None = None
    keeps: str = ""
    """What is tried before its steps: the last good outcome."""


@dataclass(frozen=True, slots=True)
class Outline:
    """A flow: its name, what starts it, and its steps."""

    name: str
    accepts: ContractRef
    nodes: tuple[OutlineStep, ...]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "flow": self.name,
            "accepts": str(self.accepts),
            "steps": [_json(node) for node in self.nodes],
        }


def outline(flow: Flow) -> Outline:
    """How ``flow`` is drawn."""
    return Outline(flow.name, flow.accepts.ref(), _nodes(flow, flow.step, ""))


def every(nodes: tuple[OutlineStep, ...]) -> Iterator[OutlineStep]:
    """The nodes and those within them, in order."""
    for node in nodes:
        yield node
        if node.undo:
            yield node.undo
        for track in node.tracks:
            yield from every(track.nodes)


def _nodes(flow: Flow, step: Step, prefix: str) -> tuple[OutlineStep, ...]:
    return tuple(_node(flow, part, path) for path, part in positions(step, prefix))


def _node(flow: Flow, part: Step, path: str) -> OutlineStep:
    done = agent_step(part)
    if done is not None:
        return _agent(done, path)
    match part:
        case Flow():
            return OutlineStep("flow", path, part.name, tracks=(_track(flow, part.step, path),))
        case Parallel():
            tracks = tuple(_track(flow, step, path, name, name) for name, step in part.branches)
            return OutlineStep("parallel", path, tracks=tracks)
        case WaitFor():
            return _wait(part, path)
        case Choice():
            return OutlineStep("choice", path, tracks=tuple(_cases(flow, part, path)))
        case _:
            return _again(flow, part, path)


def _agent(done: AgentStep, path: str) -> OutlineStep:
    agent = done.agent
    undo = _agent(done.undo, undo_of(path)) if done.undo else None
    accepts, emits = agent.accepts.ref(), agent.emits.ref()
    return OutlineStep("agent", path, agent.name, accepts=accepts, emits=emits, undo=undo, retry=done.retry)


def _tried(policy: Retry) -> str:
    """``up to 6 attempts, 2 s apart``; ``up to 6 attempts, 2 s to 10 min apart``; ``one attempt``."""
    if policy.attempts == 1:
        return "one attempt"
    first, last = policy.range()
    waits = duration(first) if first == last else f"{duration(first)} to {duration(last)}"
    return f"up to {policy.attempts} attempts, {waits} apart"


def _wait(part: WaitFor, path: str) -> OutlineStep:
    says = f", beside {part.keep}" if part.keep else ""
    if part.timeout and part.otherwise:
        says += f", up to {duration(part.timeout)}, else a constant"
    return OutlineStep("wait", path, part.name, says, emits=part.contract.ref(), part=part.keep or "")


def _again(flow: Flow, part: Step, path: str) -> OutlineStep:
    """What sends a step more than once, or at a time of its own."""
    if isinstance(part, Each):
        some = f", {part.limit} at a time" if part.limit else ""
        says = f"of {part.field} into {part.into}{some}"
        item, tracks = flow.items[path].ref(), (_track(flow, part.step, path, ways.ITEM),)
        return OutlineStep("each", path, says=says, tracks=tracks, part=part.into, item=item)
    if isinstance(part, Repeat):
        says = f"until {_words(part.until)}, at most {part.at_most} times"
        return OutlineStep("repeat", path, says=says, tracks=(_track(flow, part.step, path, ways.ROUND),))
    if isinstance(part, Delay):
        return OutlineStep("delay", path, says=duration(part.wait))
    if isinstance(part, Emit):
        return OutlineStep("emit", path, says=str(flow.events[path].ref()))
    assert isinstance(part, Budget)
    both = (_track(flow, part.step, path, ways.WITHIN, "in time"), _fallback(flow, part, path))
    return OutlineStep("budget", path, says=duration(part.within), tracks=both)


def _track(flow: Flow, step: Step, path: str, name: str = "", says: str = "") -> Track:
    return Track(name, says, _nodes(flow, step, f"{path}.{name}." if name else f"{path}."))


def _cases(flow: Flow, part: Choice, path: str) -> Iterator[Track]:
    for number, (condition, step) in enumerate(part.cases, 1):
        yield _track(flow, step, path, ways.case(number), f"when {_words(condition)}")
    if part.otherwise is None:
        yield Track(ways.OTHERWISE, "otherwise it passes on as it is", ())
    else:
        yield _track(flow, part.otherwise, path, ways.OTHERWISE, "otherwise")


def _fallback(flow: Flow, part: Budget, path: str) -> Track:
    taken, keeps = part.fallback, ""
    if isinstance(taken, Cached):
        keeps = f"the last outcome for the same {', '.join(taken.by)}, up to {duration(taken.max_age)} old"
        taken = taken.otherwise
    says = f"else {keeps}; without one" if keeps else "else"
    if isinstance(taken, Constant):
        gives = taken.payload.ref()
        return Track(ways.FALLBACK, f"{says} a constant {gives}", (), gives, keeps)
    assert isinstance(taken, Step)
    return replace(_track(flow, taken, path, ways.FALLBACK, says), keeps=keeps)


def _words(condition: Condition) -> str:
    shown = str(condition)
    return printable(shown[1:-1] if isinstance(condition, Both) else shown, _LONGEST)


def _json(node: OutlineStep) -> dict[str, Any]:
    made: dict[str, Any] = {"step": node.path, "kind": node.kind}
    made |= {word: shown for word, shown in (("name", node.name), ("says", node.says)) if shown}
    made |= {
        word: str(ref)
        for word, ref in (("accepts", node.accepts), ("emits", node.emits), ("item", node.item))
        if ref
    }
    if node.retry:
        made["retry"] = node.retry.to_json()
    if node.undo:
        made["undo"] = _json(node.undo)
    if node.tracks:
        made["ways"] = [_way(track) for track in node.tracks]
    return made


def _way(track: Track) -> dict[str, Any]:
    made: dict[str, Any] = {
        word: shown for word, shown in (("name", track.name), ("says", track.says)) if shown
    }
    if track.gives:
        made["gives"] = str(track.gives)
    return {**made, "steps": [_json(node) for node in track.nodes]}
