"""Runs that wait for a signal, and what they take for one; in eager and in embedded mode."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from handoffs import Contract, Coordinator, Flow, Permanent, agent, parallel
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.errors import SignalRefused, UnknownRun
from handoffs.coordinator.flow.budget import budget, constant
from handoffs.coordinator.flow.condition import field
from handoffs.coordinator.flow.signal import wait_for
from handoffs.coordinator.flow.step import repeat
from tests.eager.flow.orders import SOON, Approval, Order, _number, flow, order, take, waits, worked
from tests.waiting import wait_until


class TestSignals:
    YES, NO = Approval(approved=True, who="ann"), Approval(approved=False, who="nobody")

    def waiting(self) -> Flow:
        return flow(worked("one") >> wait_for("approval", Approval, keep="given") >> take)

    def until_it_waits(self, running: Coordinator, run: Run) -> None:
        wait_until(lambda: _waits(running, run) == ("2 approval",), description="the run waits")

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
        with pytest.raises(
            UnknownRun,
            match=r"is completed; the signal .approval. was not taken, and its wait for it is over",
        ):
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
            wait_until(lambda: waits(running, run), description="it waits")
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


class TestSentAgain:
    """A signal that is sent twice is one signal, whatever has become of it meanwhile."""

    def test_what_follows_is_parked(self, running: Coordinator) -> None:
        """It runs no step again that is parked, and changes nothing of its letter or of the history."""
        ran: list[str] = []

        def fail(order: Order) -> dict[str, Any]:
            ran.append(order.order)
            if not order.amount:
                raise Permanent("no amount")
            return {}

        run = running.start(flow(wait_for("go", Order) >> worked("broken", fail), input=Order), order())
        wait_until(lambda: waits(running, run), description="the run waits")
        signal = order()
        run.signal("go", signal)
        assert run.wait(timeout=20) == "parked"
        [letter], history = run.letters(), run.history()
        for _ in range(3):
            run.signal("go", signal)
        assert (run.status(), run.history(), ran) == ("parked", history, [signal.order])
        assert [(one.id, one.row.times, one.row.replays) for one in run.letters()] == [(letter.id, 1, 0)]
        running.edit(letter, {**signal.to_data(), "amount": 1})
        assert run.wait(timeout=20) == "completed"
        with pytest.raises(UnknownRun):
            run.signal("go", signal)

    def test_another_is_refused(self, running: Coordinator) -> None:
        """Another one than that which was taken is told to its sender, and so is one that comes after its time was over; a step
        that waits again, in a further round, gets another one."""
        late = wait_for("late", Order, timeout=SOON, otherwise=constant(Order(order="nobody")))
        made = flow(wait_for("go", Order) >> late >> wait_for("end", Order), input=Order)
        run = running.start(made, order())
        wait_until(lambda: waits(running, run), description="the run waits")
        run.signal("go", order())
        with pytest.raises(SignalRefused, match="no step waits"):
            run.signal("go", order())
        if not running.settings.eager:  # there is no clock
            wait_until(lambda: "3 end" in _waits(running, run), description="its time is over")
            with pytest.raises(SignalRefused, match="no step waits"):
                run.signal("late", order())
        assert [entry["kind"] for entry in run.history()].count("signalled") == 1
        loop = flow(repeat(wait_for("go", Order), until=field("amount") >= 2, at_most=5), input=Order)
        run = running.start(loop, order())
        for amount in range(3):
            wait_until(lambda: waits(running, run), description="the run waits")
            run.signal("go", order(amount=amount))
        assert run.wait(timeout=20) == "completed"


def _waits(running: Coordinator, run: Run) -> tuple[str, ...]:
    record = running.engine.runs.get(run.id)
    return record.waits if record is not None else ()
