"""A flow is made of Celery's chains and chords, and each message says which step it is."""

import json
from typing import Any

from hypothesis import given

from handoffs.coordinator.continuation.canvas import canvas_of
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.step import parallel
from tests.unit.continuation.plans import Plan, Run, Thing, an_agent, flow_of, plans


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
    one, two = an_agent(Thing), an_agent(Thing)
    run = Run(Flow("test.flow", one >> two >> parallel(a=one, b=two >> one)))
    turns = {}
    while run.waiting:
        turns[run.waiting[0].step] = run.waiting[0].signature["kwargs"].get("turn")
        run.deliver(0, again=False)
    assert turns == {"1": None, "2": None, "3.a.1": "2", "3.b.1": "2", "3.b.2": "3"}


def test_canvas_is_celery() -> None:
    """A flow is made of Celery's own chains and chords."""
    signature = canvas_of(flow_of(["x", {"a": "x", "b": ["x", "x"]}, "x"]))
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
