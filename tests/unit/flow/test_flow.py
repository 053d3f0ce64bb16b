"""Flows: names, sizes, and that they are values."""

from typing import Any

import pytest

from handoffs.coordinator.errors import FlowError
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.step import Parallel, Sequence, Step, parallel
from tests.unit.flow.neighbours import A, refused, step


def test_two_agents_of_one_name() -> None:
    """Two different agents of one name are refused; the same agent may stand twice."""
    same = step(A, A, "test.same")
    Flow("test.flow", same >> same)
    refused(same >> step(A, A, "test.same"), "two agents are called test.same")


@pytest.mark.parametrize("name", ["", "Test", "test flow", "x" * 121, "test_flow", None])
def test_malformed_name(name: Any) -> None:
    """A malformed name is refused."""
    with pytest.raises(FlowError, match="a flow is called"):
        Flow(name, step(A, A))


def test_too_deep() -> None:
    """Branches within branches go eight deep: deeper, a message could not be read."""
    inner: Step = step(A, A)
    for _ in range(8):
        inner = parallel(a=inner)
    Flow("test.flow", inner)
    refused(parallel(a=inner), "more than 8 deep")


def test_too_large() -> None:
    """A flow has a thousand steps at most."""
    same = step(A, A)
    Flow("test.flow", Sequence((same,) * 1000))
    refused(Sequence((same,) * 1001), "has 1001 steps")


def test_flows_are_values() -> None:
    """Steps are frozen, and building one flow does not change another."""
    one, two = step(A, A), step(A, A)
    both = one >> two
    assert isinstance(both >> one, Sequence)
    assert both.steps == (one, two)
    branches = parallel(a=both)
    assert isinstance(branches, Parallel)
    with pytest.raises(AttributeError):
        branches.branches = ()  # type: ignore[misc]
