"""Unattended: it is said where nobody is at work, in place of a wait that looks like work."""

from __future__ import annotations

import pytest

from handoffs import Contract, Coordinator, Flow, Key, agent
from handoffs.coordinator.errors import RunTimeout


class Task(Contract, name="alone.task", version=1):
    number: str = Key()


@agent("alone.work")
def work(task: Task) -> Task:
    return task


FLOW = Flow("alone.flow", work)


def test_nobody_is_at_work(live_coordinator: Coordinator) -> None:
    """A run whose step is queued while no worker of its agent is alive says so, where it is looked at and where it is waited for; once
    somebody is at work it goes on."""
    engine = live_coordinator.engine
    worker = live_coordinator.work([work])
    assert worker is not None
    worker.stop()
    engine.store.redis.delete(engine.store.keys.consumers("alone.work"))
    run = live_coordinator.start(FLOW, Task(number="1"))
    assert run.unattended() == ["alone.work"]
    with pytest.raises(
        RunTimeout, match=r"nobody is at work as alone\.work; start a worker: coordinator worker alone\.work"
    ):
        run.result(0.1)
    worker.start()
    assert run.wait(10) == "completed"
    assert run.unattended() == []


def test_somebody_is_at_work(live_coordinator: Coordinator) -> None:
    """A run that is merely queued is not called that."""
    worker = live_coordinator.work([work])
    assert worker is not None
    worker.stop()
    run = live_coordinator.start(FLOW, Task(number="1"))
    assert run.unattended() == []
    with pytest.raises(RunTimeout, match="it goes on"):
        run.result(0.1)
