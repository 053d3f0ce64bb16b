"""Canvas: a flow as Celery chains and chords, and how one step after another is taken from them.

``compose`` gives ordinary Celery signatures, so a message is what Celery would send: the rest of the chain and the chord
are in it. Where branches join, the chord's body is the task :data:`JOIN`. It is never sent: whoever settles the last
branch does its work, which is to put the outputs together, and goes on with what follows.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from celery.canvas import Signature, chain, chord

from coordinator.agent import Agent
from coordinator.flow import Flow
from coordinator.step import Parallel, Step, positions

JOIN = "coordinator.join"

Sig = dict[str, Any]
"""A Celery signature as plain JSON values, as it travels in a message."""


@dataclass(frozen=True, slots=True)
class Send:
    """A step to send now: its signature, and the rest of the chain behind it (Celery's order: the next one last)."""

    signature: Sig
    chain: list[Sig]

    @property
    def agent(self) -> str:
        name: str = self.signature["task"]
        return name

    @property
    def step(self) -> str:
        path: str = self.signature["kwargs"]["step"]
        return path

    @property
    def chord(self) -> Sig | None:
        """The join that this step's output goes to, where it is the last of its branch."""
        body: Sig | None = self.signature["options"].get("chord")
        return body


@dataclass(frozen=True, slots=True)
class Join:
    """One level of fan-in: the path of the parallel step, its branches in order, and the branch that arrives."""

    path: str
    branches: tuple[str, ...]
    branch: str


@dataclass(frozen=True, slots=True)
class Onward:
    """Where an output goes: first through ``joins``, innermost first, then to ``sends``; to the run's end if none."""

    joins: tuple[Join, ...]
    sends: tuple[Send, ...]


def compose(flow: Flow) -> Signature:
    """The flow as a Celery signature."""
    seen: Counter[str] = Counter()
    return _composed(flow.name, flow.step, "", seen)


@cache
def first(flow: Flow) -> tuple[Send, ...]:
    """The steps that start a run of ``flow``."""
    return tuple(_enter(json.loads(json.dumps(compose(flow))), []))


def onward(step: str, chain: list[Sig], chord: Sig | None) -> Onward:
    """Where the output of ``step`` goes, by the rest of its chain and its chord."""
    joins: list[Join] = []
    while not chain and chord is not None:
        body, *rest = _tasks(chord)
        path = body["kwargs"]["join"]
        branch = step.removeprefix(f"{path}.").split(".", 1)[0]
        joins.append(Join(path, tuple(body["kwargs"]["branches"]), branch))
        chain = [*chord["options"].get("chain", ()), *reversed(rest)]
        step, chord = path, chord["options"].get("chord")
        if chain and chord is not None:
            chain[0] = _with_chord(chain[0], chord)
    return Onward(tuple(joins), tuple(_enter(chain[-1], chain[:-1])) if chain else ())


def _composed(flow: str, step: Step, prefix: str, seen: Counter[str]) -> Signature:
    composed = [_signature(flow, part, path, seen) for path, part in positions(step, prefix)]
    return composed[0] if len(composed) == 1 else chain(*composed)


def _signature(flow: str, part: Step, path: str, seen: Counter[str]) -> Signature:
    if isinstance(part, Parallel):
        header = [_composed(flow, branch, f"{path}.{name}.", seen) for name, branch in part.branches]
        return chord(
            header, Signature(JOIN, kwargs={"join": path, "branches": [name for name, _ in part.branches]})
        )
    assert isinstance(part, Agent)
    seen[part.name] += 1
    kwargs = {"flow": flow, "step": path, "accepts": part.accepts.ref().uri}
    if (
        seen[part.name] > 1
    ):  # the same agent once more in a flow is other work: its idempotency keys are its own
        kwargs["turn"] = str(seen[part.name])
    return Signature(part.name, kwargs=kwargs)


def _enter(signature: Sig, chain: list[Sig]) -> Iterator[Send]:
    """The steps that begin ``signature``; ``chain`` is what follows it (the next one last)."""
    if signature["subtask_type"] == "chain":
        start, *rest = _tasks(signature)
        yield from _enter(start, [*chain, *reversed(rest)])
    elif signature["subtask_type"] == "chord":
        options = {"chain": chain, "chord": signature["options"].get("chord")}
        body = {**signature["kwargs"]["body"], "options": options}
        for branch in _tasks(signature["kwargs"]["header"]):
            yield from _enter(_with_chord(branch, body), [])
    else:
        yield Send(signature, chain)


def _tasks(signature: Sig | list[Sig]) -> list[Sig]:
    """The members of a chain or group; a task is a chain of one."""
    if isinstance(signature, list):
        return signature
    tasks: list[Sig] = signature["kwargs"].get("tasks", [signature])
    return tasks


def _with_chord(signature: Sig, chord: Sig) -> Sig:
    """The same signature, its last step being part of ``chord``."""
    if signature["subtask_type"] == "chain":
        *start, last = _tasks(signature)
        return {**signature, "kwargs": {"tasks": [*start, _with_chord(last, chord)]}}
    return {**signature, "options": {**signature["options"], "chord": chord}}
