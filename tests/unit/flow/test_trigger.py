"""The agent that starts a flow on its event."""

import pytest

from handoffs.coordinator.errors import AgentError, FlowError
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.trigger import agents_of, trigger_of
from tests.unit.flow.neighbours import A, B, step


def test_a_flow_without_an_event_has_no_trigger() -> None:
    """Its agents are those that stand in it."""
    flow = Flow("test.flow", step(A, A, "test.one"))
    assert trigger_of(flow) is None
    assert list(agents_of(flow)) == ["test.one"]


def test_a_flow_that_an_event_starts_has_one_trigger() -> None:
    """It is an agent called after the flow, hears the event, and is the same whenever it is asked for."""
    flow = Flow("test.flow", step(A, A, "test.one"), on=A)
    trigger = trigger_of(flow)
    assert trigger is not None
    assert (trigger.name, trigger.flow, trigger.accepts, trigger.patterns) == (
        "test.flow.begin",
        flow,
        A,
        ("test.a",),
    )
    assert trigger_of(flow) is trigger
    assert agents_of(flow) == {"test.flow.begin": trigger, "test.one": next(flow.places()).agent}


def test_a_trigger_starts_runs_in_a_worker_only() -> None:
    """Called by itself it refuses, and says how a run is started."""
    trigger = trigger_of(Flow("test.flow", step(A, A), on=A))
    assert trigger is not None
    with pytest.raises(AgentError, match="nothing was started"):
        trigger(A())


def test_a_flow_accepts_the_event_that_starts_it() -> None:
    """An event that the flow does not accept is refused, and both are named."""
    with pytest.raises(FlowError, match=r"flow test\.flow starts on test\.b/2 and accepts test\.a/1"):
        Flow("test.flow", step(A, A), on=B)
