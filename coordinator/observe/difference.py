"""Difference: two runs step by step: what came of each step in one and in the other. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from handoffs.coordinator.observe.json_changes import Change, changes
from handoffs.coordinator.observe.paths import in_order
from handoffs.coordinator.observe.step_state import Entry, kind_of, step_state, text_of

Aspect = Literal[
    "presence", "agent", "outcome", "attempts", "version", "duration", "input", "output", "error"
]

_SLOWER, _LEAST_MS = 2.0, 20.0
"""By which factor, and by how many milliseconds at least, one took longer for that to be a difference."""


@dataclass(frozen=True, slots=True)
class StepSide:
    """A step in one run: what became of it (:mod:`~handoffs.coordinator.observe.step_state`), the versions of the contracts that its agent
    read and wrote, how long it ran, in milliseconds, its input and output as JSON values, and why it failed at last."""

    agent: str
    state: str
    attempts: int
    took_ms: float | None
    read: str
    wrote: str
    fallback: str
    error: str
    input: Any
    output: Any

    def to_json(self, *, payloads: bool) -> dict[str, Any]:
        """As JSON values, without what is empty; ``payloads``: with input and output."""
        told = {
            name: getattr(self, name)
            for name in self.__slots__
            if payloads or name not in ("input", "output")
        }
        return {name: value for name, value in told.items() if value not in ("", None, 0)}


@dataclass(frozen=True, slots=True)
class StepDifference:
    """A step in two runs; None in the one that does not have it. ``differs`` says in what they differ; nothing where they are alike."""

    step: str
    left: StepSide | None
    right: StepSide | None
    differs: tuple[Aspect, ...]
    input: tuple[Change, ...] = ()
    output: tuple[Change, ...] = ()

    @property
    def agent(self) -> str:
        """The agent, of the left one where there are two."""
        return (self.left.agent if self.left else "") or (self.right.agent if self.right else "")

    def to_json(self, *, payloads: bool = True) -> dict[str, Any]:
        """As JSON values; ``payloads``: with what messages say."""
        told: dict[str, Any] = {
            "step": self.step,
            "agent": self.agent,
            "differs": list(self.differs),
            "left": self.left.to_json(payloads=payloads) if self.left else None,
            "right": self.right.to_json(payloads=payloads) if self.right else None,
        }
        if payloads:
            told["input"] = [one.to_json() for one in self.input]
            told["output"] = [one.to_json() for one in self.output]
        return told


@dataclass(frozen=True, slots=True)
class RunDifference:
    """Two runs, step by step, in the order of the flow."""

    steps: tuple[StepDifference, ...]

    @property
    def differing(self) -> tuple[StepDifference, ...]:
        """The steps in which they differ."""
        return tuple(one for one in self.steps if one.differs)


def difference(left: Sequence[Entry], right: Sequence[Entry]) -> RunDifference:
    """In what two runs differ, by their histories. Steps are the same where their paths are."""
    one, other = _by_step(left), _by_step(right)
    return RunDifference(
        tuple(_step(step, one.get(step), other.get(step)) for step in in_order({**one, **other}))
    )


def _by_step(history: Sequence[Entry]) -> Mapping[str, list[Entry]]:
    """The entries of each step, and under no path what the run was accepted with."""
    found: dict[str, list[Entry]] = {}
    for entry in history:
        step = text_of(entry, "step", 10_000)
        if kind_of(entry) == "started":
            found.setdefault("", []).append(entry)
        elif step and kind_of(entry) not in ("signalled", "refused"):
            found.setdefault(step, []).append(entry)
    return found


def _step(step: str, left: Sequence[Entry] | None, right: Sequence[Entry] | None) -> StepDifference:
    one, other = _side(left) if left else None, _side(right) if right else None
    if one is None or other is None:
        return StepDifference(step, one, other, ("presence",))
    given, made = _changes(one.input, other.input), _changes(one.output, other.output)
    return StepDifference(step, one, other, tuple(_differs(one, other, given, made)), given, made)


def _differs(
    one: StepSide, other: StepSide, given: Sequence[Change], made: Sequence[Change]
) -> Iterator[Aspect]:
    if one.agent != other.agent:
        yield "agent"
    if (one.state, one.fallback) != (other.state, other.fallback):
        yield "outcome"
    if one.attempts != other.attempts:
        yield "attempts"
    if _are_others(one.read, other.read) or _are_others(one.wrote, other.wrote):
        yield "version"
    if _took_otherwise(one.took_ms, other.took_ms):
        yield "duration"
    if given:
        yield "input"
    if made:
        yield "output"
    if one.error != other.error:
        yield "error"


def _changes(left: Any, right: Any) -> tuple[Change, ...]:
    """What differs between two values, of which None is one that was never made, or is not told."""
    if left is None and right is None:
        return ()
    if left is None:
        return (Change("", "added", right=right),)
    return changes(left, right) if right is not None else (Change("", "removed", left),)


def _are_others(one: str, other: str) -> bool:
    """Whether two references to contracts, as far as they are told, are not the same."""
    return bool(one and other) and one != other


def _took_otherwise(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return False
    less, more = sorted((one, other))
    return more - less >= _LEAST_MS and more >= _SLOWER * less


def _side(entries: Sequence[Entry]) -> StepSide:
    came = step_state(entries)
    last = entries[-1]
    outcome = next(
        (one for one in reversed(entries) if one.get("output") is not None and kind_of(one) != "edited"), {}
    )
    given = next(
        (
            one.get("input")
            for one in reversed(entries)
            if one.get("input") is not None and kind_of(one) != "edited"
        ),
        None,
    )
    failed = came.state in ("parked", "open")
    started = kind_of(entries[0]) == "started"
    return StepSide(
        agent=next((text_of(one, "agent", 200) for one in entries if one.get("agent")), ""),
        state="accepted" if started else came.state,
        attempts=came.attempts,
        took_ms=came.took_ms,
        read=came.read,
        wrote=text_of(outcome or last, "wrote", 300),
        fallback=text_of(outcome or last, "fallback", 120).partition(" ")[0],
        error=(came.reason or text_of(last, "error", 300)) if failed else "",
        input=given,
        output=outcome.get("output"),
    )
