"""Where agents stand in a flow."""

from datetime import timedelta

import pytest

from handoffs.coordinator.errors import FlowError
from handoffs.coordinator.flow.condition import field
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.places import accepted, places, wait_at
from handoffs.coordinator.flow.signal import wait_for
from handoffs.coordinator.flow.step import compensate, delay, emit, parallel, repeat
from tests.unit.flow.neighbours import A, B, Nested, step


def test_nested() -> None:
    """Branches within branches join into a contract of their shape, and paths name where each step stands."""
    inner = step(A, A, "test.first") >> parallel(up=step(A, A), down=step(A, B))
    flow = Flow("test.flow", parallel(left=inner, right=step(A, A)) >> step(Nested, A))
    assert [place.path for place in flow.places()] == [
        "1.left.1",
        "1.left.2.up.1",
        "1.left.2.down.1",
        "1.right.1",
        "2",
    ]


def test_what_undoes_a_step_has_a_place_beside_it() -> None:
    """It follows the agent whose work it undoes; a flow within the flow adds one level to the path."""
    charge, refund = step(A, A, "test.charge"), step(A, A, "test.refund")
    found = places(emit() >> Flow("test.inner", compensate(charge, by=refund)))
    assert [(place.path, place.agent.name) for place in found] == [
        ("2.1", "test.charge"),
        ("2.1.undo", "test.refund"),
    ]


def test_what_a_flow_begins_with_is_told_by_a_step_or_by_the_flow() -> None:
    """A delay does not say what it takes: the error names it, and how the flow says it."""
    assert accepted("test.flow", parallel(a=step(A, A))) is A
    with pytest.raises(FlowError) as caught:
        accepted("test.flow", parallel(a=delay(timedelta(seconds=1)) >> step(A, A)))
    assert "flow test.flow begins with delay(), which does not say what starts it" in str(caught.value)
    assert "Flow(name, step, input=TheContract)" in str(caught.value)


class TestWaitAt:
    ASKED, SECOND = wait_for("asked", A), wait_for("second", A)

    def test_by_the_path_that_a_run_has(self) -> None:
        """In a branch, for each item by its number, in each round; where a step is something else, or none, there is no wait."""
        flow = parallel(left=step(A, A) >> self.ASKED, i0=self.SECOND)
        assert wait_at(flow, "1.left.2") is self.ASKED
        assert wait_at(flow, "1.i0.1") is self.SECOND
        assert wait_at(flow, "1.left.1") is None
        assert wait_at(flow, "7") is None
        rounds = repeat(step(A, A) >> self.ASKED, until=field("text") == "x", at_most=3)
        assert wait_at(rounds, "1.r12.2") is self.ASKED
        assert wait_at(rounds, "1.r.2") is None
        assert wait_at(rounds, "1.r1x.2") is None
