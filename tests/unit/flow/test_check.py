"""Neighbours fit, or the flow is refused and the error names both sides."""

from typing import Any

import pytest

from handoffs import Contract, agent
from handoffs.coordinator.errors import FlowError
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.step import parallel
from handoffs.coordinator.flow.trigger import agents_of
from tests.unit.flow.neighbours import B1, A, B, Both, Nested, refused, step


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

    def test_open_end(self) -> None:
        """A flow may begin and end with branches."""
        flow = Flow("test.flow", parallel(left=step(A, A), right=parallel(deep=step(A, B))))
        assert flow.accepts is A

    def test_parallel_after_parallel(self) -> None:
        """Each branch after a join gets the whole join."""
        again = parallel(one=step(Both, A), two=step(Both, B))
        Flow("test.flow", parallel(left=step(A, A), right=step(A, B)) >> again)


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


@pytest.mark.parametrize("hint", [A | None, list[A]])
def test_what_is_for_events_is_no_step_before_another(hint: Any) -> None:
    """An agent that returns one or none, or several, emits events: nothing of it is handed on, and the error says so."""

    def some(given: A) -> Any:
        return given

    some.__annotations__ = {"given": A, "return": hint}
    with pytest.raises(
        FlowError, match=r"gives nothing on: .* Out \| None or list\[Out\] is emitted as events"
    ):
        Flow("test.flow", agent("test.some")(some) >> step(A, A))
