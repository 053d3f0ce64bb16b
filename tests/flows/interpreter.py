"""What a flow means, in plain Python: no message, no store, no worker. The engine is judged by this.

It walks the flow as it is written and says what must have happened once everything that can run has run. An item of an
:func:`~coordinator.step.each` with a limit begins when the item ``limit`` places before it is done: a parked item keeps
its turn, and the others go on.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from coordinator.agent import Agent
from coordinator.flow import Flow
from coordinator.step import Choice, Delay, Each, Parallel, Repeat, Step, positions

Json = dict[str, Any]
Work = Callable[[Agent, str, Json], Json]
"""What an agent makes of an input at the step of that path. Raises :class:`Broken` where it fails for good."""


class Broken(Exception):
    """The agent fails at this step, however often it is tried."""


class _Parked(Exception):
    """Nothing comes out of here before a replay."""


@dataclass
class Outcome:
    """What has become of a run.

    ``result`` is JSON data, None unless completed; ``settled`` counts (path, agent, input, output), the last two as JSON
    text; ``parked`` has (path, agent, contract of its input); ``effects`` counts (agent, key), where the key is without
    what sets its places in the flow apart.
    """

    status: str = "completed"
    result: Any = None
    settled: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    parked: set[tuple[str, str, str]] = field(default_factory=set)
    effects: Counter[tuple[str, str]] = field(default_factory=Counter)


def interpret(flow: Flow, given: Json, work: Work) -> Outcome:
    """What becomes of a run of ``flow`` that is started with ``given``, where its agents do ``work``."""
    interpreter = _Interpreter(work)
    try:
        interpreter.outcome.result = interpreter.sequence(flow.step, "", given)
    except _Parked:
        interpreter.outcome.status = "parked"
    return interpreter.outcome


def plain(value: Any) -> str:
    """JSON values as text, the same for the same values."""
    return json.dumps(value, sort_keys=True)


class _Interpreter:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.outcome = Outcome()

    def sequence(self, step: Step, prefix: str, value: Json) -> Json:
        for path, part in positions(step, prefix):
            value = self.part(part, path, value)
        return value

    def part(self, part: Step, path: str, value: Json) -> Json:
        match part:
            case Agent():
                value = self.agent(part, path, value)
            case Flow():
                value = self.sequence(part.step, f"{path}.", value)
            case Parallel():
                value = self.parallel(part, path, value)
            case Choice():
                value = self.choice(part, path, value)
            case Each():
                value = self.each(part, path, value)
            case Repeat():
                value = self.repeat(part, path, value)
            case Delay():
                pass
            case _:
                raise TypeError(part)
        return value

    def agent(self, agent: Agent, path: str, value: Json) -> Json:
        read = agent.accepts.from_data(value)
        try:
            output = self.work(agent, path, read.to_data())
        except Broken:
            self.outcome.parked.add((path, agent.name, str(agent.accepts.ref())))
            raise _Parked from None
        self.outcome.settled[path, agent.name, plain(read.to_data()), plain(output)] += 1
        self.outcome.effects[agent.name, agent.idempotency_key(read, "")] += 1
        return output

    def parallel(self, parallel: Parallel, path: str, value: Json) -> Json:
        made = {}
        for name, branch in parallel.branches:
            try:
                made[name] = self.sequence(branch, f"{path}.{name}.", value)
            except _Parked:
                continue
        if len(made) < len(parallel.branches):
            raise _Parked
        return made

    def choice(self, choice: Choice, path: str, value: Json) -> Json:
        for number, (condition, step) in enumerate(choice.cases, 1):
            if condition.holds(value):
                return self.sequence(step, f"{path}.c{number}.", value)
        if choice.otherwise is None:
            return value
        return self.sequence(choice.otherwise, f"{path}.c0.", value)

    def each(self, each: Each, path: str, value: Json) -> Json:
        items = value[each.field]
        made: dict[int, Json] = {}
        for number, item in enumerate(items):
            before = number - (each.limit or len(items))
            if before >= 0 and before not in made:
                continue  # its turn does not come before that one is done
            try:
                made[number] = self.sequence(each.step, f"{path}.i{number}.", item)
            except _Parked:
                continue
        if len(made) < len(items):
            raise _Parked
        return {each.into: [made[number] for number in range(len(items))]}

    def repeat(self, repeat: Repeat, path: str, value: Json) -> Json:
        for number in range(1, repeat.at_most + 1):
            value = self.sequence(repeat.step, f"{path}.r{number}.", value)
            if repeat.until.holds(value):
                break
        return value
