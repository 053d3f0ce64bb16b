"""A flow goes through its chains and chords: each step once, each join when all its branches have arrived."""

import itertools
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import create_model

from handoffs import Contract
from handoffs.coordinator.continuation import canvas
from handoffs.coordinator.continuation.advance import after, begun
from handoffs.coordinator.continuation.arrival import sends_after
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


def _agent(accepts: type[Contract]) -> Agent:
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
    return _agent(_joining(offered)), Thing


def flow_of(plan: Plan) -> Flow:
    """The flow of a plan."""
    return Flow("test.flow", _build(plan, Thing)[0])


def _composed(inner: st.SearchStrategy[Plan]) -> st.SearchStrategy[Plan]:
    branches = st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=3)
    return st.lists(inner, min_size=1, max_size=4) | branches


plans: st.SearchStrategy[Plan] = st.recursive(st.just("x"), _composed, max_leaves=9)


def _nodes(plan: Plan) -> tuple[set[str], dict[str, set[str]]]:
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
            move.send for move in begun(canvas.composed(flow), VALUE) if isinstance(move, Go)
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


@settings(max_examples=150)
@given(plan=plans, data=st.data())
def test_every_step_is_reached_once(plan: Plan, data: st.DataObject) -> None:
    """In whatever order and however often messages come, each step is reached once, each join once, and the run ends once."""
    flow = flow_of(plan)
    steps, joins = _nodes(plan)
    run = Run(flow)
    again = 3
    while run.waiting:
        repeats = again > 0 and data.draw(st.booleans(), label="comes again")
        again -= repeats
        number = data.draw(st.integers(0, len(run.waiting) - 1), label="which comes")
        run.deliver(number, again=repeats)
        assert run.ends == 0 or not run.waiting or set(run.done) == steps
    assert sorted(run.done) == sorted(steps) == sorted(place.path for place in flow.places())
    assert sorted(run.joined) == sorted(joins)
    assert run.arrived == joins
    assert run.ends == 1


@given(plan=plans)
def test_nothing_precedes_its_input(plan: Plan) -> None:
    """A step is sent only when all that stands before it in its sequence is done."""
    run = Run(flow_of(plan))
    while run.waiting:
        for send in run.waiting:
            *prefix, number = send.step.split(".")
            before = [".".join([*prefix, str(earlier)]) for earlier in range(1, int(number))]
            assert all(path in run.done or path in run.joined for path in before)
        run.deliver(len(run.waiting) - 1, again=False)


@given(plan=plans)
def test_message_says_its_step(plan: Plan) -> None:
    """What is sent names the agent that stands there, its flow and the contract that it accepts."""
    flow = flow_of(plan)
    agents = {place.path: place.agent for place in flow.places()}
    run = Run(flow)
    while run.waiting:
        send = run.waiting[0]
        agent = agents[send.step]
        assert send.agent == agent.name
        assert send.signature["kwargs"] == {
            "flow": "test.flow",
            "step": send.step,
            "accepts": agent.accepts.ref().uri,
        }
        run.deliver(0, again=False)


def test_agent_that_stands_twice_has_turns() -> None:
    """The same agent once more in a flow is other work: its message says which turn it is."""
    one, two = _agent(Thing), _agent(Thing)
    run = Run(Flow("test.flow", one >> two >> parallel(a=one, b=two >> one)))
    turns = {}
    while run.waiting:
        turns[run.waiting[0].step] = run.waiting[0].signature["kwargs"].get("turn")
        run.deliver(0, again=False)
    assert turns == {"1": None, "2": None, "3.a.1": "2", "3.b.1": "2", "3.b.2": "3"}


def test_canvas_is_celery() -> None:
    """A flow is made of Celery's own chains and chords."""
    signature = canvas.canvas_of(flow_of(["x", {"a": "x", "b": ["x", "x"]}, "x"]))
    kinds = {part["subtask_type"] for part in _signatures(json.loads(json.dumps(signature)))}
    assert {"chain", "chord"} <= kinds


def test_deepest_flow_can_be_read() -> None:
    """A flow nested as deep as a flow may be still makes messages within the limits of a reader."""
    plan: Plan = "x"
    for _ in range(8):
        plan = ["x", {"a": plan, "b": "x"}]
    run = Run(flow_of(plan))
    while run.waiting:
        send = run.waiting[0]
        assert _depth([[""], {}, {"chain": send.chain, "chord": send.chord}]) <= 64
        run.deliver(0, again=False)


def _signatures(value: Any) -> list[dict[str, Any]]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    own = [value] if isinstance(value, dict) and "subtask_type" in value else []
    return own + [found for part in inner for found in _signatures(part)]


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(_depth, inner), default=0)
