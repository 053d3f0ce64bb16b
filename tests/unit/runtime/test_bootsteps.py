"""What a worker says while it comes and goes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import amqp
import pytest
from celery import Celery
from celery.concurrency import get_implementation
from celery.exceptions import WorkerShutdown
from celery.worker import state

from handoffs.config.health import HealthFile
from handoffs.coordinator.runtime import bootsteps
from handoffs.coordinator.runtime.consumer import Consumer


class Timer:
    """A consumer's timer, whose time passes when the test says so."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def call_after(self, _seconds: float, function: Callable[[], None]) -> Entry:
        self.entries.append(Entry(function))
        return self.entries[-1]

    def call_repeatedly(self, seconds: float, function: Callable[[], None]) -> Entry:
        assert seconds <= 10, "well before a silent process is stuck"
        return self.call_after(seconds, function)

    def fire(self) -> None:
        for entry in self.entries:
            if not entry.cancelled:
                entry.function()


class Entry:
    def __init__(self, function: Callable[[], None]) -> None:
        self.function = function
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


@pytest.fixture
def health(tmp_path: Path) -> HealthFile:
    return HealthFile(str(tmp_path / "health.json"))


@pytest.fixture
def consumer() -> Any:
    """As much of a consumer as a pulse needs."""
    queues = [SimpleNamespace(name="shop.two"), SimpleNamespace(name="shop.one")]
    return SimpleNamespace(timer=Timer(), task_consumer=SimpleNamespace(queues=queues))


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What watches the servers; its ``found`` is what it says."""
    watching: Any = SimpleNamespace(
        found="", start=lambda: None, stop=lambda: None, fault=lambda: watching.found
    )
    monkeypatch.setattr(bootsteps, "Watch", lambda _engine: watching)
    return watching


@pytest.fixture
def pulse(health: HealthFile, consumer: Any, watch: Any) -> Any:
    """The step of a worker that consumes."""
    step = type("Pulse", (bootsteps._Pulse,), {"health": health, "engine": None})(consumer)
    step.start(consumer)
    return step


def test_the_loop_says_that_it_consumes(pulse: Any, consumer: Any, health: HealthFile) -> None:
    """Only the loop that consumes says that the worker is ready, and what it consumes."""
    assert str(health.read()) == "starting: it has said nothing yet"
    consumer.timer.fire()
    assert str(health.read()) == "ready: consumes shop.one, shop.two"


def test_a_server_that_does_not_answer_is_told(
    pulse: Any, consumer: Any, health: HealthFile, watch: Any
) -> None:
    """A worker whose broker has an alarm, or whose Redis is silent, says so, and that it is ready once that is over."""
    watch.found = "the broker has an alarm"
    consumer.timer.fire()
    assert str(health.read()) == "held: the broker has an alarm"
    watch.found = ""
    consumer.timer.fire()
    assert str(health.read()) == "ready: consumes shop.one, shop.two"


def test_a_lost_connection_is_told(pulse: Any, consumer: Any, health: HealthFile) -> None:
    """A worker that has lost its broker says so, and nothing else until it consumes again."""
    pulse.stop(consumer)
    consumer.timer.fire()
    assert str(health.read()) == "held: the connection to the broker was lost: it tries to connect again"
    pulse.start(consumer)
    consumer.timer.fire()
    assert health.read().ready


@pytest.mark.parametrize("name", ["should_stop", "should_terminate"])
@pytest.mark.parametrize("status", [0, 1])
def test_a_stop_is_no_lost_connection(
    pulse: Any, consumer: Any, health: HealthFile, name: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that is to stop has lost nothing."""
    monkeypatch.setattr(state, name, status)
    consumer.timer.fire()
    pulse.stop(consumer)
    assert health.read().state == "ready"


def test_a_held_worker_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pause of a held worker ends at once when it is to stop."""
    monkeypatch.setattr(state, "should_stop", 0)
    with pytest.raises(WorkerShutdown):
        bootsteps._pause(60)


@pytest.mark.parametrize("pool", ["threads", "solo", "prefork"])
def test_time_limits_need_processes(pool: str, caplog: pytest.LogCaptureFixture) -> None:
    """An agent with a time limit is refused by every pool but that of processes."""
    worker = SimpleNamespace(pool_cls=get_implementation(pool))
    agents: Any = [SimpleNamespace(name="shop.two", time_limit=timedelta(seconds=1))]
    if pool == "prefork":
        bootsteps._refuse_pool(agents, worker)
    else:
        with pytest.raises(SystemExit):
            bootsteps._refuse_pool(agents, worker)
        assert "shop.two has a time limit" in caplog.text
    bootsteps._refuse_pool([SimpleNamespace(name="shop.one", time_limit=None)], worker)  # type: ignore[list-item]


def test_no_events_under_an_alarm() -> None:
    """A broker that takes no messages is sent no task events: who writes to it on and on does not come back to its work."""
    consumer: Any = Consumer.__new__(Consumer)
    consumer.app = Celery("test", broker="amqp://", set_as_current=False)
    consumer.event_dispatcher = SimpleNamespace(enabled=True)
    bare = amqp.Connection()
    consumer.ensure_connected = lambda _: SimpleNamespace(connection=bare)
    consumer.connection_for_write()
    bare._on_blocked()
    assert not consumer.event_dispatcher.enabled
    bare._on_unblocked()
    assert consumer.event_dispatcher.enabled
