"""The pool of an embedded worker: one thread performs what all handoffs ask for, as in a worker of threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from celery.events import EventReceiver

from handoffs import Contract, Coordinator, Flow, Key, agent
from handoffs.config.settings import load
from handoffs.coordinator.runtime.in_hand import runs_in_hand
from tests.waiting import wait_until

_let = threading.Event()
_begun = threading.Event()


class Job(Contract, name="pool.job", version=1):
    number: str = Key()
    waits: bool = False


@agent("pool.work")
def work(job: Job) -> Job:
    if job.waits:
        _begun.set()
        _let.wait(30)
    return job


FLOW = Flow("pool.flow", work >> work)


@pytest.fixture(autouse=True)
def _waiting() -> Iterator[None]:
    _let.clear()
    _begun.clear()
    yield
    _let.set()


def test_together(live_coordinator: Coordinator) -> None:
    """Handoffs are performed together, and what follows leaves over the line that answers at once."""
    worker = live_coordinator.work([work])
    assert worker is not None
    pool: Any = worker.pool
    runs = [live_coordinator.start(FLOW, Job(number=str(number))) for number in range(40)]
    assert [run.wait(30) for run in runs] == ["completed"] * 40
    reactor = pool._reactor
    assert reactor is not None
    assert reactor._line is not None
    assert not reactor._unconfirmed
    assert not live_coordinator.dead_letters()


def test_stop_does_not_wait_for_ever(live_coordinator: Coordinator) -> None:
    """An agent that outlasts the timeout is left to itself; its step is settled once it returns, and nothing is parked."""
    worker = live_coordinator.work([work])
    assert worker is not None
    run = live_coordinator.start(FLOW, Job(number="1", waits=True))
    assert _begun.wait(10)
    begin = time.monotonic()
    assert not worker.stop(timeout=0.1)
    assert time.monotonic() - begin < 5
    _let.set()
    wait_until(
        lambda: any(entry["kind"] == "settled" for entry in run.history()), description="the step is settled"
    )
    worker.start()
    assert run.wait(30) == "completed"
    settled = [entry["step"] for entry in run.history() if entry["kind"] == "settled"]
    assert sorted(settled) == ["1", "2"]


def test_an_agent_that_outlives_its_coordinator(caplog: pytest.LogCaptureFixture) -> None:
    """What it returns then is nobody's any more: its message is not taken for one in hand, nothing is logged as a fault, and the thread
    that would have gone on ends."""
    before = set(threading.enumerate())
    with Coordinator(load()) as coordinator:
        worker = coordinator.work([work])
        assert worker is not None
        run = coordinator.start(FLOW, Job(number="1", waits=True))
        assert _begun.wait(10)
        assert run.id in runs_in_hand()
        assert not worker.stop(timeout=0.1)
    _let.set()
    wait_until(lambda: not set(threading.enumerate()) - before, description="its threads have ended")
    assert run.id not in runs_in_hand()
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_what_was_to_be_put_off_when_its_worker_ended() -> None:
    """A step that is held, and for which no thread is free to put it off before its worker ends, is not in hand afterwards: its message
    comes again."""
    with Coordinator(load()) as coordinator:
        worker = coordinator.work([work])
        assert worker is not None
        pool: Any = worker.pool
        pool.executor = ThreadPoolExecutor(1)
        pool.executor.submit(_let.wait, 30)
        held = coordinator.start(FLOW, Job(number="2"), at=timedelta(milliseconds=300))
        held.pause()
        wait_until(lambda: held.id in runs_in_hand(), description="the held step has come to its worker")
        assert not worker.stop(timeout=0.1)
        wait_until(lambda: held.id not in runs_in_hand(), description="nothing of it is in hand")
        _let.set()
        worker.start()
        held.resume()
        assert held.wait(30) == "completed"


def test_no_task_events(live_coordinator: Coordinator) -> None:
    """Nobody could see them, so none are sent."""
    seen: list[dict[str, Any]] = []
    app = live_coordinator.engine.app
    with app.connection_for_read() as connection:
        receiver = EventReceiver(connection, handlers={"*": seen.append}, app=app)
        with receiver.consumer_context():
            assert live_coordinator.start(FLOW, Job(number="1")).wait(30) == "completed"
            with pytest.raises(TimeoutError):
                connection.drain_events(timeout=0.2)
    assert not [event for event in seen if event["type"].startswith("task-")]
