"""What was done is undone, in the other order; in eager and in embedded mode."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any

import pytest

from handoffs import Context, Contract, Coordinator, Flow, Permanent, Retry, Run, agent, each, parallel
from handoffs.coordinator.errors import RunCancelled
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.signal import wait_for
from handoffs.coordinator.flow.step import compensate, parts
from tests.eager.flow.orders import Approval, Line, Order, Priced, _number, flow, order, total, waits, worked
from tests.waiting import wait_until


class Slow:
    """What a step does that goes on when it is let."""

    def __init__(self) -> None:
        self.began, self.gate = threading.Event(), threading.Event()

    def __call__(self, order: Order) -> dict[str, Any]:
        self.began.set()
        self.gate.wait(10)
        return {}


def undoing(undone: list[str]) -> Agent:
    """An agent that says whose step it undoes."""

    @agent(f"steps.undo-{next(_number)}")
    def undo(order: Order) -> Order:
        undone.append(order.trail[-1])
        return order

    return undo


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
        slow, undo = Slow(), undoing(undone)
        first, second = compensate(worked("one"), by=undo), compensate(worked("two", slow), by=undo)
        run = live_coordinator.start(flow(first >> second), order())
        assert slow.began.wait(10)
        run.cancel(compensate=True)
        wait_until(lambda: undone == ["one"], description="the first step is undone")
        slow.gate.set()
        wait_until(lambda: undone == ["one", "two"], description="the second is undone, too")
        wait_until(lambda: run.status() == "cancelled", description="the run is cancelled")


class TestSkippedAndUndone:
    def test_what_a_person_did_is_undone(self, running: Coordinator) -> None:
        """A step whose outcome a person gave is undone like any other."""
        undone: list[str] = []
        undo = undoing(undone)
        broken = worked("charge", lambda order: {"amount": 1 // order.amount})
        run = running.start(flow(compensate(broken, by=undo) >> wait_for("go", Approval)), order())
        assert run.wait(timeout=20) == "parked"
        [letter] = wait_until(lambda: running.dead_letters(run=run.id), description="there is a letter")
        running.skip(letter, {"order": "o", "trail": ["by hand"]})
        run.cancel(compensate=True)
        assert run.wait(timeout=20) == "cancelled"
        assert undone == ["by hand"]
        assert not waits(running, run)


class TestUndoneAndDoneAgain:
    """What is undone is an outcome: once, and from then on its key does not stand for it."""

    def shop(self, log: list[str], stock: set[str]) -> Flow:
        number = next(_number)

        @agent(f"steps.charge-{number}")
        def charge(order: Order) -> Order:
            log.append(f"charge {order.order}")
            return order.model_copy(update={"trail": [*order.trail, "charged"]})

        @agent(f"steps.refund-{number}")
        def refund(order: Order, context: Context) -> Order:
            log.append(f"refund {order.order}")
            refunds.append(context.idempotency_key)
            return order

        @agent(f"steps.ship-{number}", retry=Retry(attempts=1))
        def ship(order: Order) -> Order:
            if order.order not in stock:
                raise Permanent("no stock")
            log.append(f"ship {order.order}")
            return order

        refunds: list[str] = []
        self.refunds = refunds
        return flow(compensate(charge, by=refund) >> ship)

    def given_up(self, running: Coordinator, made: Flow, given: Order, key: str) -> Run:
        run = running.start(made, given, idempotency_key=key)
        assert run.wait(timeout=20) == "parked"
        run.give_up()
        assert run.wait(timeout=20) == "cancelled"
        return run

    def test_paid_again(self, running: Coordinator) -> None:
        """An order whose charge was refunded is charged again by the next run, and again refunded; each refund is an effect
        of its own for systems outside."""
        log, stock, given = list[str](), set[str](), order()
        made = self.shop(log, stock)
        for attempt in ("one", "two"):
            self.given_up(running, made, given, attempt)
        stock.add(given.order)
        assert running.start(made, given, idempotency_key="three").wait(timeout=20) == "completed"
        did = [line.partition(" ")[0] for line in log]
        assert did == ["charge", "refund", "charge", "refund", "charge", "ship"]
        assert len(set(self.refunds)) == len(self.refunds) == 2

    def test_shared_outcome_is_undone_once(self, running: Coordinator) -> None:
        """Two runs that have one outcome, for it is known by its key: whichever is given up, it is undone, and only once."""
        log, given = list[str](), order()
        made = self.shop(log, set())
        both = [running.start(made, given, idempotency_key=key) for key in "ab"]
        for run in both:
            assert run.wait(timeout=20) == "parked"
            assert log == [f"charge {given.order}"]
        for run in reversed(both):
            run.give_up()
            assert run.wait(timeout=20) == "cancelled"
            assert log == [f"charge {given.order}", f"refund {given.order}"]

    def test_known_by_its_key(self, running: Coordinator) -> None:
        """A run that was given an outcome which another flow's run had made undoes it when it is given up."""
        log, given = list[str](), order()
        made = self.shop(log, {given.order})
        charge, ship = parts(made.step)
        assert running.start(flow(charge), given).wait(timeout=20) == "completed"
        broken = worked("broken", lambda order: {"amount": 1 // order.amount})
        self.given_up(running, flow(charge >> broken >> ship), given, "known")
        assert log == [f"charge {given.order}", f"refund {given.order}"]

    def test_as_large_as_messages_may_be(self, running: Coordinator) -> None:
        """What the steps of a run have made may be more than a message holds: each is undone with its own."""
        log, lines = list[str](), [Line(sku=f"s{number}") for number in range(30)]

        @agent(f"steps.reserve-{next(_number)}")
        def reserve(line: Line) -> Order:
            return Order(order=line.sku, trail=["x" * 80_000])

        @agent(f"steps.release-{next(_number)}")
        def release(order: Order) -> Order:
            log.append(order.order)
            return order.model_copy(update={"trail": []})

        @agent(f"steps.shrink-{next(_number)}")
        def shrink(order: Order) -> Priced:
            return Priced(sku=order.order, cents=1)

        step = each("lines", compensate(reserve, by=release) >> shrink, into="prices") >> total
        run = running.start(flow(step >> wait_for("go", Approval), input=Order), order(lines=lines))
        wait_until(lambda: waits(running, run), description="it waits")
        run.give_up()
        assert run.wait(timeout=30) == "cancelled"
        assert sorted(log) == sorted(line.sku for line in lines)

    def test_undone_though_its_deadline_has_passed(self, live_coordinator: Coordinator) -> None:
        """A step that settles after its run was cancelled is undone, also where the run's deadline is over."""
        undone: list[str] = []
        slow, undo = Slow(), undoing(undone)
        made = flow(compensate(worked("slow", slow), by=undo) >> worked("more"))
        run = live_coordinator.start(made, order(), deadline=timedelta(seconds=0.5))
        assert slow.began.wait(10)
        deadline = time.monotonic() + 0.5
        run.cancel(compensate=True)
        wait_until(lambda: time.monotonic() > deadline, description="its deadline has passed")
        slow.gate.set()
        wait_until(lambda: undone == ["slow"], description="it is undone")
        wait_until(lambda: run.status() == "cancelled", description="the run is cancelled")

    def test_undoing_is_skipped(self, running: Coordinator) -> None:
        """Where a person does by hand what cannot be undone, the rest is undone, the run is cancelled, and the key is free."""
        log, given, broken = list[str](), order(), ["unbook"]

        def does(name: str) -> Any:
            @agent(f"steps.un{name}-{next(_number)}")
            def undo(order: Order) -> Order:
                if f"un{name}" in broken:
                    raise Permanent("not now")
                log.append(f"un{name}")
                return order

            def did(order: Order) -> dict[str, Any]:
                log.append(name)
                return {}

            return compensate(worked(name, did), by=undo)

        made = flow(does("charge") >> does("book") >> wait_for("go", Approval), input=Order)

        def given_up(run: Run) -> None:
            wait_until(lambda: waits(running, run), description="it waits")
            run.give_up()
            wait_until(lambda: run.status() == "parked", description="undoing is parked")
            [letter] = wait_until(run.letters, description="there is a letter")
            running.skip(letter, given, by="ann", why="done by hand")
            assert run.wait(timeout=20) == "cancelled"

        for key in "ab":
            given_up(running.start(made, given, idempotency_key=key))
        assert log == ["charge", "book", "uncharge"] * 2
