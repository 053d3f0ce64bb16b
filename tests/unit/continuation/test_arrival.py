"""The joins and the budgets that a place in a flow is in."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from handoffs.coordinator.continuation.advance import after, begun, stood_in
from handoffs.coordinator.continuation.arrival import (
    arrival,
    budgets_as_read,
    budgets_of,
    budgets_of_wait,
    sends_after,
)
from handoffs.coordinator.continuation.canvas import composed
from handoffs.coordinator.continuation.moves import Arrival, Await, Cursor, Go, Join
from handoffs.coordinator.continuation.path import SIGNAL
from handoffs.coordinator.continuation.signature import TIMER, Send
from handoffs.coordinator.flow import ways
from handoffs.coordinator.flow.budget import budget, constant
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.signal import wait_for
from handoffs.coordinator.flow.step import Step, delay, parallel
from tests.unit.continuation.plans import VALUE, Thing, an_agent

SECOND = timedelta(seconds=1)


def sent(step: Step) -> dict[str, Send]:
    """What a flow of this step begins with, by path; without timers."""
    moves = begun(composed(Flow("test.flow", step)), VALUE)
    return {move.send.step: move.send for move in moves if isinstance(move, Go) and move.send.agent != TIMER}


def after_step(send: Send) -> Cursor:
    """The place after a step that was sent."""
    return Cursor(send.step, send.chain, send.chord)


def within(step: Step) -> Step:
    """A step within a budget."""
    return budget(step, within=SECOND, fallback=constant(Thing()))


def test_the_last_of_nested_branches_arrives_at_each_join() -> None:
    """Innermost first, each with its branches in order and the one that arrives; the run goes on after the outermost."""
    one, two, three = (an_agent(Thing) for _ in range(3))
    found = sent(parallel(a=parallel(x=one, y=two), b=three))
    arrives = arrival(after_step(found["1.a.1.y.1"]), VALUE)
    assert arrives.joins == (Join("1.a.1", ("x", "y"), "y"), Join("1", ("a", "b"), "a"))
    assert arrives.place == "1.a.1.y"
    assert sends_after(arrives) == ()


def test_what_follows_a_join_is_known_where_no_control_decides_it() -> None:
    """A step that follows is known beforehand; what follows a control depends on what is joined."""
    one, two, three = (an_agent(Thing) for _ in range(3))
    ends = sent(within(one) >> two)["1.b.1"]
    known = sends_after(arrival(after_step(ends), VALUE))
    assert known is not None
    assert [send.step for send in known] == ["2"]
    ends = sent(within(one) >> delay(SECOND) >> three)["1.b.1"]
    assert sends_after(arrival(after_step(ends), VALUE)) is None


def test_budgets_around_a_step_come_innermost_first() -> None:
    """Those that it is in itself, also where more steps of its branch follow; none outside."""
    one, two, three = (an_agent(Thing) for _ in range(3))
    found = sent(within(within(one >> two)) >> three)
    inside = after_step(found["1.b.1.b.1"])
    assert budgets_of(inside) == ("1.b.1", "1")
    assert budgets_of(after_step(sent(one >> within(two))["1"])) == ()


def test_budgets_around_a_wait_are_without_its_own() -> None:
    """A signal is waited for within the budgets around it; what the wait itself joins is none of them."""
    [waits, *_] = begun(composed(Flow("test.flow", within(wait_for("word", Thing)), input=Thing)), VALUE)
    assert isinstance(waits, Await)
    assert budgets_of_wait(waits) == ("1",)
    [arrives] = stood_in(waits.path, SIGNAL, waits.chord, VALUE)
    assert isinstance(arrives, Arrival)
    assert [join.path for join in arrives.joins] == ["1.b.1", "1"]


def test_a_fallback_arrives_as_one() -> None:
    """What an agent made as a fallback is marked; what is made in time is not."""
    found = sent(within(an_agent(Thing)))["1.b.1"]
    chord = found.chord
    assert chord is not None
    [arrives] = stood_in("1", ways.FALLBACK, chord, VALUE)
    [in_time] = after(after_step(found), VALUE)
    assert isinstance(arrives, Arrival)
    assert isinstance(in_time, Arrival)
    assert (arrives.joins[0].mark, in_time.joins[0].mark) == ("agent", "")


@pytest.mark.parametrize("chord", [{}, {"kwargs": None}, {"kwargs": {}}, [], [3], "no chord", 3])
def test_a_continuation_that_cannot_be_read_is_in_no_budget(chord: Any) -> None:
    """What is wrong with a message is told elsewhere: here it is in none."""
    assert budgets_as_read("1", [], chord) == ()


@pytest.mark.parametrize("join", [0, 2**70, True, None, 1.5, [], ["1"], {}])
def test_a_budget_without_a_path_is_none(join: Any) -> None:
    """What is joined to the texts of a reason is text, whatever a message has in the place of a budget's path."""
    chord: dict[str, Any] = {
        "subtask_type": None, "kwargs": {"join": join, "one": True}, "options": {"chain": [], "chord": None}
    }  # fmt: skip
    assert budgets_as_read("1", [], chord) == ()
