"""Difference: two runs step by step, and two JSON values place by place."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from handoffs.coordinator.observe.difference import StepDifference, difference
from handoffs.coordinator.observe.json_changes import MOST, changes
from handoffs.coordinator.observe.paths import in_order

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES, VALUES)
def test_values_differ_where_there_is_a_change(left: Any, right: Any) -> None:
    """No change is told of equal values, and one at least of others."""
    assert not changes(left, left)
    assert bool(changes(left, right)) == (repr(left) != repr(right) and _differ(left, right))


def _differ(left: Any, right: Any) -> bool:
    """Whether two JSON values are different: true is not 1, and the order of names says nothing."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() != right.keys() or any(_differ(left[name], right[name]) for name in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) != len(right) or any(map(_differ, left, right))
    return left != right or isinstance(left, bool) != isinstance(right, bool)


def test_a_change_says_where_and_what() -> None:
    """What was added, removed and changed, also within lists."""
    left = {"order": "o-1", "lines": [{"price": 3}, {"price": 4}], "gone": None}
    right = {"order": "o-1", "lines": [{"price": 5}], "new": [1]}
    assert [one.to_json() for one in changes(left, right)] == [
        {"path": "lines.0.price", "kind": "changed", "left": 3, "right": 5},
        {"path": "lines.1", "kind": "removed", "left": {"price": 4}},
        {"path": "gone", "kind": "removed", "left": None},
        {"path": "new", "kind": "added", "right": [1]},
    ]


def test_changes_are_bounded() -> None:
    """However much is different, and however deep."""
    assert len(changes(list(range(1_000)), [])) == MOST
    deep: Any = 1
    for _ in range(5_000):
        deep = [deep]
    assert len(changes(deep, [])) == 1


def test_paths_are_in_the_order_of_their_flow() -> None:
    """Numbers by their value, those of items too; what undoes a step after it."""
    paths = ["10", "2.i10.1", "2", "2.i2.1", "2.undo", "1", ""]
    assert in_order(paths) == ["", "1", "2", "2.i2.1", "2.i10.1", "2.undo", "10"]


def run(**steps: dict[str, Any]) -> list[dict[str, Any]]:
    """A history of two steps, each of which can be told otherwise."""
    first = {"kind": "settled", "step": "1", "agent": "shop.a", "attempt": 1, "took_ms": 10.0, "read": "a/1", "wrote": "b/1",
             "input": {"n": 1}, "output": {"n": 2}}  # fmt: skip
    second = {**first, "step": "2", "agent": "shop.b"}
    found = [{**first, **steps.get("one", {})}, {**second, **steps.get("two", {})}]
    at = "2026-01-05T10:00:00.000+00:00"
    return [{"kind": "started", "input": {"n": 1}, "at": at}, *({"at": at, **one} for one in found)]


def second(**other: Any) -> StepDifference:
    """In what the second step differs where it is told otherwise in the right one."""
    return difference(run(), run(two=other)).steps[2]


def test_runs_that_are_alike_differ_in_nothing() -> None:
    """Each step is there, and none differs."""
    found = difference(run(), run())
    assert [one.step for one in found.steps] == ["", "1", "2"]
    assert found.differing == ()


def test_a_step_differs_in_what_became_of_it() -> None:
    """In outcome, attempts, versions, input and output, each by itself."""
    assert second(attempt=3).differs == ("attempts",)
    assert second(wrote="b/2").differs == ("version",)
    assert second(output={"n": 3}).differs == ("output",)
    assert second(input={"n": 0}).differs == ("input",)
    assert second(agent="shop.c").differs == ("agent",)
    assert second(fallback="cache age=3.2s").differs == ("outcome",)
    parked = second(kind="parked", error="error: Bad: no", output=None, took_ms=None, wrote="")
    assert parked.differs == ("outcome", "output", "error")
    assert [(one.path, one.kind, one.left) for one in parked.output] == [("", "removed", {"n": 2})]


def test_what_was_never_made_is_not_there() -> None:
    """In neither it is no difference, in one it is added or removed, and never null; a version that is not told is no other one."""
    nothing = {"output": None, "wrote": ""}
    assert difference(run(two=nothing), run(two=nothing)).differing == ()
    [found] = difference(run(two=nothing), run()).differing
    assert (found.differs, [one.to_json() for one in found.output]) == (
        ("output",), [{"path": "", "kind": "added", "right": {"n": 2}}],
    )  # fmt: skip


def test_a_step_took_longer_where_that_is_more_than_chance() -> None:
    """Twice as long, and 20 ms at least."""
    assert second(took_ms=19.0).differs == ()
    assert second(took_ms=29.0).differs == ()
    assert second(took_ms=31.0).differs == ("duration",)
    assert difference(run(two={"took_ms": 1000.0}), run(two={"took_ms": 1500.0})).steps[2].differs == ()


def test_a_step_that_one_does_not_have_differs_in_that() -> None:
    """With the side of the other one."""
    found = difference(run(), run()[:2]).steps[2]
    assert found.differs == ("presence",)
    assert found.right is None
    assert found.agent == "shop.b"


def test_what_messages_say_can_be_left_out() -> None:
    """Neither inputs and outputs nor their changes are told then, only that they differ."""
    told = second(output={"secret": "o-17"}).to_json(payloads=False)
    assert told["differs"] == ["output"]
    assert "o-17" not in repr(told)
    assert "o-17" in repr(second(output={"secret": "o-17"}).to_json())


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(
                ["kind", "step", "at", "attempt", "took_ms", "input", "output", "read", "agent", "error"]
            ),
            VALUES,
        )
    )
)
def test_no_history_is_too_odd(history: list[dict[str, Any]]) -> None:
    """Whatever was written by others, the comparison ends, and a run is like itself."""
    assert difference(history, history).differing == ()
