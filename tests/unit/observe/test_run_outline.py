"""Run outline: a run as its flow is nested, with the state of each step."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from handoffs import (
    Contract,
    Flow,
    Key,
    agent,
    budget,
    choice,
    compensate,
    constant,
    each,
    field,
    go_on,
    parallel,
    wait_for,
    when,
)
from handoffs.coordinator.observe.current import Current
from handoffs.coordinator.observe.outline import Outline, outline
from handoffs.coordinator.observe.run_outline import RunOutline, RunStep, Window, run_outline

AT = datetime(2026, 1, 5, 10, tzinfo=UTC)


class Item(Contract, name="outlined.item", version=1):
    number: int = Key()


class Listed(Contract, name="outlined.listed", version=1):
    items: list[Item]


class Both(Contract, name="outlined.both", version=1):
    left: Item
    right: Item


@agent("outlined.one")
def one(item: Item) -> Item:
    return item


@agent("outlined.back")
def back(item: Item) -> Item:
    return item


@agent("outlined.many")
def many(listed: Listed) -> Listed:
    return listed


@agent("outlined.join")
def join(both: Both) -> Item:
    return both.left


EACH = outline(Flow("outlined.each", many >> each("items", one, into="items") >> many))
CHAIN = outline(Flow("outlined.chain", one >> compensate(one, by=back) >> one))
BRANCHES = outline(Flow("outlined.branches", parallel(left=one, right=one) >> join))
CHOICE = outline(
    Flow("outlined.choice", one >> choice(when(field("number") > 5, one), otherwise=go_on) >> one)
)
BUDGET = outline(
    Flow(
        "outlined.budget", budget(one, within=timedelta(seconds=2), fallback=constant(Item(number=1))) >> one
    )
)
WAITS = outline(Flow("outlined.waits", one >> wait_for("approval", Item) >> one))


def told(*steps: tuple[str, str] | tuple[str, str, dict[str, Any]]) -> list[dict[str, Any]]:
    """A history: its start, and one entry for each step, a second apart."""
    entries: list[dict[str, Any]] = [{"kind": "started", "at": AT.isoformat(), "flow": "f", "run": "r"}]
    for number, (step, kind, *more) in enumerate(steps, 1):
        at = (AT + timedelta(seconds=number)).isoformat()
        agent_of = "outlined.back" if step.endswith("undo") else "outlined.one"
        entries.append(
            {
                "kind": kind,
                "step": step,
                "agent": agent_of,
                "at": at,
                "attempt": 1,
                **(more[0] if more else {}),
            }
        )
    return entries


def doing(step: str, state: Any, **more: Any) -> Current:
    return Current(step, "outlined.one", state, AT, **more)


def states(found: RunOutline) -> dict[str, str]:
    """The state of each step, by its path."""

    def below(step: RunStep) -> dict[str, str]:
        return {
            step.path: step.state,
            **{path: state for one in step.below for path, state in below(one).items()},
        }

    return {path: state for step in found.steps for path, state in below(step).items()}


def test_what_is_ahead_is_drawn_too() -> None:
    """Of a run that has begun, the steps that it has not reached are to come; one that runs is running."""
    found = run_outline(told(("1", "settled")), CHAIN, [doing("2", "running")])
    assert states(found) == {"1": "done", "2": "running", "3": "to come"}
    assert found.counts == {"done": 1, "running": 1, "to come": 1}
    assert found.is_flow


@pytest.mark.parametrize("state", ["queued", "running", "retrying", "delayed", "parked", "held"])
def test_a_step_is_what_it_does_now(state: str) -> None:
    """Whatever the history tells of failed attempts."""
    found = run_outline(told(("1", "retried", {"error": "Busy: no"})), CHAIN, [doing("1", state)])
    assert states(found)["1"] == state


@pytest.mark.parametrize(
    ("kind", "state"),
    [("settled", "done"), ("deduplicated", "done"), ("gathered", "done"), ("skipped", "skipped"), ("parked", "parked"),
     ("retried", "retrying"), ("replayed", "queued")],
)  # fmt: skip
def test_a_step_is_what_became_of_it(kind: str, state: str) -> None:
    """Where nothing else is known than its history."""
    assert states(run_outline(told(("1", kind)), CHAIN))["1"] == state


def test_what_was_undone_says_so() -> None:
    """A step that was undone is undone, and one that is being undone is undoing."""
    history = told(("1", "settled"), ("2", "settled"), ("2.undo", "settled"))
    assert states(run_outline(history, CHAIN, ended=True)) == {"1": "done", "2": "undone", "3": "not begun"}
    history = told(("1", "settled"), ("2", "settled"))
    assert states(run_outline(history, CHAIN, [doing("2.undo", "running")]))["2"] == "undoing"


def test_in_a_run_that_has_ended_nothing_waits() -> None:
    """What was parked when it was cancelled is stopped, and says why it was parked; what it had not reached was not begun."""
    found = run_outline(told(("1", "parked", {"error": "error: Bad: no"})), CHAIN, ended=True)
    assert states(found) == {"1": "stopped", "2": "not begun", "3": "not begun"}
    assert found.steps[0].says == "error: Bad: no"


def test_of_a_completed_run_nothing_has_not_begun() -> None:
    """What its history does not tell of was done, and is not told; but what a fallback took the place of did not begin."""
    found = run_outline(told(("1", "settled")), CHAIN, ended=True, completed=True)
    assert states(found) == {"1": "done", "2": "not told", "3": "not told"}
    assert found.counts == {"not told": 2, "done": 1}
    assert states(run_outline([], CHAIN, ended=True, completed=True)) == dict.fromkeys("123", "not told")


def test_branches_are_within_their_step_and_it_is_as_bad_as_the_worst() -> None:
    """One branch is done and one is parked: the step is parked."""
    found = run_outline(told(("1.left.1", "settled"), ("1.right.1", "parked")), BRANCHES)
    assert states(found) == {"1": "parked", "1.left.1": "done", "1.right.1": "parked", "2": "to come"}
    assert [one.title for one in found.steps[0].below] == ["left: outlined.one", "right: outlined.one"]


def test_of_a_choice_one_way_was_taken() -> None:
    """The others say that they were not; and where it passed on as it is, none was."""
    found = run_outline(told(("1", "settled"), ("2.c1.1", "settled"), ("3", "settled")), CHOICE, ended=True)
    assert states(found) == {"1": "done", "2": "done", "2.c1.1": "done", "2.c0": "not taken", "3": "done"}
    passed = run_outline(told(("1", "settled"), ("3", "settled")), CHOICE, ended=True)
    assert states(passed)["2"] == "done"
    assert states(passed)["2.c1"] == "not taken"


def test_a_budget_in_time_needs_no_fallback() -> None:
    """Its fallback was not taken; where it was spent, the step is a fallback."""
    intime = run_outline(told(("1.b.1", "settled"), ("2", "settled")), BUDGET, ended=True)
    assert states(intime) == {"1": "done", "1.b.1": "done", "1.f": "not taken", "2": "done"}
    spent = run_outline(
        told(("1", "fallback", {"fallback": "constant", "agent": ""}), ("2", "settled")), BUDGET, ended=True
    )
    assert states(spent)["1"] == "fallback"


def test_a_wait_waits_until_its_signal_comes() -> None:
    """And what comes after it is to come meanwhile."""
    waiting = run_outline(
        told(("1", "settled")), WAITS, [doing("2", "waiting", signal="approval", contract="outlined.item/1")]
    )
    assert states(waiting) == {"1": "done", "2": "waiting", "3": "to come"}
    assert "approval" in waiting.steps[1].says
    came = told(("1", "settled"), ("approval", "signalled", {"agent": ""}))
    assert states(run_outline(came, WAITS))["2"] == "done"


def many_items(number: int, *, parked: int) -> list[dict[str, Any]]:
    items = [
        (
            f"2.i{item}.1",
            "parked" if item == parked else "settled",
            {"error": "error: Bad: no"} if item == parked else {},
        )
        for item in range(number)
    ]
    return told(("1", "settled", {"agent": "outlined.many"}), *items)


def test_of_many_items_those_with_trouble_and_a_few_stay() -> None:
    """Of five thousand, the parked one is drawn with some others, all are counted, and it is said how many are left out."""
    found = run_outline(many_items(5_000, parked=4_711), EACH)
    drawn = found.steps[1]
    assert drawn.size == 5_000
    assert len(drawn.below) + drawn.hidden == 5_000
    assert len(drawn.below) <= 12
    assert "2.i4711.1" in {one.path for one in drawn.below}
    assert found.counts == {"done": 5_000, "parked": 1, "to come": 1}


def test_any_part_of_what_is_folded_can_be_asked_for() -> None:
    """Fifty from a number on, beside those with trouble."""
    found = run_outline(many_items(5_000, parked=4_711), EACH, window=Window("2", 100))
    paths = [one.path for one in found.steps[1].below]
    assert {f"2.i{number}.1" for number in range(100, 150)} < set(paths)
    assert paths[-1] == "2.i4711.1"


def test_a_sequence_that_is_very_long_is_folded_as_well() -> None:
    """Two hundred steps in a row, without their flow: no more than sixty are drawn, and the rest is counted."""
    found = run_outline(told(*((str(number), "settled") for number in range(1, 201))), None)
    assert not found.is_flow
    assert len(found.steps) == 60
    assert found.hidden == 140


def test_no_drawing_is_larger_than_can_be_looked_at() -> None:
    """Items within items within items: what is deepest is left out, and counted."""
    steps = [
        (f"1.i{a}.1.i{b}.1.i{c}.1.i{d}.1", "settled")
        for a in range(8)
        for b in range(8)
        for c in range(8)
        for d in range(8)
    ]
    found = run_outline(told(*steps), None)
    assert len(states(found)) <= 1_200
    assert found.counts == {"done": 4_096}


def test_another_flow_of_that_name_is_left_aside() -> None:
    """Where an agent stands elsewhere, the paths alone tell how the steps hang together."""
    found = run_outline(told(("1", "settled", {"agent": "another"})), CHAIN)
    assert not found.is_flow
    assert states(found) == {"1": "done"}


@pytest.mark.parametrize("flow", [None, CHAIN, EACH, BRANCHES, CHOICE, BUDGET, WAITS])
def test_nothing_is_drawn_of_nothing(flow: Outline | None) -> None:
    """A run without a history has no steps but those that are to come, and can be told in JSON."""
    found = run_outline([], flow)
    assert set(found.counts) <= {"to come"}
    assert found.to_json()["hidden"] == 0
