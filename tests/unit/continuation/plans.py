"""Plans of flows, the flows that they describe, and runs of them without any server."""

from __future__ import annotations

import itertools
import json
from typing import Any

from hypothesis import strategies as st
from pydantic import create_model

from handoffs import Contract
from handoffs.coordinator.continuation.advance import after, begun
from handoffs.coordinator.continuation.arrival import sends_after
from handoffs.coordinator.continuation.canvas import composed
from handoffs.coordinator.continuation.moves import Arrival, Cursor, End, Go, Move, Value
from handoffs.coordinator.continuation.signature import Send
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.retry import ONCE
from handoffs.coordinator.flow.step import Step, parallel

Plan = str | list[Any] | dict[str, Any]
"""How a flow is drawn: ``x`` an agent, a list a sequence, a dict branches."""

_numbers = itertools.count()
VALUE = Value("urn:contract:test.thing:1", {})


class Thing(Contract, name="test.thing", version=1):
    """What every agent gives."""


def an_agent(accepts: type[Contract]) -> Agent:
    """An agent that gives a thing for what it accepts."""
    return Agent(f"test.a{next(_numbers)}", lambda thing: Thing(), accepts, Thing, ONCE, takes_context=False)


def _joining(shape: Any) -> Any:
    """A contract that takes the outputs of branches: a field for each, of what it emits."""
    if shape is Thing:
        return Thing
    fields: dict[str, Any] = {name: (_joining(inner), ...) for name, inner in shape.items()}
    name = f"test.joined{next(_numbers)}"
    return create_model("Joined", __base__=Contract, __cls_kwargs__={"name": name, "version": 1}, **fields)


def _build(plan: Plan, offered: Any) -> tuple[Step, Any]:
    """The step that a plan describes, and what it emits when it is offered `offered`."""
    if isinstance(plan, dict):
        built = {name: _build(branch, offered) for name, branch in plan.items()}
        return parallel(**{name: step for name, (step, _) in built.items()}), {
            name: shape for name, (_, shape) in built.items()
        }
    if isinstance(plan, list):
        first, *others = plan
        step, shape = _build(first, offered)
        for other in others:
            following, shape = _build(other, shape)
            step = step >> following
        return step, shape
    return an_agent(_joining(offered)), Thing


def flow_of(plan: Plan) -> Flow:
    """The flow of a plan."""
    return Flow("test.flow", _build(plan, Thing)[0])


def _composed(inner: st.SearchStrategy[Plan]) -> st.SearchStrategy[Plan]:
    branches = st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=3)
    return st.lists(inner, min_size=1, max_size=4) | branches


plans: st.SearchStrategy[Plan] = st.recursive(st.just("x"), _composed, max_leaves=9)


def nodes(plan: Plan) -> tuple[set[str], dict[str, set[str]]]:
    """The paths of the steps of a plan, and of its joins with their branches: told from the plan alone."""
    steps: set[str] = set()
    joins: dict[str, set[str]] = {}

    def walk(part: Plan, prefix: str) -> None:
        for number, item in enumerate(_flat(part), 1):
            path = f"{prefix}{number}"
            if isinstance(item, dict):
                joins[path] = set(item)
                for name, branch in item.items():
                    walk(branch, f"{path}.{name}.")
            else:
                steps.add(path)

    walk(plan, "")
    return steps, joins


def _flat(plan: Plan) -> list[Plan]:
    """A sequence in a sequence is one sequence."""
    return [item for part in plan for item in _flat(part)] if isinstance(plan, list) else [plan]


class Run:
    """A run of a flow, with messages that may come in any order and twice."""

    def __init__(self, flow: Flow) -> None:
        self.waiting: list[Send] = [
            move.send for move in begun(composed(flow), VALUE) if isinstance(move, Go)
        ]
        self.seen: set[str] = {send.step for send in self.waiting}
        self.done: list[str] = []
        self.joined: list[str] = []
        self.arrived: dict[str, set[str]] = {}
        self.ends = 0

    def deliver(self, number: int, *, again: bool) -> None:
        """Do the step of a message; one that comes again finds the same things to do next."""
        send = self.waiting[number] if again else self.waiting.pop(number)
        send = Send(*json.loads(json.dumps([send.signature, send.chain])))  # as it travels
        first_time = send.step not in self.done
        if first_time:
            self.done.append(send.step)
        for move in after(Cursor(send.step, send.chain, send.chord), VALUE):
            self._move(move, first_time)

    def _move(self, move: Move, first_time: bool) -> None:
        if isinstance(move, Go):
            self._go_on((move.send,))
        elif isinstance(move, Arrival):
            if self._all_arrived(move, first_time):
                sends = sends_after(move)
                assert sends is not None
                self._go_on(sends)
                self.ends += not sends and first_time
        else:
            assert isinstance(move, End)
            self.ends += first_time

    def _all_arrived(self, onward: Arrival, first_time: bool) -> bool:
        for join in onward.joins:
            arrived = self.arrived.setdefault(join.path, set())
            complete = arrived == set(join.branches)
            arrived.add(join.branch)
            if arrived != set(join.branches):
                return False
            if not complete:
                assert first_time
                self.joined.append(join.path)
        return True

    def _go_on(self, sends: tuple[Send, ...]) -> None:
        new = {send.step for send in sends} - self.seen
        self.seen |= new
        self.waiting += [send for send in sends if send.step in new]
