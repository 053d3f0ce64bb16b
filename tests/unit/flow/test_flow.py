"""Flows: neighbours fit, or the flow is refused and the error names both sides."""

from itertools import count
from typing import Any

import pytest

from handoffs import Contract, upcast
from handoffs.coordinator.errors import FlowError
from handoffs.coordinator.flow.agent import Agent, agent
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.step import Parallel, Sequence, Step, parallel
from handoffs.coordinator.flow.trigger import agents_of


class A(Contract, name="test.a", version=1):
    text: str = ""


class B1(Contract, name="test.b", version=1):
    old: str


class B(Contract, name="test.b", version=2):
    new: str


@upcast(B, 1, 2)
def newer(data: dict[str, Any]) -> dict[str, Any]:
    return {"new": data["old"]}


class Both(Contract, name="test.both", version=1):
    left: A
    right: B


class Nested(Contract, name="test.nested", version=1):
    class Inner(Contract):
        up: A
        down: B

    left: Inner
    right: A


_number = count()


def step(accepts: type[Contract], emits: type[Contract], name: str = "") -> Agent:
    """An agent from one contract to another."""

    def run(payload: Any) -> Any:
        raise NotImplementedError

    run.__annotations__ = {"payload": accepts, "return": emits}
    return agent(name or f"test.n{next(_number)}")(run)


def refused(flow: Step, *said: str) -> None:
    """A flow is refused, and the error says each of these."""
    with pytest.raises(FlowError) as caught:
        Flow("test.flow", flow)
    for part in said:
        assert part in str(caught.value)


class TestFits:
    def test_chain(self) -> None:
        """What one step emits, the next one accepts."""
        flow = Flow("test.flow", step(A, B, "test.one") >> step(B, A, "test.two"))
        assert flow.accepts is A
        assert [(place.path, place.agent.name) for place in flow.places()] == [
            ("1", "test.one"),
            ("2", "test.two"),
        ]
        assert sorted(agents_of(flow)) == ["test.one", "test.two"]

    def test_older_version_with_an_upcast(self) -> None:
        """An older version fits where upcasts lead to the one that is accepted, in a chain and in a join."""
        Flow("test.flow", step(A, B1) >> step(B, A))
        Flow("test.flow", parallel(left=step(A, A), right=step(A, B1)) >> step(Both, A))

    def test_join(self) -> None:
        """A join's fields are the branches; fields with a default need none."""

        class Roomy(Contract, name="test.roomy", version=1):
            left: A
            more: str = ""

        Flow("test.flow", parallel(left=step(A, A), right=step(A, B)) >> step(Both, A))
        Flow("test.flow", parallel(left=step(A, A)) >> step(Roomy, A))

    def test_nested(self) -> None:
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

    def test_open_end(self) -> None:
        """A flow may begin and end with branches."""
        flow = Flow("test.flow", parallel(left=step(A, A), right=parallel(deep=step(A, B))))
        assert flow.accepts is A

    def test_parallel_after_parallel(self) -> None:
        """Each branch after a join gets the whole join."""
        again = parallel(one=step(Both, A), two=step(Both, B))
        Flow("test.flow", parallel(left=step(A, A), right=step(A, B)) >> again)

    def test_sequences_are_flat(self) -> None:
        """However it is bracketed, a sequence is one sequence."""
        one, two, three = step(A, A), step(A, A), step(A, A)
        for written in ((one >> two) >> three, one >> (two >> three)):
            assert isinstance(written, Sequence)
            assert written.steps == (one, two, three)


class TestRefused:
    def test_other_contract(self) -> None:
        """Another contract is refused, and both sides are named."""
        refused(
            step(A, A, "test.giver") >> step(B, A, "test.taker"),
            "step 2 (test.taker) accepts test.b/2",
            "step 1 (test.giver) gives test.a/1",
            "put an agent between them",
        )

    def test_version_without_a_migration(self) -> None:
        """A version from which no migration leads is refused, and both versions are named."""
        refused(
            step(A, B, "test.giver") >> step(B1, A, "test.taker"),
            "(test.taker) accepts test.b/1",
            "(test.giver) gives test.b/2",
            "add the missing downcast",
        )

    def test_two_classes_of_one_version(self) -> None:
        """Two teams' classes of one version that do not fit are refused, and the field is named."""

        class Renamed(Contract, name="test.b", version=2):
            newer: str

        refused(
            step(A, Renamed, "test.giver") >> step(B, A, "test.taker"),
            "(test.taker) accepts test.b/2",
            "their test.b/2 is not the same",
            "/new",
            "make the change a version of its own",
        )

    def test_branch_does_not_accept(self) -> None:
        """A branch that does not accept what comes before it is refused, by its path."""
        refused(
            step(A, A, "test.giver") >> parallel(left=step(A, A), right=step(B, B, "test.taker")),
            "step 2.right.1 (test.taker) accepts test.b/2",
            "step 1 (test.giver) gives test.a/1",
        )

    def test_branches_of_a_start(self) -> None:
        """Branches that begin a flow accept the same contract."""
        refused(
            parallel(left=step(A, A), right=step(B, B, "test.taker")),
            "1.right.1 (test.taker)",
            "the start gives test.a/1",
        )

    def test_branch_without_field(self) -> None:
        """A branch for which the joining contract has no field, and a field without a branch, are both named."""
        refused(
            parallel(left=step(A, A), wrong=step(A, B)) >> step(Both, A, "test.taker"),
            "step 2 (test.taker) accepts test.both/1",
            "step 1 (parallel: left, wrong)",
            "branch 'wrong' has no field",
            "field 'right' has no branch",
        )

    def test_field_of_another_contract(self) -> None:
        """A field that does not read what its branch gives is named with both contracts."""
        refused(
            parallel(left=step(A, B), right=step(A, B)) >> step(Both, A, "test.taker"),
            "step 2 (test.taker)",
            "field 'left' does not read test.b/2",
            "step 1 (parallel: left, right)",
        )

    def test_join_is_no_contract_of_branches(self) -> None:
        """What joins branches is a contract with a field for each, not one of them."""
        refused(
            parallel(left=step(A, A), right=step(A, A)) >> step(A, A, "test.taker"),
            "(test.taker)",
            "branch 'left'",
        )

    def test_nested_join(self) -> None:
        """Inside a join, too, both sides are named."""
        inner = parallel(up=step(A, A), down=step(A, A))
        refused(
            parallel(left=inner, right=step(A, A)) >> step(Nested, A, "test.taker"),
            "step 2 (test.taker) accepts test.nested/1, field 'left'",
            "field 'down' does not read test.a/1",
        )
        refused(
            parallel(left=parallel(up=step(A, A)), right=step(A, B)) >> step(Both, A, "test.taker"),
            "(test.taker)",
            "field 'left'",
            "branch 'up' has no field",
        )

    def test_field_is_no_model(self) -> None:
        """A field for branches that is no model is refused."""

        class Flat(Contract, name="test.flat", version=1):
            left: str

        refused(
            parallel(left=parallel(up=step(A, A))) >> step(Flat, A, "test.taker"),
            "step 2 (test.taker) accepts test.flat/1",
            "its field 'left' joins branches and is no model",
        )
        refused(parallel(left=step(A, A)) >> step(Flat, A), "its field 'left' does not read test.a/1")

    def test_two_agents_of_one_name(self) -> None:
        """Two different agents of one name are refused; the same agent may stand twice."""
        same = step(A, A, "test.same")
        Flow("test.flow", same >> same)
        refused(same >> step(A, A, "test.same"), "two agents are called test.same")

    @pytest.mark.parametrize("name", ["", "Test", "test flow", "x" * 121, "test_flow", None])
    def test_malformed_name(self, name: Any) -> None:
        """A malformed name is refused."""
        with pytest.raises(FlowError, match="a flow is called"):
            Flow(name, step(A, A))

    @pytest.mark.parametrize("value", [None, "step", lambda order: order, 3])
    def test_no_step(self, value: Any) -> None:
        """What is no step is refused wherever it stands, and the error says what a step is."""
        one = step(A, A)
        for build in (lambda: Flow("f", value), lambda: one >> value, lambda: parallel(a=value)):
            with pytest.raises(FlowError, match="is no step of a flow; a step is an @agent"):
                build()

    @pytest.mark.parametrize("name", ["", "1st", "a b", "a.b", "a-b", "x" * 65])
    def test_malformed_branch(self, name: str) -> None:
        """A branch is named like a variable: it is a field of what joins it, and part of the path."""
        with pytest.raises(FlowError, match="a branch is called"):
            parallel(**{name: step(A, A)})

    def test_no_branch(self) -> None:
        """There is at least one branch."""
        with pytest.raises(FlowError, match="no branch"):
            parallel()

    def test_too_deep(self) -> None:
        """Branches within branches go eight deep: deeper, a message could not be read."""
        inner: Step = step(A, A)
        for _ in range(8):
            inner = parallel(a=inner)
        Flow("test.flow", inner)
        refused(parallel(a=inner), "more than 8 deep")

    def test_too_large(self) -> None:
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
