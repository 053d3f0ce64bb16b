"""What a run does now; in eager and in embedded mode."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

from handoffs import Contract, Coordinator, Permanent, Retry, agent, parallel
from handoffs.coordinator.flow.signal import wait_for
from handoffs.coordinator.flow.step import delay, retrying
from tests.eager.flow.orders import Line, Order, _number, flow, order, worked
from tests.waiting import wait_until


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
