"""What was done is undone, in the other order; in eager and in embedded mode."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from handoffs import Contract, Coordinator, Flow, Permanent, agent, parallel
from handoffs.coordinator.errors import RunCancelled
from handoffs.coordinator.flow.signal import wait_for
from handoffs.coordinator.flow.step import compensate
from tests.eager.flow.orders import Approval, Order, _number, flow, order, waits, worked
from tests.waiting import wait_until


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
        assert not waits(running, run)
