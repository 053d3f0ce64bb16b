"""The steps of the flow language: choices, lists, repetitions, flows within flows, delays; in eager and in embedded mode."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from handoffs import Contract, Coordinator, Flow, agent, parallel
from handoffs.coordinator.errors import FlowError
from handoffs.coordinator.flow.budget import budget, cached, constant
from handoffs.coordinator.flow.condition import field
from handoffs.coordinator.flow.signal import wait_for
from handoffs.coordinator.flow.step import choice, compensate, delay, each, go_on, repeat, retrying, when
from tests.eager.flow.orders import (
    QUICK,
    SOON,
    Line,
    Order,
    Priced,
    Prices,
    Total,
    _number,
    flow,
    order,
    pricing,
    total,
    trail,
    worked,
)
from tests.waiting import wait_until


class TestChoice:
    @pytest.mark.parametrize(("amount", "taken"), [(5, "low"), (50, "middle"), (500, "high")])
    def test_first_case_that_holds(self, running: Coordinator, amount: int, taken: str) -> None:
        """The first case whose condition holds is taken, or the default; the flow goes on after it."""
        made = flow(
            worked("first")
            >> choice(
                when(field("amount") >= 100, worked("high")),
                when(field("amount") >= 10, worked("middle") >> worked("more")),
                otherwise=worked("low"),
            )
            >> worked("last")
        )
        more = ["more"] if taken == "middle" else []
        assert trail(running, made, order(amount=amount)) == ["first", taken, *more, "last"]

    def test_go_on(self, running: Coordinator) -> None:
        """Where the default is to go on, the payload passes unchanged, in the middle, at the end, and at the start."""
        bypass = choice(when(field("amount") > 100, worked("never")), otherwise=go_on)
        made = flow(bypass >> worked("one") >> bypass)
        assert trail(running, made, order()) == ["one"]

    def test_inside_branches(self, running: Coordinator) -> None:
        """A branch that is only a choice, and passes on, arrives at its join."""

        class Both(Contract, name=f"steps.both-{next(_number)}", version=1):
            left: Order
            right: Order

        @agent(f"steps.join-{next(_number)}")
        def join(both: Both) -> Order:
            return both.left.model_copy(update={"trail": both.left.trail + both.right.trail})

        skip = choice(when(field("amount") > 1, worked("never")), otherwise=go_on)
        made = flow(worked("one") >> parallel(left=skip, right=worked("right")) >> join)
        assert trail(running, made, order()) == ["one", "one", "right"]
        made = flow(parallel(left=skip, right=skip) >> join)
        assert trail(running, made, order()) == []


class TestEach:
    @pytest.mark.parametrize("limit", [None, 1, 2, 7])
    def test_in_order(self, running: Coordinator, limit: int | None) -> None:
        """Every item is worked on, and what follows has the results in the order of the items, whatever the limit."""
        made = flow(worked("one") >> each("lines", pricing(), into="prices", limit=limit) >> total)
        lines = [Line(sku=f"s{number}", pieces=number) for number in range(7)]
        result = running.start(made, order(lines=lines)).result(timeout=20)
        assert (result.cents, result.skus) == (2100, [line.sku for line in lines])

    def test_empty(self, running: Coordinator) -> None:
        """An empty list goes on at once, also where the flow begins or ends with it."""
        lists = each("lines", pricing(), into="prices")
        assert running.start(flow(lists >> total, input=Order), order()).result(timeout=20).skus == []
        assert running.start(flow(worked("one") >> lists), order()).result(timeout=20) == {"prices": []}
        assert running.start(flow(lists, input=Order), order()).result(timeout=20) == {"prices": []}

    def test_failed_item(self, running: Coordinator) -> None:
        """A failed item is parked, the others finish, nothing goes on; replayed, it does."""
        broken = {"s1"}
        made = flow(
            each("lines", pricing(lambda line: line.sku in broken), into="prices", limit=2) >> total,
            input=Order,
        )
        run = running.start(made, order(lines=[Line(sku=f"s{number}") for number in range(4)]))
        assert run.wait(timeout=20) == "parked"
        broken.clear()
        [letter] = wait_until(lambda: running.dead_letters(run=run.id), description="there is a letter")
        letter.replay()
        assert run.result(timeout=20).skus == ["s0", "s1", "s2", "s3"]

    def test_limit_holds(self, live_coordinator: Coordinator) -> None:
        """No more items than the limit are worked on at a time."""
        running, most, lock = 0, 0, threading.Lock()
        gate = threading.Event()

        @agent(f"steps.slow-{next(_number)}")
        def slow(line: Line) -> Priced:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            gate.wait(0.05)
            with lock:
                running -= 1
            return Priced(sku=line.sku, cents=1)

        made = flow(each("lines", slow, into="prices", limit=2) >> total, input=Order)
        lines = [Line(sku=f"s{number}") for number in range(10)]
        assert live_coordinator.start(made, order(lines=lines)).result(timeout=20).cents == 10
        assert most <= 2

    def test_nested(self, running: Coordinator) -> None:
        """Lists within branches and branches within lists."""

        class Halves(Contract, name=f"steps.halves-{next(_number)}", version=1):
            left: Priced
            right: Priced

        class Sides(Contract, name=f"steps.sides-{next(_number)}", version=1):
            rows: Prices
            other: Order

        @agent(f"steps.halve-{next(_number)}")
        def halve(halves: Halves) -> Priced:
            return Priced(sku=halves.left.sku, cents=halves.left.cents + halves.right.cents)

        @agent(f"steps.end-{next(_number)}")
        def end(sides: Sides) -> Total:
            return Total(cents=sum(p.cents for p in sides.rows.prices), skus=[sides.other.order])

        body = parallel(left=pricing(), right=pricing()) >> halve
        made = flow(
            parallel(rows=each("lines", body, into="prices", limit=1), other=worked("o")) >> end, input=Order
        )
        given = order(lines=[Line(sku="a", pieces=1), Line(sku="b", pieces=2)])
        assert running.start(made, given).result(timeout=20) == Total(cents=600, skus=[given.order])


class TestRepeat:
    @pytest.mark.parametrize(("until", "rounds"), [(1, 1), (30, 3), (999, 5)])
    def test_until(self, running: Coordinator, until: int, rounds: int) -> None:
        """A step runs on its own output until the condition holds, or as often as it may."""
        grow = worked("grow", lambda order: {"amount": order.amount + 10})
        made = flow(repeat(grow, until=field("amount") >= until, at_most=5) >> worked("last"))
        assert trail(running, made, order()) == ["grow"] * rounds + ["last"]

    def test_at_the_end_and_within(self, running: Coordinator) -> None:
        """It may end a flow, and stand within another."""
        grow = worked("grow", lambda order: {"amount": order.amount + 1})
        inner = repeat(grow, until=field("amount").is_in(2, 4, 6), at_most=9)
        made = flow(repeat(inner >> worked("mark"), until=field("amount") >= 6, at_most=9))
        assert trail(running, made, order()) == ["grow", "grow", "mark"] * 3


class TestFlows:
    def test_flow_within_a_flow(self, running: Coordinator) -> None:
        """A flow stands where a step stands; its steps are told by their paths."""
        inner = flow(worked("a") >> worked("b"))
        made = flow(worked("one") >> inner >> worked("two"))
        run = running.start(made, order())
        assert run.result(timeout=20).trail == ["one", "a", "b", "two"]
        paths = [entry["step"] for entry in run.history() if entry["kind"] == "settled"]
        assert paths == ["1", "2.1", "2.2", "3"]

    def test_delay(self, running: Coordinator) -> None:
        """A delay is waited for, and changes nothing else."""
        made = flow(worked("one") >> delay(timedelta(milliseconds=50)) >> worked("two"))
        assert trail(running, made, order()) == ["one", "two"]


def test_a_run_keeps_the_flow_it_was_started_with(running: Coordinator) -> None:
    """A decision that is taken after another version of the flow is there follows the one that the run began with."""
    name = f"steps.versioned-{next(_number)}"
    first, second = worked("first", lambda order: {"amount": 1 // order.amount}), worked("second")
    old, new = worked("old"), worked("new")
    run = running.start(
        Flow(name, first >> choice(when(field("amount") == 3, old), otherwise=new) >> second), order()
    )
    assert run.wait(timeout=20) == "parked"
    deployed = Flow(name, first >> choice(when(field("amount") == 3, new), otherwise=new))
    assert running.start(deployed, order(amount=1)).result(timeout=20).trail == ["first", "new"]
    [letter] = wait_until(lambda: running.dead_letters(run=run.id), description="there is a letter")
    running.skip(letter, {"order": "o", "amount": 3, "trail": ["first"]})
    assert run.result(timeout=20).trail == ["first", "old", "second"]


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: choice(when(field("amount") > 1, worked("x"))), "what happens where no case holds"),
        (lambda: choice(otherwise=go_on), "has no case"),
        (
            lambda: choice(when(field("colour") == "red", worked("x")), otherwise=go_on),
            "has no field 'colour'",
        ),
        (lambda: choice(when(field("amount") == "red", worked("x")), otherwise=go_on), "compared with a str"),
        (lambda: when(lambda order: True, worked("x")), "is no condition"),  # type: ignore[arg-type]
        (lambda: when(field("paid"), worked("x")), 'field("paid") == True'),  # type: ignore[arg-type]
        (lambda: repeat(worked("x"), until=field("paid"), at_most=2), 'field("paid") == True'),  # type: ignore[arg-type]
        (lambda: (field("amount") > 1) & field("paid"), 'field("paid") == True'),  # type: ignore[operator]
        (
            lambda: choice(when(field("amount") > 1, worked("x") >> total), otherwise=go_on),
            "step 2.c1.1 (steps.x",
        ),
        (lambda: repeat(worked("x"), until=field("amount") > 1, at_most=0), "has at_most=0"),
        (lambda: repeat(worked("x"), until=field("nothing") > 1, at_most=2), "has no field 'nothing'"),
        (lambda: each("amount", pricing(), into="prices"), "no such list"),
        (lambda: each("lines", worked("x"), into="prices"), "accepts steps.order/1"),
        (lambda: each("lines", pricing(), into="prices", limit=0), "limit=0"),
        (lambda: each("lines", pricing(), into="no name"), "into='no name'"),
        (lambda: each("lines", pricing(), into="others") >> total, "branch 'others' has no field"),
        (lambda: worked("x") >> delay(timedelta(seconds=1)), "a delay with nothing after it"),
        (lambda: delay(timedelta()) >> worked("x"), "delay() has"),
        (lambda: budget(worked("x"), within=timedelta(), fallback=worked("y")), "has within"),
        (lambda: budget(worked("x"), within=timedelta.max, fallback=worked("y")), "has within"),
        (lambda: budget(worked("x"), within=SOON, fallback=None), "has no fallback"),  # type: ignore[arg-type]
        (
            lambda: budget(worked("x"), within=SOON, fallback=constant(Line(sku="s"))),
            "constant gives steps.line/1",
        ),
        (
            lambda: budget(
                worked("x"), within=SOON, fallback=cached("no", max_age=SOON, otherwise=worked("y"))
            ),
            "no field 'no'",
        ),
        (lambda: compensate(worked("x") >> worked("y"), by=worked("z")), "is no agent"),
        (lambda: retrying(worked("x") >> worked("y"), QUICK), "is no agent"),
        (lambda: retrying(parallel(a=worked("x")), QUICK), "is no agent"),
        (lambda: retrying(retrying(worked("x"), QUICK), QUICK), "two retry policies"),
        (lambda: retrying(worked("x"), 3), "has int as its policy"),  # type: ignore[arg-type]
        (lambda: retrying(5, QUICK), "is no step"),  # type: ignore[arg-type]
        (lambda: compensate(worked("x"), by=compensate(worked("y"), by=worked("z"))), "is no agent"),
        (lambda: compensate(worked("x"), by=total), "(steps.sum) accepts steps.prices/1"),
        (lambda: wait_for("no name", Line), "name='no name'"),
        (lambda: wait_for("a", Line, timeout=SOON), "does not say what then"),
        (
            lambda: wait_for("a", Line, timeout=SOON, otherwise=constant(Order(order="o"))),
            "otherwise gives steps.order",
        ),
        (lambda: wait_for("a", Line) >> worked("x"), "accepts steps.order/1"),
        (lambda: wait_for("a", Line) >> wait_for("a", Order), "give them different names"),
        (lambda: cached(max_age=SOON, otherwise=worked("y")), "name at least one field"),
    ],
)
def test_what_cannot_work_is_refused_when_built(build: Callable[[], Any], said: str) -> None:
    """A flow that cannot work is refused when it is built, with the place named."""
    with pytest.raises(FlowError, match=said.replace("(", r"\(").replace(")", r"\)")):
        flow(worked("first") >> build())
