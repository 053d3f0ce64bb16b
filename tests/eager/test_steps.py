"""The steps of the flow language: choices, lists, repetitions, flows within flows, delays; in eager and in embedded mode."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from pydantic import Field

from handoffs import (
    Context,
    Contract,
    CoordinationError,
    Coordinator,
    Flow,
    Key,
    Permanent,
    Retry,
    Sensitive,
    Transient,
    agent,
    parallel,
)
from handoffs.contracts.errors import InvalidData
from handoffs.contracts.text import MASK
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.errors import (
    Conflict,
    EditRefused,
    FlowError,
    RunCancelled,
    RunParked,
    SignalRefused,
    UnknownRun,
)
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.budget import budget, cached, constant
from handoffs.coordinator.flow.condition import field
from handoffs.coordinator.flow.signal import wait_for
from handoffs.coordinator.flow.step import choice, compensate, delay, each, go_on, repeat, retrying, when
from handoffs.coordinator.flow.trigger import agents_of
from handoffs.coordinator.messaging.message import Message
from tests.deliveries import start
from tests.waiting import wait_until

_number = count()
SOON = timedelta(milliseconds=100)


class Line(Contract, name="steps.line", version=1):
    sku: str = Key()
    pieces: int = 1


class Order(Contract, name="steps.order", version=1):
    order: str = Key()
    amount: int = 0
    lines: list[Line] = Field(default_factory=list)
    trail: list[str] = Field(default_factory=list)


class Priced(Contract, name="steps.priced", version=1):
    sku: str
    cents: int


class Prices(Contract, name="steps.prices", version=1):
    prices: list[Priced]


class Total(Contract, name="steps.total", version=1):
    cents: int
    skus: list[str]


def worked(name: str, change: Callable[[Order], dict[str, Any]] = lambda order: {}) -> Agent:
    """An agent that leaves its name in the trail."""

    @agent(f"steps.{name}-{next(_number)}")
    def work(order: Order) -> Order:
        return order.model_copy(update={"trail": [*order.trail, name], **change(order)})

    return work


def pricing(broken: Callable[[Line], bool] = lambda line: False) -> Agent:
    @agent(f"steps.price-{next(_number)}")
    def price(line: Line) -> Priced:
        if broken(line):
            raise Permanent("this one cannot be priced")
        return Priced(sku=line.sku, cents=line.pieces * 100)

    return price


@agent("steps.sum")
def total(prices: Prices) -> Total:
    return Total(
        cents=sum(price.cents for price in prices.prices), skus=[price.sku for price in prices.prices]
    )


@pytest.fixture(params=["coordinator", "live_coordinator"])
def running(request: pytest.FixtureRequest) -> Coordinator:
    """Eager, and embedded."""
    found: Coordinator = request.getfixturevalue(request.param)
    return found


def flow(step: Any, **options: Any) -> Flow:
    return Flow(f"steps.flow-{next(_number)}", step, **options)


def order(**fields: Any) -> Order:
    return Order(order=f"o-{next(_number)}", **fields)


def trail(running: Coordinator, made: Flow, given: Order) -> list[str]:
    result = running.start(made, given).result(timeout=20)
    assert isinstance(result, Order)
    return result.trail


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

        zone = cached("trail", max_age=timedelta(minutes=5), otherwise=constant(Order(order="x")))
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
        wait_until(lambda: _waits(running, run), description="it goes on with the fallback")
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
        zone = cached("amount", max_age=age, otherwise=nothing)
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
                fallback=cached("amount", max_age=age, otherwise=worked("x")),
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


class Approval(Contract, name="steps.approval", version=1):
    approved: bool
    who: str = ""


class Approved(Contract, name="steps.approved", version=1):
    given: Order
    approval: Approval


@agent("steps.take")
def take(approved: Approved) -> Order:
    trail = [*approved.given.trail, f"approved={approved.approval.approved} by {approved.approval.who}"]
    return approved.given.model_copy(update={"trail": trail})


class TestSignals:
    YES, NO = Approval(approved=True, who="ann"), Approval(approved=False, who="nobody")

    def waiting(self) -> Flow:
        return flow(worked("one") >> wait_for("approval", Approval, keep="given") >> take)

    def until_it_waits(self, running: Coordinator, run: Run) -> None:
        def waits() -> bool:
            record = running.engine.runs.get(run.id)
            return record is not None and record.waits == ("2 approval",)

        wait_until(waits, description="the run waits")

    def test_after_the_wait_began(self, running: Coordinator) -> None:
        """A run waits for its signal, and goes on with it beside what it had; who sent it is told."""
        run = running.start(self.waiting(), order())
        self.until_it_waits(running, run)
        assert run.status() == "running"
        run.signal("approval", self.YES, by="ann")
        assert run.result(timeout=20).trail == ["one", "approved=True by ann"]
        [entry] = [entry for entry in run.history() if entry["kind"] == "signalled"]
        assert (entry["by"], entry["input"]["who"]) == ("ann", "ann")

    def test_before_the_wait(self, live_coordinator: Coordinator) -> None:
        """A signal that comes before the run waits is kept for it; sent twice, it counts once."""
        gate = threading.Event()
        slow = worked("one", lambda order: {"amount": int(gate.wait(10))})
        run = live_coordinator.start(
            flow(slow >> wait_for("approval", Approval, keep="given") >> take), order()
        )
        run.signal("approval", self.YES)
        run.signal("approval", self.YES)
        gate.set()
        assert run.result(timeout=20).trail == ["one", "approved=True by ann"]
        assert [entry["kind"] for entry in run.history()].count("signalled") == 1

    def test_refused(self, running: Coordinator) -> None:
        """A signal that the flow does not wait for, of another contract, or other than the one that came before is refused
        and recorded; so is one for a run that has ended."""
        run = running.start(self.waiting(), order())
        for name, payload, said in (
            ("other", self.YES, "waits for no signal 'other'"),
            ("approval", order(), "is steps.approval/1, and this is steps.order/1"),
        ):
            with pytest.raises(SignalRefused, match=said):
                run.signal(name, payload)
        self.until_it_waits(running, run)
        refused = [entry["error"] for entry in run.history() if entry["kind"] == "refused"]
        assert len(refused) == 2
        run.signal("approval", self.YES)
        assert run.result(timeout=20).trail[-1] == "approved=True by ann"
        with pytest.raises(UnknownRun, match="is not running"):
            run.signal("approval", self.NO)

    def test_another_payload(self, live_coordinator: Coordinator) -> None:
        """Of two payloads that come before the wait the first one counts, and the other is refused."""
        gate = threading.Event()
        slow = worked("one", lambda order: {"amount": int(gate.wait(10))})
        run = live_coordinator.start(flow(slow >> wait_for("approval", Approval)), order())
        run.signal("approval", self.YES)
        with pytest.raises(SignalRefused, match="came before"):
            run.signal("approval", self.NO)
        gate.set()
        assert run.result(timeout=20) == self.YES

    def test_timeout(self, running: Coordinator) -> None:
        """When nobody sends it in time, what is otherwise stands in; the signal is refused then."""
        made = flow(
            worked("one")
            >> wait_for("approval", Approval, keep="given", timeout=SOON, otherwise=constant(self.NO))
            >> take
        )
        run = running.start(made, order())
        assert run.result(timeout=20).trail == ["one", "approved=False by nobody"]
        assert any(entry.get("fallback") == "constant" for entry in run.history())

    def test_several(self, running: Coordinator) -> None:
        """A signal in each of two branches, and one in each round of a repetition."""

        class Two(Contract, name=f"steps.two-{next(_number)}", version=1):
            left: Approval
            right: Approval

        @agent(f"steps.both-{next(_number)}")
        def both(two: Two) -> Order:
            return order(trail=[two.left.who, two.right.who])

        made = flow(
            parallel(left=wait_for("one", Approval), right=wait_for("two", Approval)) >> both, input=Order
        )
        run = running.start(made, order())
        run.signal("two", self.NO)
        run.signal("one", self.YES)
        assert run.result(timeout=20).trail == ["ann", "nobody"]
        count_down = worked("ask", lambda order: {"amount": order.amount + 1})
        rounds = flow(
            repeat(
                count_down >> wait_for("approval", Approval, keep="given") >> take,
                until=field("amount") >= 2,
                at_most=3,
            )
        )
        run = running.start(rounds, order())
        for who in ("ann", "bob"):
            wait_until(lambda: _waits(running, run), description="it waits")
            run.signal("approval", Approval(approved=True, who=who))
        assert run.result(timeout=20).trail[1::2] == ["approved=True by ann", "approved=True by bob"]

    def test_nothing_but_a_wait(self, running: Coordinator) -> None:
        """A flow may be nothing but a wait."""
        run = running.start(flow(wait_for("approval", Approval), input=Order), order())
        run.signal("approval", self.YES)
        assert run.result(timeout=20) == self.YES

    def test_in_a_spent_budget(self, running: Coordinator) -> None:
        """A wait in a budget that is spent takes no signal from those that still wait."""
        first = budget(wait_for("approval", Approval), within=SOON, fallback=constant(self.NO))
        made = flow(first >> wait_for("approval", Approval), input=Order)
        run = running.start(made, order())
        self.until_it_waits(running, run)
        run.signal("approval", self.YES)
        assert run.result(timeout=20) == self.YES

    @pytest.mark.parametrize("before", [True, False])
    def test_reached_when_its_budget_is_spent(self, live_coordinator: Coordinator, before: bool) -> None:
        """Nor does one that is reached only after that, whether the signal comes before or then."""
        gate, further = threading.Event(), threading.Event()
        slow = worked("one", lambda order: {"amount": int(gate.wait(10))})
        body = slow >> wait_for("approval", Approval)
        hold = worked("two", lambda order: {"amount": int(further.wait(10))})
        made = flow(
            parallel(
                left=budget(body, within=SOON, fallback=constant(self.NO)),
                right=hold >> wait_for("approval", Approval),
            ),
            input=Order,
        )
        run = live_coordinator.start(made, order())

        def told(kind: str, step: str) -> None:
            wait_until(
                lambda: any((entry["kind"], entry.get("step")) == (kind, step) for entry in run.history()),
                description=f"{step} is {kind}",
            )

        told("fallback", "1.left.1")
        if before:
            run.signal("approval", self.YES)
        gate.set()
        told("settled", "1.left.1.b.1")
        further.set()
        told("settled", "1.right.1")
        if not before:
            run.signal("approval", self.YES)
        assert run.result(timeout=20) == {"left": self.NO, "right": self.YES}


def _waits(running: Coordinator, run: Run) -> bool:
    record = running.engine.runs.get(run.id)
    return record is not None and bool(record.waits)


class TestCompensation:
    """Cancelled with compensation, what was done is undone: each step once, the last one first."""

    def shop(self, undone: list[str], broken: set[str]) -> Flow:
        def does(name: str) -> Any:
            def fail(order: Order) -> dict[str, Any]:
                if name in broken:
                    raise Permanent(f"{name} is broken")
                return {}

            @agent(f"steps.un{name}-{next(_number)}")
            def undo(order: Order) -> Order:
                if f"un{name}" in broken:
                    raise Permanent("it cannot be undone now")
                undone.append(name)
                return order

            return compensate(worked(name, fail), by=undo)

        class Both(Contract, name=f"steps.both-{next(_number)}", version=1):
            left: Order
            right: Order

        @agent(f"steps.join-{next(_number)}")
        def join(both: Both) -> Order:
            return both.left

        branches = parallel(left=does("left"), right=does("right"))
        return flow(does("charge") >> worked("plain") >> branches >> join >> does("book") >> does("ship"))

    def test_given_up(self, running: Coordinator) -> None:
        """A run that is given up at a parked step undoes what was done before it, and is cancelled then."""
        undone: list[str] = []
        run = running.start(self.shop(undone, {"ship"}), order())
        assert run.wait(timeout=20) == "parked"
        run.give_up(by="ann")
        assert run.wait(timeout=20) == "cancelled"
        assert undone[0] == "book"
        assert sorted(undone[1:3]) == ["left", "right"]
        assert undone[3:] == ["charge"]
        history = run.history()
        assert [entry["by"] for entry in history if entry["kind"] == "given-up"] == ["ann"]
        paths = [
            entry["step"]
            for entry in history
            if entry["kind"] == "settled" and entry["step"].endswith(".undo")
        ]
        assert (paths[0], paths[-1]) == ("5.undo", "1.undo")
        assert running.engine.outstanding.counts() == {}
        with pytest.raises(RunCancelled):
            run.result()
        assert run.give_up() == "cancelled"
        assert len(undone) == 4

    def test_without_compensation(self, running: Coordinator) -> None:
        """Cancelling alone undoes nothing."""
        undone: list[str] = []
        run = running.start(self.shop(undone, {"ship"}), order())
        assert run.wait(timeout=20) == "parked"
        assert run.cancel() == "cancelled"
        assert undone == []

    def test_nothing_to_undo(self, running: Coordinator) -> None:
        """A run of which nothing was done is cancelled at once; one that is complete stays so."""
        undone: list[str] = []
        run = running.start(self.shop(undone, {"charge"}), order())
        assert run.wait(timeout=20) == "parked"
        assert run.cancel(compensate=True) == "cancelled"
        run = running.start(self.shop(undone, set()), order())
        assert run.wait(timeout=20) == "completed"
        assert run.cancel(compensate=True) == "completed"
        assert undone == []

    def test_undoing_fails(self, running: Coordinator) -> None:
        """What cannot be undone is parked like any step, and goes on when it is replayed."""
        undone: list[str] = []
        broken = {"ship", "unbook"}
        run = running.start(self.shop(undone, broken), order())
        assert run.wait(timeout=20) == "parked"
        run.give_up()
        wait_until(lambda: run.status() == "parked", description="undoing is parked")
        assert [what for _, what in running.engine.outstanding.counts()] == ["steps.order/1"]
        broken.clear()
        [letter] = wait_until(
            lambda: [one for one in running.dead_letters(run=run.id) if one.row.step == "5.undo"],
            description="there is a letter",
        )
        letter.replay()
        assert run.wait(timeout=20) == "cancelled"
        assert (len(undone), undone[-1]) == (4, "charge")

    def test_an_older_letter_is_replayed(self, running: Coordinator) -> None:
        """Who replays a letter of a run that is being undone is refused, and the letter of what cannot be undone still waits."""
        broken = {"ship", "unbook"}
        run = running.start(self.shop([], broken), order())
        assert run.wait(timeout=20) == "parked"
        [older] = wait_until(run.letters, description="there is a letter")
        run.give_up()
        [undoing] = wait_until(run.letters, description="undoing is parked")
        with pytest.raises(RunCancelled):
            older.replay()
        assert [letter.step for letter in run.letters()] == [undoing.step] == ["5.undo"]
        broken.clear()
        undoing.replay()
        assert run.wait(timeout=20) == "cancelled"

    def test_still_running(self, live_coordinator: Coordinator) -> None:
        """A step that runs while its run is cancelled is undone as well, once it has its outcome."""
        undone: list[str] = []
        began, gate = threading.Event(), threading.Event()

        def slow(order: Order) -> dict[str, Any]:
            began.set()
            gate.wait(10)
            return {}

        @agent(f"steps.undo-{next(_number)}")
        def undo(order: Order) -> Order:
            undone.append(order.trail[-1])
            return order

        first, second = compensate(worked("one"), by=undo), compensate(worked("two", slow), by=undo)
        run = live_coordinator.start(flow(first >> second), order())
        assert began.wait(10)
        run.cancel(compensate=True)
        wait_until(lambda: undone == ["one"], description="the first step is undone")
        gate.set()
        wait_until(lambda: undone == ["one", "two"], description="the second is undone, too")
        wait_until(lambda: run.status() == "cancelled", description="the run is cancelled")


class Declined(Exception):
    """An error that is of no use to try again, as a flow says."""


QUICK = Retry(attempts=5, backoff=timedelta(milliseconds=5), jitter=0.5, never=(Declined,))


class TestRetrying:
    """A flow says how often an agent is tried at a place, and the agent's own policy holds everywhere else."""

    def failing(self, times: int, error: Exception | None = None, retry: Retry | None = None) -> Agent:
        """An agent that fails so many times in each run."""
        left: dict[str, int] = {}

        @agent(f"steps.flaky-{next(_number)}", retry=retry)
        def flaky(order: Order, context: Context) -> Order:
            place = f"{context.run_id} {context.step}"
            left[place] = left.get(place, times) - 1
            if left[place] >= 0:
                raise error or OSError("not now")
            return order.model_copy(update={"trail": [*order.trail, str(context.attempt)]})

        return flaky

    def test_attempts(self, running: Coordinator) -> None:
        """The step's policy goes before the agent's, at that place only; the waits are in the history."""
        flaky = self.failing(4, retry=Retry(attempts=1))
        run = running.start(flow(worked("one") >> retrying(flaky, QUICK) >> worked("three")), order())
        assert run.result(timeout=20).trail == ["one", "5", "three"]
        waits = [entry["wait_ms"] for entry in run.history() if entry["kind"] == "retried"]
        assert len(waits) == 4
        assert all(2 <= wait <= 5 * 2**number for number, wait in enumerate(waits))
        run = running.start(flow(worked("one") >> flaky), order())
        assert run.wait(timeout=20) == "parked"

    def test_last_attempt(self, running: Coordinator) -> None:
        """After the last attempt the step is parked; replayed, it is tried as often again."""
        run = running.start(flow(retrying(self.failing(7), QUICK)), order())
        assert run.wait(timeout=20) == "parked"
        [letter] = wait_until(lambda: running.dead_letters(run=run.id), description="there is a letter")
        assert letter.row.attempt == 5
        letter.replay()
        assert run.result(timeout=20).trail == ["3"]

    @pytest.mark.parametrize("error", [Declined("no"), Permanent("no")])
    def test_never(self, running: Coordinator, error: Exception) -> None:
        """An error that the policy names is not tried again, though only its name has travelled; a permanent one never is."""
        run = running.start(flow(retrying(self.failing(1, error), QUICK)), order())
        assert run.wait(timeout=20) == "parked"
        assert [entry["attempt"] for entry in run.history() if entry["kind"] == "parked"] == [1]

    def test_the_error_says_when(self, running: Coordinator) -> None:
        """A transient error that says when to come back goes before the step's backoff."""
        busy = Transient("busy", retry_after=timedelta(milliseconds=7))
        slow = Retry(attempts=3, backoff=timedelta(hours=1), longest=timedelta(hours=1))
        run = running.start(flow(retrying(self.failing(2, busy), slow)), order())
        assert run.result(timeout=20).trail == ["3"]
        assert [entry["wait_ms"] for entry in run.history() if entry["kind"] == "retried"] == [7, 7]

    def test_everywhere(self, running: Coordinator) -> None:
        """In a branch, a list, a repetition, a choice, a budget, and around what is compensated."""

        class Both(Contract, name=f"steps.both-{next(_number)}", version=1):
            left: Order
            right: Order

        @agent(f"steps.join-{next(_number)}")
        def join(both: Both) -> Order:
            return both.left.model_copy(update={"trail": both.left.trail + both.right.trail})

        def once() -> Any:
            return retrying(self.failing(2, retry=Retry(attempts=1)), QUICK)

        made = flow(
            repeat(once(), until=field("amount") > 5, at_most=2)
            >> choice(when(field("amount") == 0, once()), otherwise=go_on)
            >> parallel(
                left=budget(once(), within=timedelta(seconds=30), fallback=worked("never")),
                right=compensate(once(), by=worked("undo")),
            )
            >> join
        )
        assert trail(running, made, order()) == ["3", "3", "3", "3", "3", "3", "3", "3"]

    @pytest.mark.parametrize("outside", ["compensate", "retrying"])
    def test_compensated(self, running: Coordinator, outside: str) -> None:
        """Both what is done and what undoes it have a policy of their own, in either order of writing."""
        charge, refund = self.failing(3), self.failing(4, retry=Retry(attempts=1))
        undo, policy = retrying(refund, QUICK), Retry(attempts=4, backoff=timedelta(milliseconds=1))
        step = (
            compensate(retrying(charge, policy), by=undo)
            if outside == "compensate"
            else retrying(compensate(charge, by=undo), policy)
        )
        broken = worked("broken", lambda order: {"amount": 1 // order.amount})
        run = running.start(flow(step >> retrying(broken, Retry(attempts=1))), order())
        assert run.wait(timeout=20) == "parked"
        run.give_up()
        assert run.wait(timeout=20) == "cancelled"
        tried = [(entry["step"], entry["attempt"]) for entry in run.history() if entry["kind"] == "settled"]
        assert tried == [("1", 4), ("1.undo", 5)]

    def test_a_run_keeps_its_policy(self, running: Coordinator) -> None:
        """A run that was started before another policy was deployed goes by the one that it was started with."""
        name, flaky = f"steps.versioned-{next(_number)}", self.failing(8)
        run = running.start(Flow(name, retrying(flaky, QUICK) >> worked("two")), order())
        assert run.wait(timeout=20) == "parked"
        deployed = Flow(name, retrying(flaky, Retry(attempts=1)) >> worked("two"))
        other = running.start(deployed, order())
        assert other.wait(timeout=20) == "parked"
        assert [entry["kind"] for entry in other.history()].count("retried") == 0
        [letter] = wait_until(lambda: running.dead_letters(run=run.id), description="there is a letter")
        letter.replay()
        assert run.result(timeout=20).trail == ["4", "two"]


class TestSkipping:
    def parked(self, running: Coordinator) -> tuple[Run, Any]:
        broken = worked("two", lambda order: {"amount": 1 // order.amount})
        run = running.start(flow(worked("one") >> broken >> worked("three")), order())
        assert run.wait(timeout=20) == "parked"
        [letter] = wait_until(lambda: running.dead_letters(run=run.id), description="there is a letter")
        return run, letter

    def test_a_person_gives_the_outcome(self, running: Coordinator) -> None:
        """A parked step is skipped with an outcome that a person gives; who and why is recorded; the run goes on."""
        run, letter = self.parked(running)
        given = {"order": "by-hand", "trail": ["one", "ann"]}
        running.skip(letter, given, by="ann", why="the sum was known")
        assert run.result(timeout=20).trail == ["one", "ann", "three"]
        [entry] = [entry for entry in run.history() if entry["kind"] == "skipped"]
        assert (entry["by"], entry["error"], entry["step"]) == ("ann", "the sum was known", "2")
        assert running.dead_letters(run=run.id) == []
        assert [act.action for act in running.journal.actions.of(run.id)] == ["skip"]
        running.skip(letter, given)  # again, which changes nothing
        with pytest.raises(CoordinationError, match="has an outcome"):
            running.skip(letter, {**given, "amount": 7})

    def test_the_outcome_is_checked(self, running: Coordinator) -> None:
        """What the agent would not emit is refused, and the step stays parked."""
        run, letter = self.parked(running)
        for wrong in ({"order": 5}, {}, Line(sku="s")):
            with pytest.raises(InvalidData):
                running.skip(letter, wrong)
        assert run.status() == "parked"


class TestEditing:
    """A person gives a step another input; what it does, and what follows, is done with that."""

    def parked(self, running: Coordinator, step: str = "2") -> tuple[Run, Any]:
        broken = worked("two", lambda order: {"amount": 100 // order.amount})
        run = running.start(flow(worked("one") >> broken >> worked("three")), order())
        assert run.wait(timeout=20) == "parked"
        [letter] = wait_until(lambda: running.dead_letters(run=run.id), description="there is a letter")
        return run, letter

    def test_a_parked_step(self, running: Coordinator) -> None:
        """It is replayed with the edited input; who, why, before and after are in the history, the letter and the actions."""
        run, letter = self.parked(running)
        old = letter.row.message
        given = {"order": letter.row.payload["order"], "amount": 25, "trail": ["ann"]}
        running.edit(letter, given, by="ann", why="the amount was missing")
        assert run.result(timeout=20).trail == ["ann", "two", "three"]
        [entry] = [entry for entry in run.history() if entry["kind"] == "edited"]
        assert (entry["by"], entry["error"], entry["step"]) == ("ann", "the amount was missing", "2")
        assert (entry["input"]["amount"], entry["output"]["amount"]) == (0, 25)
        assert [act.action for act in running.journal.actions.of(run.id)] == ["edit", "replay"]
        [edit] = letter.edits
        assert (edit.number, edit.who, edit.why, edit.message) == (1, "ann", "the amount was missing", old)
        assert running.desk.letter(letter.id).row.message != old
        settled = [entry for entry in run.history() if entry["kind"] == "settled" and entry["step"] == "2"]
        assert [entry["input"]["amount"] for entry in settled] == [25]
        with pytest.raises(EditRefused, match=r"has its outcome|is completed"):
            running.edit(letter, given)

    def test_edited_again(self, running: Coordinator) -> None:
        """An edited input that fails too is edited again; both are told, and the last one runs."""
        run, letter = self.parked(running)
        given = {"order": letter.row.payload["order"], "trail": []}
        running.edit(letter, {**given, "amount": 0}, by="ann")
        [letter] = wait_until(lambda: running.dead_letters(run=run.id), description="it is back")
        running.edit(letter, {**given, "amount": 50}, by="bob")
        assert run.result(timeout=20).amount == 2
        assert [(edit.number, edit.who) for edit in letter.edits] == [(1, "ann"), (2, "bob")]
        told = [entry for entry in run.history() if entry["kind"] == "edited"]
        assert [entry["by"] for entry in told] == ["ann", "bob"]
        assert told[1]["input"] == told[0]["output"]

    def test_another_key(self, running: Coordinator) -> None:
        """An edit may change the fields of the key: it is other work then. A key that stands for something else is refused."""
        run, letter = self.parked(running)
        running.edit(letter, {"order": "quite-another", "amount": 10, "trail": []})
        assert run.result(timeout=20).order == "quite-another"
        agent = next(place.agent for place in (run.flow.places() if run.flow else ()) if place.path == "2")
        other = running.start(flow(agent), order(amount=0))
        assert other.wait(timeout=20) == "parked"
        [letter] = wait_until(lambda: running.dead_letters(run=other.id), description="there is a letter")
        with pytest.raises(Conflict, match="stands for another input, which has its outcome"):
            running.edit(letter, {"order": "quite-another", "amount": 77})
        assert other.status() == "parked"
        running.edit(letter, {"order": "quite-another", "amount": 10, "trail": []})
        assert other.result(timeout=20).amount == 10

    def test_the_input_is_checked(self, running: Coordinator) -> None:
        """What the agent would not accept is refused, and nothing is changed."""
        run, letter = self.parked(running)
        wrong: Any
        for wrong in ({"order": 5}, {}, Line(sku="s"), [], None, "x"):
            with pytest.raises(InvalidData):
                running.edit(letter, wrong)
        assert run.status() == "parked"
        assert letter.edits == []
        assert [entry["kind"] for entry in run.history()].count("edited") == 0
        run.cancel()
        with pytest.raises(EditRefused, match="its run is cancelled"):
            running.edit(letter, {"order": "o", "amount": 1})

    def test_masked_values(self, running: Coordinator) -> None:
        """A sensitive value that is left masked stays as it is; one that is not known is refused; none is shown."""

        class Card(Contract, name=f"steps.card-{next(_number)}", version=1):
            order: str = Key()
            pins: list[Sensitive]
            amount: int = 0

        seen: list[Card] = []

        @agent(f"steps.pay-{next(_number)}")
        def pay(card: Card) -> Card:
            if not card.amount:
                raise Permanent("nothing to pay")
            seen.append(card)
            return card

        run = running.start(flow(pay), {"order": "o", "pins": ["1234-hidden", "5678-hidden"]})
        assert run.wait(timeout=20) == "parked"
        [letter] = wait_until(lambda: running.dead_letters(run=run.id), description="there is a letter")
        shown = letter.row.payload
        for wrong in ({**shown, "pins": [MASK]}, {**shown, "pins": [MASK, MASK, MASK]}):
            with pytest.raises(InvalidData, match=r"pins\.0 is masked"):
                running.edit(letter, {**wrong, "amount": 5})
        running.edit(letter, {**shown, "pins": [MASK, "9"], "amount": 5})
        assert run.result(timeout=20).amount == 5
        assert [pin.get_secret_value() for pin in seen[0].pins] == ["1234-hidden", "9"]
        assert "hidden" not in str(run.history())

    def test_what_cannot_be_edited(self, running: Coordinator) -> None:
        """A step that is settled, or that is not there, is refused with its path; so is a run that is not."""
        run, _ = self.parked(running)
        for step in ("1", "3", "99", "", "2.x"):
            with pytest.raises(EditRefused, match="neither parked nor held"):
                run.edit(step, {"order": "o", "amount": 1})
        run.edit("2", {"order": "o-edited", "amount": 1, "trail": []}, by="ann")
        assert run.result(timeout=20).trail == ["two", "three"]
        with pytest.raises(EditRefused, match="neither parked nor held"):
            run.edit("2", {"order": "o", "amount": 1})

    def test_invalid_input(self, running: Coordinator) -> None:
        """A step that is parked because its input is none goes on with the edited one; so do old copies of its message."""
        made = flow(worked("one") >> worked("two"))
        [sent] = start(made, order(), run := f"r-{next(_number)}")
        running.work(agents_of(made).values())
        broken = Message(
            sent.id, sent.agent, sent.headers, sent.body.replace('\\"amount\\":0', '\\"amount\\":\\"x\\"')
        )
        assert broken != sent
        running.engine.publisher.publish([broken])
        [letter] = wait_until(lambda: running.dead_letters(run=run), description="there is a letter")
        assert letter.row.kind == "invalid-input"
        running.edit(letter, {"order": "o-mended", "amount": 3})
        found = running.run(run)
        assert found.result(timeout=20)["amount"] == 3
        running.engine.publisher.publish([broken])
        wait_until(lambda: not running.dead_letters(run=run), description="nothing waits")

    def test_in_a_branch_and_a_list(self, running: Coordinator) -> None:
        """The edited input is that of its branch, or its item, alone."""
        made = flow(
            each("lines", pricing(lambda line: line.sku == "bad"), into="prices") >> total, input=Order
        )
        run = running.start(made, order(lines=[Line(sku="a"), Line(sku="bad"), Line(sku="c")]))
        assert run.wait(timeout=20) == "parked"
        wait_until(run.letters, description="there is a letter")
        run.edit("1.i1.1", Line(sku="b", pieces=5), by="ann")
        assert run.result(timeout=20) == Total(cents=700, skus=["a", "b", "c"])

    def test_compensation(self, running: Coordinator) -> None:
        """What undoes a step can be edited while its run is compensated; nothing else can."""
        undone: list[Order] = []

        @agent(f"steps.undo-{next(_number)}")
        def undo(order: Order) -> Order:
            if order.amount == 0:
                raise Permanent("nothing to give back")
            undone.append(order)
            return order

        broken = worked("broken", lambda order: {"amount": 1 // order.amount})
        run = running.start(flow(compensate(worked("one"), by=undo) >> broken), order())
        assert run.wait(timeout=20) == "parked"
        [first] = wait_until(lambda: running.dead_letters(run=run.id), description="there is a letter")
        run.give_up()
        [letter] = wait_until(
            lambda: [one for one in running.dead_letters(run=run.id) if one.row.step == "1.undo"],
            description="undoing is parked",
        )
        with pytest.raises(EditRefused, match="its run is compensating"):
            running.edit(first, {"order": "o", "amount": 1})
        running.edit(letter, {"order": "o-back", "amount": 9})
        assert run.wait(timeout=20) == "cancelled"
        assert [one.amount for one in undone] == [9]

    def test_a_held_step(self, live_coordinator: Coordinator) -> None:
        """A step that has not begun when its run is paused can be edited, more than once; resumed, it begins with the last."""
        began, gate = threading.Event(), threading.Event()

        def wait(order: Order) -> dict[str, Any]:
            began.set()
            gate.wait(10)
            return {}

        run = live_coordinator.start(flow(worked("one", wait) >> worked("two")), order(amount=1))
        assert began.wait(10)
        run.pause()
        with pytest.raises(EditRefused, match="neither parked nor held"):
            run.edit("1", {"order": "o", "amount": 1})
        gate.set()
        record = live_coordinator.engine.runs.get
        wait_until(lambda: "2" in record(run.id).held, description="it is held")  # type: ignore[union-attr]
        run.edit("2", {"order": "o-held", "amount": 2, "trail": []}, by="ann", why="first")
        run.edit("2", {"order": "o-held", "amount": 3, "trail": []}, by="bob", why="second")
        assert run.status() == "paused"
        run.resume()
        result = run.result(timeout=20)
        assert (result.amount, result.trail) == (3, ["two"])
        told = [
            (entry["by"], entry["input"]["amount"], entry["output"]["amount"])
            for entry in run.history()
            if entry["kind"] == "edited"
        ]
        assert told == [("ann", 1, 2), ("bob", 2, 3)]
        assert [act.action for act in live_coordinator.journal.actions.of(run.id)] == ["edit", "edit"]


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


class TestCurrent:
    """A run tells what it is doing now, step by step."""

    def test_every_state(self, live_coordinator: Coordinator) -> None:
        """What runs, waits, is parked, tried again, delayed and held is told with its path; what has ended tells nothing."""
        began, gate = threading.Event(), threading.Event()

        class Kept(Contract, name=f"steps.kept-{next(_number)}", version=1):
            order: Order
            approval: Line

        class All(Contract, name=f"steps.all-{next(_number)}", version=1):
            slow: Order
            waits: Kept
            bad: Order
            flaky: Order
            later: Order

        @agent(f"steps.join-{next(_number)}")
        def join(everything: All) -> Order:
            return everything.slow

        def wait(order: Order) -> dict[str, Any]:
            began.set()
            gate.wait(10)
            return {}

        def fail(order: Order) -> dict[str, Any]:
            raise Permanent("never") if not gate.is_set() else OSError("not now")

        def flaky(order: Order) -> dict[str, Any]:
            raise OSError("not now")

        hour = timedelta(hours=1)
        branches = parallel(
            slow=worked("slow", wait),
            waits=wait_for("approval", Line, keep="order"),
            bad=worked("bad", fail),
            flaky=retrying(worked("flaky", flaky), Retry(attempts=9, backoff=hour, longest=hour, jitter=0)),
            later=delay(hour) >> worked("later"),
        )
        run = live_coordinator.start(flow(worked("one") >> branches >> join), order())
        assert began.wait(10)

        def states() -> dict[str, str]:
            return {one.step: one.words() for one in run.current()}

        want = {"2.slow.1", "2.waits.1", "2.bad.1", "2.flaky.1", "2.later.2"}
        wait_until(
            lambda: (
                states().keys() == want and "queued" not in states().values() and "retrying" in str(states())
            ),
            description="every branch has come so far",
        )
        wait_until(lambda: "parked" in str(states()), description="one is parked")
        found = states()
        assert found["2.slow.1"] == "running"
        assert found["2.waits.1"] == 'waiting for signal "approval" of steps.line/1'
        assert found["2.bad.1"] == "parked: error: Permanent: never"
        assert found["2.flaky.1"].startswith("retrying (attempt 2, next in ")
        assert found["2.later.2"].startswith("delayed, ")
        assert list(found) == sorted(found)
        run.cancel()
        gate.set()
        assert run.current() == []

    def test_held(self, live_coordinator: Coordinator) -> None:
        """What does not begin because the run is paused is held, and runs when it is resumed."""
        began, gate = threading.Event(), threading.Event()

        def wait(order: Order) -> dict[str, Any]:
            began.set()
            gate.wait(10)
            return {}

        run = live_coordinator.start(flow(worked("one", wait) >> worked("two")), order())
        assert began.wait(10)
        run.pause()
        assert [one.words() for one in run.current()] == ["running"]
        gate.set()
        wait_until(
            lambda: [(one.step, one.words()) for one in run.current()] == [("2", "held (paused)")],
            description="the second is held",
        )
        run.resume()
        assert run.result(timeout=20).trail == ["one", "two"]
        assert run.current() == []

    def test_signal(self, running: Coordinator) -> None:
        """A wait is told since it began, and no more once its signal has come; a delay at the start is told, too."""
        run = running.start(flow(worked("one") >> wait_for("go", Order) >> worked("two")), order())
        wait_until(lambda: [one.state for one in run.current()] == ["waiting"], description="it waits")
        [waits] = run.current()
        assert (waits.step, waits.signal, waits.contract) == ("2", "go", "steps.order/1")
        assert waits.since is not None
        run.signal("go", order())
        assert run.wait(timeout=20) == "completed"
        assert run.current() == []


class TestSkippedAndUndone:
    def test_what_a_person_did_is_undone(self, running: Coordinator) -> None:
        """A step whose outcome a person gave is undone like any other."""
        undone: list[str] = []

        @agent(f"steps.undo-{next(_number)}")
        def undo(order: Order) -> Order:
            undone.append(order.trail[-1])
            return order

        broken = worked("charge", lambda order: {"amount": 1 // order.amount})
        run = running.start(flow(compensate(broken, by=undo) >> wait_for("go", Approval)), order())
        assert run.wait(timeout=20) == "parked"
        [letter] = wait_until(lambda: running.dead_letters(run=run.id), description="there is a letter")
        running.skip(letter, {"order": "o", "trail": ["by hand"]})
        run.cancel(compensate=True)
        assert run.wait(timeout=20) == "cancelled"
        assert undone == ["by hand"]
        assert not _waits(running, run)


class TestPause:
    def test_nothing_begins_while_it_is_held(self, live_coordinator: Coordinator) -> None:
        """A held run finishes what it has begun and begins nothing further; resumed, it goes on to its end."""
        began, gate = threading.Event(), threading.Event()

        def wait(order: Order) -> dict[str, Any]:
            began.set()
            gate.wait(10)
            return {}

        made = flow(worked("one", wait) >> worked("two"))
        run = live_coordinator.start(made, order())
        assert began.wait(10)
        assert run.pause(by="ann") == "paused"
        gate.set()
        wait_until(
            lambda: any(entry["kind"] == "settled" for entry in run.history()),
            description="the first is settled",
        )
        assert run.wait(timeout=0.3) == "paused"
        assert run.pause() == "paused"
        assert run.resume(by="bob") == "running"
        assert run.result(timeout=20).trail == ["one", "two"]
        told = [(entry["kind"], entry.get("by")) for entry in run.history()]
        assert [kind for kind, _ in told].count("paused") == 1
        assert ("resumed", "bob") in told
        assert run.pause() == "completed"

    def test_cancelled_while_it_is_held(self, live_coordinator: Coordinator) -> None:
        """A held run can be cancelled."""
        gate = threading.Event()
        made = flow(worked("one", lambda order: {"amount": int(gate.wait(10))}) >> worked("two"))
        run = live_coordinator.start(made, order())
        run.pause()
        assert run.cancel() == "cancelled"
        gate.set()
        assert run.resume() == "cancelled"

    def test_parked(self, running: Coordinator) -> None:
        """A parked step that is replayed while its run is held begins when that goes on."""
        broken = {"two"}
        failing = worked("two", lambda order: {"amount": 1 // (0 if broken else 1)})
        run = running.start(flow(worked("one") >> failing >> worked("three")), order())
        assert run.wait(timeout=20) == "parked"
        run.pause()
        broken.clear()
        [letter] = wait_until(lambda: running.dead_letters(run=run.id), description="there is a letter")
        letter.replay()
        assert run.wait(timeout=0.2) == "paused"
        assert [entry["step"] for entry in run.history() if entry["kind"] == "settled"] == ["1"]
        assert run.resume() in {"running", "completed"}
        assert run.result(timeout=20).trail == ["one", "two", "three"]

    def test_cancelled_when_parked_and_held(self, coordinator: Coordinator) -> None:
        """What was held in eager mode is gone with its run."""
        run = coordinator.start(flow(worked("one", lambda order: {"amount": 1 // 0})), order())
        run.pause()
        for letter in coordinator.dead_letters(run=run.id):
            letter.replay()
        assert run.cancel() == "cancelled"
        assert coordinator.engine.outstanding.counts() == {}


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
        (lambda: budget(worked("x"), within=timedelta(1), fallback=worked("y")), "has within"),
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
