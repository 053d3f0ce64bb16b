"""Budgets: what stands in for a step whose time is spent; in eager and in embedded mode."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest

from handoffs import Context, Contract, Coordinator, Flow, Permanent, agent, parallel
from handoffs.coordinator.errors import RunParked
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.budget import budget, cached, constant
from handoffs.coordinator.flow.condition import field
from handoffs.coordinator.flow.signal import wait_for
from handoffs.coordinator.flow.step import choice, delay, each, go_on, repeat, when
from tests.eager.flow.orders import (
    Approval,
    Line,
    Order,
    Priced,
    Prices,
    Total,
    _number,
    flow,
    order,
    pricing,
    trail,
    waits,
    worked,
)
from tests.waiting import wait_until


class TestBudget:
    """Eager mode spends a budget when nothing else can be done; embedded mode by the clock."""

    LATE = timedelta(milliseconds=150)

    def slow(self, name: str, gate: threading.Event) -> Agent:
        """An agent that does not come back until the gate opens; in eager mode it fails."""

        def wait(order: Order) -> dict[str, Any]:
            if order.amount and not gate.wait(5 if order.amount == 1 else 0):
                raise Permanent("it does not come back")
            return {}

        return worked(name, wait)

    def test_in_time(self, running: Coordinator) -> None:
        """A step that is in time is what counts, and its fallback is not asked."""
        made = flow(
            budget(worked("one"), within=timedelta(seconds=5), fallback=worked("other")) >> worked("last")
        )
        assert trail(running, made, order()) == ["one", "last"]

    def test_each_fallback_is_told_once(self, running: Coordinator) -> None:
        """A fallback within budgets, or a wait's, is in the history once, however deep it is; and one that took no place is not."""
        inner = budget(
            self.slow("deep", threading.Event()), within=self.LATE, fallback=constant(order(trail=["inner"]))
        )
        for number in range(3):
            made = flow(inner >> worked("last"))
            run = running.start(made, order(amount=2))
            assert run.wait(20) == "completed"
            told = [entry["step"] for entry in run.history() if entry["kind"] == "fallback"]
            assert told == ["1" + ".b.1" * number]
            inner = budget(inner, within=timedelta(seconds=60), fallback=constant(order(trail=["outer"])))

    def test_failed_step(self, running: Coordinator) -> None:
        """A step that fails, or whose worker is away, is taken the place of: by another agent, or by a constant."""
        gone = order(trail=["constant"])
        for fallback, said in ((worked("other"), "other"), (constant(gone), "constant")):
            failing = self.slow("one", threading.Event())
            made = flow(budget(failing, within=self.LATE, fallback=fallback) >> worked("last"))
            run = running.start(made, order(amount=2))
            assert run.result(timeout=20).trail == [said, "last"]
            last = [entry for entry in run.history() if entry.get("step") == "2"][-1]
            assert last["fallback"] == ("agent" if said == "other" else "constant")

    def test_a_timer_that_comes_again(self, coordinator: Coordinator) -> None:
        """Where a fallback has done its work, and what was to follow it is lost, its timer brings that on when it comes again; where
        nothing is lost, that changes nothing."""
        publisher: Any = coordinator.engine.publisher
        fired: list[Any] = []
        fire = publisher.fire

        def heard(*message: Any) -> object:
            fired.append(message)
            return fire(*message)

        publisher.fire = heard
        failing, last = self.slow("one", threading.Event()), worked("last")
        made = flow(budget(failing, within=self.LATE, fallback=worked("other")) >> last)
        run_message, lost = publisher._run, list[Any]()

        def losing(message: Any) -> None:
            if message.agent == last.name and not lost:
                lost.append(message)  # nobody gets it
            else:
                run_message(message)

        publisher._run = losing
        run = coordinator.start(made, order(amount=2))
        assert (run.status(), len(lost), len(fired)) == ("running", 1, 1)
        assert coordinator.engine.timers().fire(*fired[0]).startswith("fallback (agent)")
        assert run.status() == "completed"
        assert run.result().trail == ["other", "last"]
        done = [entry["step"] for entry in run.history() if entry["kind"] == "settled"]
        coordinator.engine.timers().fire(*fired[0])
        assert [entry["step"] for entry in run.history() if entry["kind"] == "settled"] == done

    def test_cached(self, running: Coordinator) -> None:
        """The last good outcome for the same fields stands in, marked with its age; without one, what is otherwise."""

        @agent(f"steps.eta-{next(_number)}")
        def eta(order: Order) -> Total:
            if order.amount:
                raise Permanent("no map")
            return Total(cents=7, skus=[order.order])

        taken = cached("trail", max_age=timedelta(minutes=5), otherwise=constant(Total(cents=0, skus=[])))
        made = flow(budget(eta, within=timedelta(seconds=1), fallback=taken))
        there = ["zone-1"]
        assert running.start(made, order(amount=2, trail=there)).result(timeout=20).cents == 0
        first = order(trail=there)
        assert running.start(made, first).result(timeout=20).cents == 7
        run = running.start(made, order(amount=2, trail=there))
        assert run.result(timeout=20).skus == [first.order]
        [entry] = [entry for entry in run.history() if entry["kind"] == "fallback"]
        assert entry["fallback"].startswith("cache age=")
        assert running.start(made, order(amount=2, trail=["zone-2"])).result(timeout=20).cents == 0

    def test_cached_by_another_edition(self, running: Coordinator) -> None:
        """What is kept is of the agents that made it, and by those fields: a flow of the same name that has others there, or
        goes by others, does not fall back to it."""
        gone: set[str] = set()

        def priced(name: str) -> Agent:
            @agent(f"steps.{name}-{next(_number)}")
            def price(order: Order) -> Total:
                if gone:
                    raise Permanent("no price list")
                return Total(cents=len(name), skus=[name])

            return price

        def edition(step: Agent, *by: str) -> Flow:
            nothing = constant(Total(cents=0, skus=["nothing"]))
            taken = cached(*by, max_age=timedelta(minutes=5), otherwise=nothing)
            return Flow(f"steps.editions-{number}", budget(step, within=self.LATE, fallback=taken))

        number, old = next(_number), priced("old")
        made = {"old": edition(old, "amount"), "new": edition(priced("new"), "amount")}
        assert running.start(made["old"], order(amount=2)).result(timeout=20).skus == ["old"]
        gone.add("all")
        running.work([place.agent for flow in made.values() for place in flow.places()])
        runs = {name: running.start(one, order(amount=2)) for name, one in made.items()}
        by_another = running.start(edition(old, "trail"), order(amount=9))
        assert {name: run.result(timeout=20).skus for name, run in runs.items()} == {
            "old": ["old"],
            "new": ["nothing"],
        }
        assert by_another.result(timeout=20).skus == ["nothing"]

    def test_in_a_branch(self, running: Coordinator) -> None:
        """What follows a join is told which branches are fallbacks, and of how many items; an outcome is kept for later,
        whether its branch is the last or not."""
        told: list[str] = []

        class Both(Contract, name=f"steps.marked-{next(_number)}", version=1):
            left: Order
            right: Order

        @agent(f"steps.told-{next(_number)}")
        def tell(both: Both, context: Context) -> Order:
            told.append(context.fallback)
            return both.left

        @agent(f"steps.told-{next(_number)}")
        def tell_items(prices: Prices, context: Context) -> Order:
            told.append(context.fallback)
            return Order(order=str(len(prices.prices)))

        zone = cached(
            "trail", max_age=timedelta(minutes=5), otherwise=constant(Order(order="x")), shared=True
        )
        left = budget(self.slow("one", threading.Event()), within=timedelta(seconds=1), fallback=zone)
        later = delay(self.LATE / 2) >> worked("right")
        made = flow(parallel(left=left, right=later) >> tell, input=Order)
        assert running.start(made, order(trail=["z"])).result(timeout=20).trail == ["z", "one"]
        assert running.start(made, order(trail=["z"], amount=2)).result(timeout=20).trail == ["z", "one"]
        assert told[0] == ""
        assert told[1].startswith("left: cache age=")
        free = budget(
            pricing(lambda line: line.pieces > 1),
            within=timedelta(seconds=1),
            fallback=constant(Priced(sku="f", cents=0)),
        )
        made = flow(each("lines", free, into="prices") >> tell_items, input=Order)
        lines = [Line(sku="a"), Line(sku="b", pieces=2), Line(sku="c", pieces=3)]
        assert running.start(made, order(lines=lines)).result(timeout=20).order == "3"
        assert told[2] == "2 of 3 items"

    def test_given_up(self, live_coordinator: Coordinator) -> None:
        """A step can ask whether its budget is spent and something stands in for it."""
        seen: list[bool] = []
        gate = threading.Event()

        @agent(f"steps.asks-{next(_number)}")
        def ask(order: Order, context: Context) -> Order:
            seen.append(context.given_up())
            gate.wait(5)
            seen.append(context.given_up())
            return order

        made = flow(budget(ask, within=timedelta(seconds=1), fallback=worked("other")) >> worked("last"))
        run = live_coordinator.start(made, order())
        wait_until(
            lambda: any(entry.get("step") == "1.f.1" for entry in run.history()),
            description="it has a fallback",
        )
        gate.set()
        wait_until(lambda: len(seen) == 2, description="it has asked twice")
        assert seen == [False, True]

    def test_slow_step(self, live_coordinator: Coordinator) -> None:
        """A slow step is taken the place of; what it makes later is told as late, and changes nothing."""
        gate = threading.Event()
        made = flow(
            budget(self.slow("one", gate), within=self.LATE, fallback=worked("other")) >> worked("last")
        )
        run = live_coordinator.start(made, order(amount=1))
        assert run.result(timeout=20).trail == ["other", "last"]
        gate.set()
        wait_until(
            lambda: any(entry["kind"] == "late" for entry in run.history()),
            description="it is told as late",
        )
        assert run.result().trail == ["other", "last"]

    def test_everywhere(self, running: Coordinator) -> None:
        """It holds in a branch, for each item of a list, in a repetition and within another budget."""

        class Both(Contract, name=f"steps.both-{next(_number)}", version=1):
            left: Order
            right: Prices

        @agent(f"steps.join-{next(_number)}")
        def join(both: Both) -> Order:
            return both.left.model_copy(update={"trail": [*both.left.trail, str(len(both.right.prices))]})

        failing = self.slow("one", threading.Event())
        inner = budget(failing, within=self.LATE, fallback=self.slow("never", threading.Event()))
        left = repeat(
            budget(
                inner,
                within=self.LATE * 2,
                fallback=worked("other", lambda order: {"amount": order.amount + 1}),
            ),
            until=field("amount") >= 4,
            at_most=5,
        )
        free = constant(Priced(sku="free", cents=0))
        prices = each(
            "lines",
            budget(pricing(lambda line: line.pieces > 1), within=self.LATE, fallback=free),
            into="prices",
        )
        made = flow(parallel(left=left, right=prices) >> join, input=Order)
        given = order(amount=2, lines=[Line(sku="a"), Line(sku="b", pieces=2)])
        assert trail(running, made, given) == ["other", "other", "2"]

    def test_failed_fallback(self, running: Coordinator) -> None:
        """A fallback that fails is parked like any step, and its run with it: nothing else will take the place."""
        broken = {"amount"}
        failing = worked("other", lambda order: {"amount": 1 // (0 if broken else 1)})
        made = flow(budget(self.slow("one", threading.Event()), within=self.LATE, fallback=failing))
        run = running.start(made, order(amount=2))
        assert run.wait(timeout=20) == "parked"
        with pytest.raises(RunParked, match=r"1\.f\.1"):
            run.result(timeout=0)
        broken.clear()
        [letter] = wait_until(
            lambda: [one for one in running.dead_letters(run=run.id) if one.step == "1.f.1"],
            description="there is a letter",
        )
        letter.replay()
        assert run.result(timeout=20).trail == ["other"]

    def test_late_step_where_the_fallback_failed(self, live_coordinator: Coordinator) -> None:
        """Where the fallback has failed, the late outcome is all there is: the run goes on with it, and is parked no more."""
        gate, further = threading.Event(), threading.Event()
        failing = worked("other", lambda order: {"amount": 1 // 0})
        last = worked("last", lambda order: {"amount": int(further.wait(5))})
        made = flow(budget(self.slow("one", gate), within=self.LATE, fallback=failing) >> last)
        run = live_coordinator.start(made, order(amount=1))
        assert run.wait(timeout=20) == "parked"
        gate.set()
        wait_until(lambda: run.status() == "running", description="it goes on")
        further.set()
        assert run.result(timeout=20).trail == ["one", "last"]

    def test_within_one_that_is_spent(self, running: Coordinator) -> None:
        """Where a budget is spent, those within it are of no use any more: nothing stands in for their steps."""
        failing = self.slow("one", threading.Event())
        inner = budget(failing, within=self.LATE * 2, fallback=constant(order(trail=["inner"])))
        outer = budget(inner, within=self.LATE, fallback=constant(order(trail=["outer"])))
        run = running.start(flow(outer >> wait_for("approval", Approval)), order(amount=2))
        wait_until(lambda: waits(running, run), description="it goes on with the fallback")
        threading.Event().wait(0 if running.settings.eager else self.LATE.total_seconds() * 2)
        assert [entry["step"] for entry in run.history() if entry["kind"] == "fallback"] == ["1"]
        assert run.cancel() == "cancelled"

    def test_kept_by_each_budget(self, running: Coordinator) -> None:
        """An outcome is kept for each budget that ends with it, signals too; what only stood in for one is not."""
        age, broken = timedelta(minutes=5), set[str]()

        def step(order: Order) -> dict[str, Any]:
            if broken:
                raise Permanent("it is broken")
            return {}

        nothing = constant(order(trail=["nothing"]))
        zone = cached("amount", max_age=age, otherwise=nothing, shared=True)
        inner = budget(worked("one", step), within=self.LATE * 2, fallback=zone)
        made = flow(budget(inner, within=self.LATE, fallback=zone))
        assert running.start(made, order()).result(timeout=20).trail == ["one"]
        broken.add("one")
        run = running.start(made, order())
        assert run.result(timeout=20).trail == ["one"]
        assert [entry["step"] for entry in run.history() if entry["kind"] == "fallback"] == ["1"]
        stood_in = budget(worked("one", step), within=self.LATE / 2, fallback=nothing)
        bypass = choice(when(field("amount") > 100, worked("never")), otherwise=go_on)
        other = flow(
            budget(
                stood_in >> bypass,
                within=self.LATE,
                fallback=cached("amount", max_age=age, otherwise=worked("x"), shared=True),
            )
        )
        before = running.engine.store.redis.keys("kept:*")
        assert running.start(other, order()).result(timeout=20).trail == ["nothing"]
        assert running.engine.store.redis.keys("kept:*") == before

    def test_outstanding(self, running: Coordinator) -> None:
        """What is left in a budget that was spent is outstanding for nobody: steps that come late, and parts of a join."""

        class Both(Contract, name=f"steps.both-{next(_number)}", version=1):
            left: Order
            right: Order

        @agent(f"steps.join-{next(_number)}")
        def join(both: Both) -> Order:
            return both.left

        gate = threading.Event()
        late = worked("late", lambda order: {"amount": int(running.settings.eager or gate.wait(5))})
        body = parallel(left=worked("one"), right=self.slow("two", threading.Event())) >> join
        stands_in = constant(order(trail=["other"]))
        made = flow(
            budget(body, within=self.LATE, fallback=stands_in)
            >> budget(late, within=self.LATE, fallback=stands_in)
        )
        run = running.start(made, order(amount=2))
        assert run.wait(timeout=20) == "completed"
        gate.set()

        def nothing() -> bool:
            for letter in running.dead_letters(run=run.id):  # some come late
                letter.replay()
            return running.engine.outstanding.counts() == {}

        wait_until(nothing, description="nothing is outstanding")
