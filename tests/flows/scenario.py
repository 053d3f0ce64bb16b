"""Scenarios: a flow, how its agents do, and what is done to a run of it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import count, product
from typing import Any
from unittest.mock import patch

from handoffs import Flow
from handoffs.coordinator.continuation import canvas
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.budget import Budget, Cached, Constant, Fallback
from handoffs.coordinator.flow.retry import Retry
from handoffs.coordinator.flow.signal import WaitFor
from handoffs.coordinator.flow.step import (
    Choice,
    Compensate,
    Delay,
    Each,
    Emit,
    Parallel,
    Repeat,
    Retrying,
    Step,
    parts,
    positions,
)
from tests.flows.memory import Json, hearing
from tests.flows.universe import EARS, MOST_ITEMS, Behaviour, Story, Work

MOST_ROUNDS = 3
_numbers = count(1)


@dataclass(frozen=True)
class Operation:
    """What somebody does to a run: ``mend`` (then everything parked is replayed), ``skip``, ``edit`` (another n in the input of
    a step that is parked or held), ``edit-key`` (another id too), ``signal``, ``release``, ``pause``, ``resume``, ``cancel``,
    ``compensate`` (cancel, and undo) or ``give-up``; ``nothing``. ``places`` are what is mended."""

    kind: str
    places: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return " ".join([self.kind, *sorted(self.places)])


@dataclass(frozen=True)
class Scenario:
    """A flow, its input (without an id), how its agents do, and what is done to the run: in the middle of a step (by its
    path), and then each time that the run has come to rest. ``warm``: another run of the flow has left its outcomes.
    ``later``: it is started for a time that is to come (where there is a clock), and what is done to it before.
    ``again``: when it has ended, it is run once more with the same keys, and the ``same`` content or an``other``. ``at_hand``: of a long
    sequence, so many steps are in a message as they are, and the others are packed."""

    step: Step
    given: Json
    behaviours: dict[str, Behaviour]
    operations: tuple[Operation, ...] = ()
    amid: tuple[str, Operation] | None = None
    warm: bool = False
    later: Operation | None = None
    again: str = ""
    at_hand: int = canvas.AT_HAND

    def begun(self) -> Flow:
        """The flow under a name that no other has, composed."""
        flow = Flow(f"flows.s{next(_numbers)}", self.step, input=Work)
        with patch.object(canvas, "AT_HAND", self.at_hand):
            canvas.composed(flow)  # it is kept
        return flow

    def told(self, name: str, *, well: bool = False, clock: bool = False) -> tuple[Json, Story]:
        """The input and the story of a run; ``well``: all agents do well."""
        items = [{**item, "id": f"{name}.{item['id']}"} for item in self.given["items"]]
        given = Work.from_data({**self.given, "id": name, "items": items}).to_data()
        limits = {place: part.limit for place, part in nested(self.step, "") if isinstance(part, Each)}
        known = {place: limit for place, limit in limits.items() if limit is not None}
        return given, Story(name, {} if well else self.behaviours, known, self._heard(), clock)

    def once_more(self, given: Json) -> Json:
        """The input of the run that has the keys of the one before."""
        return {**given, "n": (given["n"] + 1) % 10} if self.again == "other" else given

    def _heard(self) -> dict[str, str]:
        """The steps that hear events, by their names: where each is."""
        places = [place for place, part in nested(self.step, "") if isinstance(part, Emit)]
        both = product(EARS, [path for place in places for path in _instances(place)])
        return {_step(ear.name, path): hearing(path, ear.name) for ear, path in both}

    def sole_signals(self) -> list[str]:
        """The signals that one step alone waits for, one time after the other: it is clear who gets them."""
        waits = [(place, part.name) for place, part in nested(self.step, "") if isinstance(part, WaitFor)]
        names = Counter(name for _, name in waits)
        return sorted({name for place, name in waits if names[name] == 1 and "i*" not in place})

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """As hypothesis shows it."""
        printer.text(repr(self))

    def __repr__(self) -> str:
        odd = {place: found for place, found in self.behaviours.items() if found.kind != "ok"}
        done = [*map(repr, self.operations)]
        if self.amid:
            done.insert(0, f"{self.amid[1]} amid {self.amid[0]}")
        lines = [f"flow:   {written(self.step)}", f"given:  {self.given}", f"agents: {odd}"]
        lines += [f"done:   {', '.join(done) or 'nothing'}"]
        lines += [f"later:  before it begins: {self.later}"] if self.later else []
        lines += [f"packed: but for {self.at_hand} steps"] if self.at_hand != canvas.AT_HAND else []
        lines += ["warm:   another run has left its outcomes"] if self.warm else []
        lines += [f"again:  with the same keys and {self.again} content"] if self.again else []
        return "\n" + "\n".join(lines)


def nested(step: Step, prefix: str) -> Iterator[tuple[str, Step]]:
    """Every part of a flow, by its place."""
    for path, part in positions(step, prefix):
        yield path, part
        inner: list[tuple[str, object]] = []
        match part:
            case Flow(step=within):
                inner = [("", within)]
            case Parallel(branches=branches):
                inner = [(f"{name}.", branch) for name, branch in branches]
            case Choice(cases=cases, otherwise=otherwise):
                inner = [(f"c{number}.", within) for number, (_, within) in enumerate(cases, 1)]
                inner.append(("c0.", otherwise))
            case Repeat(step=within):
                inner = [("r*.", within)]
            case Each(step=within):
                inner = [("i*.", within)]
            case Budget(step=within, fallback=fallback):
                inner = [("b.", within)]
                inner.append(("f.", fallback.otherwise if isinstance(fallback, Cached) else fallback))
        for name, one in inner:
            if isinstance(one, Step):
                yield from nested(one, f"{path}.{name}")


def _instances(place: str) -> list[str]:
    """The paths that a place may have in a run: for each item, and in each round."""
    each = {"i*": [f"i{n}" for n in range(MOST_ITEMS)], "r*": [f"r{n + 1}" for n in range(MOST_ROUNDS)]}
    return [".".join(words) for words in product(*(each.get(word, [word]) for word in place.split(".")))]


def _step(ear: str, path: str) -> str:
    """The name of the step that ``ear`` does when it hears what is emitted at ``path``."""
    return f"{ear}@{hashlib.sha256(f'{path}!'.encode()).hexdigest()[:16]}"


def written(step: Step | None) -> str:
    """The flow as somebody would write it."""
    return "go_on" if step is None else " >> ".join(map(_written, parts(step)))


def _written(part: Step) -> str:
    shown = repr(part)
    match part:
        case Agent(name=name):
            shown = name.removeprefix("flows.")
        case Flow(step=inner):
            shown = f"Flow({written(inner)})"
        case Parallel(branches=branches):
            shown = f"parallel({', '.join(f'{name}={written(branch)}' for name, branch in branches)})"
        case Choice(cases=cases, otherwise=otherwise):
            asked = ", ".join(f"when({condition}, {written(inner)})" for condition, inner in cases)
            shown = f"choice({asked}, otherwise={written(otherwise)})"
        case Each(field=name, step=inner, into=into, limit=limit):
            shown = f"each({name!r}, {written(inner)}, into={into!r}, limit={limit})"
        case Repeat(step=inner, until=until, at_most=most):
            shown = f"repeat({written(inner)}, until={until}, at_most={most})"
        case Delay(wait=wait):
            shown = f"delay({wait / timedelta(milliseconds=1):g} ms)"
        case Emit():
            shown = "emit()"
        case Retrying(step=inner, policy=policy):
            shown = f"retrying({written(inner)}, {_policy(policy)})"
        case Compensate(step=inner, by=by):
            shown = f"compensate({written(inner)}, by={written(by)})"
        case Budget(step=inner, within=within, fallback=fallback):
            shown = f"budget({written(inner)}, within={within}, fallback={_stood_in(fallback)})"
        case WaitFor(name=name, keep=keep, timeout=timeout):
            shown = f"wait_for({name!r}, keep={keep!r}, timeout={timeout})"
    return shown


def _policy(policy: Retry) -> str:
    """What a policy says otherwise than one that says nothing."""
    said = {
        name: getattr(policy, name)
        for name in ("attempts", "backoff", "factor", "longest", "allowance", "never", "only")
    }
    odd = {name: value for name, value in said.items() if value != getattr(Retry(jitter=0), name)}
    shown = {
        name: f"{v / timedelta(milliseconds=1):g} ms" if isinstance(v, timedelta) else _errors(v)
        for name, v in odd.items()
    }
    return f"Retry({', '.join(f'{name}={value}' for name, value in shown.items())})"


def _errors(value: Any) -> str:
    if not isinstance(value, tuple):
        return str(value)
    return f"({', '.join(one if isinstance(one, str) else one.__name__ for one in value)})"


def _stood_in(fallback: Fallback) -> str:
    if isinstance(fallback, Cached):
        return f"cached({', '.join(fallback.by)}, otherwise={_stood_in(fallback.otherwise)})"
    return (
        f"constant(id={fallback.payload.to_data()['id']!r})"
        if isinstance(fallback, Constant)
        else written(fallback)
    )
