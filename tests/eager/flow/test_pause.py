"""Runs that are paused and resumed; in eager and in embedded mode."""

from __future__ import annotations

import threading
from typing import Any

from handoffs import Coordinator
from tests.eager.flow.orders import Order, flow, order, worked
from tests.waiting import wait_until


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
