"""Steps that try again, as their policies say; in eager and in embedded mode."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from handoffs import Context, Contract, Coordinator, Flow, Permanent, Retry, Transient, agent, parallel
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.budget import budget
from handoffs.coordinator.flow.condition import field
from handoffs.coordinator.flow.step import choice, compensate, go_on, repeat, retrying, when
from tests.eager.flow.orders import QUICK, Declined, Order, _number, flow, order, trail, worked
from tests.waiting import wait_until


def busy(times: int) -> Agent:
    """An agent whose model's API is busy so many times in each run, and says until when."""
    left: dict[str, int] = {}

    @agent(f"steps.busy-{next(_number)}", retry=Retry(attempts=1))
    def asks(order: Order, context: Context) -> Order:
        left[context.run_id] = left.get(context.run_id, times) - 1
        if left[context.run_id] >= 0:
            raise Transient("429", retry_after=timedelta(milliseconds=7))
        return order.model_copy(update={"trail": [*order.trail, str(context.attempt)]})

    return asks


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
        """A transient error that says when to come back goes before the step's backoff, and uses up no attempt."""
        slow = Retry(attempts=1, backoff=timedelta(hours=1), longest=timedelta(hours=1))
        run = running.start(flow(retrying(busy(2), slow)), order())
        assert run.result(timeout=20).trail == ["1"]
        assert [entry["wait_ms"] for entry in run.history() if entry["kind"] == "waits"] == [7, 7]
        assert [entry["attempt"] for entry in run.history() if entry["kind"] == "waits"] == [1, 1]

    def test_the_allowance_is_spent(self, running: Coordinator) -> None:
        """Whoever waits longer than the policy allows is parked, with a reason that says so; replayed, it waits as long again."""
        policy = Retry(attempts=1, allowance=timedelta(milliseconds=15))
        run = running.start(flow(retrying(busy(5), policy)), order())
        assert run.wait(timeout=20) == "parked"
        [letter] = wait_until(lambda: running.dead_letters(run=run.id), description="there is a letter")
        assert (letter.row.kind, letter.row.attempt) == ("allowance-spent", 1)
        letter.replay()
        assert run.result(timeout=20).trail == ["1"]
        kinds = [entry["kind"] for entry in run.history() if entry["kind"] in {"waits", "parked", "settled"}]
        assert kinds == ["waits", "waits", "parked", "waits", "waits", "settled"]

    def test_a_wait_of_nonsense(self, running: Coordinator) -> None:
        """What an agent gives as a time and is none is a failure like any other: it counts, and says what was wrong."""

        @agent(f"steps.nonsense-{next(_number)}", retry=QUICK)
        def nonsense(order: Order) -> Order:
            raise Transient("busy", retry_after="soon")  # type: ignore[arg-type]

        run = running.start(flow(nonsense), order())
        assert run.wait(timeout=20) == "parked"
        told = [entry for entry in run.history() if entry["kind"] in {"retried", "parked"}]
        assert len(told) == 5
        assert all("retry_after" in entry["error"] for entry in told)

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
