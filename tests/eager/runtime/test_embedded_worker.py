"""Workers embedded in the process run tasks as real ones do, and leave each other and the process alone."""

import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import celery
import kombu
import pytest
from amqp.exceptions import PreconditionFailed
from celery import _state
from celery.exceptions import Reject
from celery.result import assert_will_not_block
from celery.worker import state

from handoffs.coordinator.runtime.embedded.brokers import forget, queue_depths
from handoffs.coordinator.runtime.embedded.transport import Transport
from handoffs.coordinator.runtime.embedded.worker import EmbeddedWorker
from tests.waiting import wait_until

Start = Callable[..., EmbeddedWorker]

_LIMIT = 20.0  # seconds that nothing here takes, unless it fails


def make_app(broker: str, *queues: kombu.Queue, **settings: Any) -> celery.Celery:
    """A Celery app that is nobody's current or default app."""
    app = celery.Celery("t", set_as_current=False, autofinalize=False)
    app.conf.update(
        broker_url=f"memory://{broker}",
        broker_transport="handoffs.coordinator.runtime.embedded.transport:Transport",
        task_queues=queues or (kombu.Queue("work"),),
        task_default_queue="work",
        task_ignore_result=True,
        **settings,
    )
    return app


@pytest.fixture
def broker(namespace: str) -> Iterator[str]:
    """The name of a broker that is dropped after the test."""
    yield namespace
    forget(namespace)


@pytest.fixture
def start(broker: str) -> Iterator[Start]:
    """Start workers, which are stopped after the test."""
    workers: list[EmbeddedWorker] = []

    def start_worker(
        app: celery.Celery, queues: list[str] | None = None, concurrency: int = 4
    ) -> EmbeddedWorker:
        worker = EmbeddedWorker(app, queues, concurrency)
        workers.append(worker)
        worker.start()
        return worker

    yield start_worker
    for worker in workers:
        worker.stop()


class Calls:
    """A task that notes how it was called, and waits if it is told to."""

    def __init__(self, app: celery.Celery, name: str = "task", **options: Any) -> None:
        self.args: list[Any] = []
        self.threads: list[threading.Thread] = []
        self.apps: list[Any] = []
        self.entered = threading.Semaphore(0)
        self.gate = threading.Event()
        self.gate.set()
        self.action: Callable[[Any], Any] = lambda task: None

        @app.task(name=name, bind=True, shared=False, **options)  # shared: with every later app
        def run(task: Any, *args: Any) -> None:
            self.threads.append(threading.current_thread())
            self.apps.append((task.app, celery.current_app._get_current_object()))
            self.entered.release()
            assert self.gate.wait(_LIMIT)
            self.args.append(args)
            self.action(task)

        app.finalize()
        self.task: Any = app.tasks[name]

    def wait_for(self, count: int) -> None:
        """Wait until so many calls are complete."""
        wait_until(lambda: len(self.args) >= count, description=f"{count} calls are complete", interval=0.002)

    def wait_entered(self, count: int = 1) -> None:
        """Wait until so many more calls have begun."""
        for _ in range(count):
            assert self.entered.acquire(timeout=_LIMIT)


def idle(broker: str) -> bool:
    """Whether no queue of a broker has a message."""
    return not any(depth.ready or depth.unacked for depth in queue_depths(broker).values())


def own_threads(before: set[threading.Thread]) -> list[threading.Thread]:
    """The threads that were not there before."""
    return [thread for thread in threading.enumerate() if thread not in before]


def take(broker: str, queue: str) -> Any:
    """Wait until a queue has a message, and take it."""
    with kombu.Connection(f"memory://{broker}", transport=Transport) as connection:
        channel: Any = connection.channel()
        return wait_until(
            lambda: channel.basic_get(queue, no_ack=True),
            description=f"{queue} has a message",
            interval=0.002,
        )


# -- running


def test_worker_runs_tasks(broker: str, start: Start) -> None:
    """A worker that has started runs published tasks in threads, with their arguments."""
    app = make_app(broker)
    calls = Calls(app)
    start(app)
    assert queue_depths(broker)["work"].consumers == 1
    for number in range(50):
        calls.task.delay(number)
    calls.wait_for(50)
    assert sorted(calls.args) == [(number,) for number in range(50)]
    assert threading.current_thread() not in calls.threads
    wait_until(lambda: idle(broker), description="all messages are acknowledged")


def test_tasks_published_earlier_are_run(broker: str, start: Start) -> None:
    """A worker runs what was published before it started."""
    app = make_app(broker)
    calls = Calls(app)
    calls.task.delay()
    start(app)
    calls.wait_for(1)


def test_concurrency_is_the_number_of_tasks_at_a_time(broker: str, start: Start) -> None:
    """A worker runs as many tasks at a time as its concurrency says, and no more."""
    app = make_app(broker)
    calls = Calls(app)
    calls.gate.clear()
    start(app, concurrency=3)
    for _ in range(6):
        calls.task.delay()
    calls.wait_entered(3)
    assert not calls.entered.acquire(timeout=0.05)
    calls.gate.set()
    calls.wait_for(6)
    assert len(set(calls.threads)) == 3


def test_worker_without_queues_consumes_all(broker: str, start: Start) -> None:
    """A worker for no queue in particular consumes from all of the app's queues."""
    app = make_app(broker, kombu.Queue("a"), kombu.Queue("b"))
    calls = Calls(app)
    start(app)
    for queue in ("a", "b"):
        calls.task.apply_async([queue], queue=queue)
    calls.wait_for(2)
    assert sorted(calls.args) == [("a",), ("b",)]


def test_queues_may_be_a_mapping(broker: str, start: Start) -> None:
    """Queues that the app defines as a mapping are consumed too."""
    app = make_app(broker)
    app.conf.task_queues = {"a": {"routing_key": "a"}}
    calls = Calls(app)
    start(app)
    calls.task.apply_async(queue="a")
    calls.wait_for(1)


def test_workers_of_one_app_consume_from_their_own_queues(broker: str, start: Start) -> None:
    """Workers of one app each consume from the queues they were given."""
    app = make_app(broker, kombu.Queue("a"), kombu.Queue("b"))
    calls = Calls(app)
    calls.task.apply_async(["b"], queue="b")
    first = start(app, ["a"])
    calls.task.apply_async(["a"], queue="a")
    calls.wait_for(1)
    assert calls.args == [("a",)]
    assert queue_depths(broker)["b"] == (1, 0, 0)
    start(app, ["b"])
    calls.wait_for(2)
    first.stop()
    assert (queue_depths(broker)["a"].consumers, queue_depths(broker)["b"].consumers) == (0, 1)


def test_apps_do_not_get_mixed_up(broker: str, start: Start) -> None:
    """Tasks run with their own app as the current one, though two apps have tasks of the same name."""
    other_broker = f"{broker}-other"
    apps = [make_app(broker), make_app(other_broker)]
    all_calls = [Calls(app) for app in apps]
    workers = [start(app) for app in apps]
    for number, calls in enumerate(all_calls):
        for _ in range(5):
            calls.task.delay(number)
    for number, (app, calls) in enumerate(zip(apps, all_calls, strict=True)):
        calls.wait_for(5)
        assert calls.args == [(number,)] * 5
        assert all(seen[0] is app and seen[1] is app for seen in calls.apps)
    workers[1].stop()
    forget(other_broker)


def test_delayed_task_runs_on_time(broker: str, start: Start) -> None:
    """A task with a countdown runs when it is over, though the worker waits for a later one already."""
    app = make_app(broker)
    calls = Calls(app)
    start(app)
    calls.task.apply_async(countdown=3600)
    wait_until(lambda: list(state.scheduled_requests), description="the later task is scheduled")
    begin = time.monotonic()
    calls.task.apply_async(countdown=0.1)
    calls.wait_for(1)
    assert 0.09 <= time.monotonic() - begin < 0.6


def test_remote_control_reaches_each_worker(broker: str, start: Start) -> None:
    """Celery's remote control finds every worker by its own name, and can shut down one of them."""
    app = make_app(broker)
    first, second = start(app), start(app)
    replies = app.control.ping(timeout=5, limit=2)
    assert {name for reply in replies for name in reply} == {first.hostname, second.hostname}
    app.control.shutdown(destination=[first.hostname])
    wait_until(lambda: not first.running, description="the first worker is gone")
    assert second.running
    assert first.stop()


def test_worker_returns_to_a_broker_that_was_dropped(broker: str, start: Start) -> None:
    """A worker whose broker is dropped connects to the new one and goes on."""
    app = make_app(broker, worker_cancel_long_running_tasks_on_connection_loss=True)
    calls = Calls(app)
    start(app)
    forget(broker)
    wait_until(
        lambda: "work" in queue_depths(broker) and queue_depths(broker)["work"].consumers,
        description="the worker consumes again",
    )
    calls.task.delay()
    calls.wait_for(1)


# -- acknowledging


def test_late_acknowledgement(broker: str, start: Start) -> None:
    """A task that acknowledges late is unacknowledged while it runs, and acknowledged when it has ended."""
    app = make_app(broker)
    calls = Calls(app, acks_late=True)
    calls.gate.clear()
    start(app)
    calls.task.delay()
    calls.wait_entered()
    assert queue_depths(broker)["work"].unacked == 1
    calls.gate.set()
    wait_until(lambda: idle(broker), description="the message is acknowledged")


def test_early_acknowledgement(broker: str, start: Start) -> None:
    """A task that acknowledges early is acknowledged when it begins."""
    app = make_app(broker)
    calls = Calls(app)
    calls.gate.clear()
    start(app)
    calls.task.delay()
    calls.wait_entered()
    assert idle(broker)
    calls.gate.set()


def test_rejected_task_is_dead_lettered(broker: str, start: Start) -> None:
    """A task that rejects its message sends it to the dead-letter queue, with the reason."""
    dead = kombu.Queue("dead", kombu.Exchange("dlx", "topic"), routing_key="#")
    work = kombu.Queue("work", queue_arguments={"x-dead-letter-exchange": "dlx"})
    app = make_app(broker, work, dead)
    calls = Calls(app, acks_late=True)

    def reject(task: Any) -> None:
        raise Reject("no good", requeue=False)

    calls.action = reject
    start(app, ["work"])
    published = calls.task.delay(1)
    message = take(broker, "dead")
    assert message.headers["id"] == published.id
    assert message.headers["x-death"][0]["reason"] == "rejected"
    assert message.headers["x-first-death-queue"] == "work"


def test_requeued_task_runs_up_to_the_delivery_limit(broker: str, start: Start) -> None:
    """A task that requeues its message runs again, told how often, until the delivery limit is passed."""
    dead = kombu.Queue("dead", kombu.Exchange("dlx", "fanout"))
    arguments = {"x-delivery-limit": 2, "x-dead-letter-exchange": "dlx"}
    app = make_app(broker, kombu.Queue("work", queue_arguments=arguments), dead)
    calls = Calls(app, acks_late=True)
    seen: list[Any] = []

    def requeue(task: Any) -> None:
        seen.append((task.request.delivery_info["redelivered"], task.request.get("x-delivery-count")))
        raise Reject("again", requeue=True)

    calls.action = requeue
    start(app, ["work"])
    calls.task.delay()
    assert take(broker, "dead").headers["x-death"][0]["reason"] == "delivery_limit"
    assert seen == [(False, None), (True, 1), (True, 2)]


def test_delay_queue_leads_back_to_the_work_queue(broker: str, start: Start) -> None:
    """A task published to a queue with a time to live of 100 ms runs 100 ms later from the work queue."""
    arguments = {"x-message-ttl": 100, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "work"}
    app = make_app(broker, kombu.Queue("work"), kombu.Queue("delay", queue_arguments=arguments))
    calls = Calls(app, acks_late=True)
    start(app, ["work"])
    begin = time.monotonic()
    calls.task.apply_async(queue="delay")
    calls.wait_for(1)
    assert 0.1 <= time.monotonic() - begin < 2
    wait_until(lambda: idle(broker), description="the message is acknowledged")


# -- stopping


def test_stop_leaves_nothing_behind(broker: str) -> None:
    """A stopped worker leaves no thread, no consumer and no unacknowledged message."""
    before = set(threading.enumerate())
    app = make_app(broker)
    calls = Calls(app, acks_late=True)
    worker = EmbeddedWorker(app, None)
    worker.start()
    for _ in range(20):
        calls.task.delay()
    calls.wait_for(20)
    calls.task.apply_async(countdown=3600)
    wait_until(lambda: queue_depths(broker)["work"][:2] == (0, 1), description="the delayed task is held")
    begin = time.monotonic()
    assert worker.stop()
    assert time.monotonic() - begin < 0.5
    assert own_threads(before) == []
    assert not worker.running
    assert queue_depths(broker) == {"work": (1, 0, 0)}
    assert not state.requests


def test_stop_is_prompt(broker: str, start: Start) -> None:
    """An idle worker stops at once."""
    worker = start(make_app(broker))
    begin = time.monotonic()
    assert worker.stop()
    assert time.monotonic() - begin < 0.5


def test_stop_waits_for_running_tasks(broker: str, start: Start) -> None:
    """Running tasks end and are acknowledged before a worker is gone; tasks not begun are requeued."""
    app = make_app(broker)
    calls = Calls(app, acks_late=True)
    calls.gate.clear()
    worker = start(app, concurrency=2)
    for number in range(5):
        calls.task.delay(number)
    calls.wait_entered(2)
    wait_until(lambda: queue_depths(broker)["work"].unacked == 5, description="all are held")
    opener = threading.Timer(0.1, calls.gate.set)
    opener.start()
    assert worker.stop()
    opener.join()
    assert len(calls.args) == 2
    assert queue_depths(broker)["work"] == (3, 0, 0)
    start(app)
    calls.wait_for(5)
    assert sorted(calls.args) == [(number,) for number in range(5)]


def test_stop_does_not_wait_for_ever(broker: str, start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """A task that outlasts the timeout is requeued and told of, and its late acknowledgement is void."""
    before = set(threading.enumerate())
    app = make_app(broker)
    calls = Calls(app, acks_late=True)
    calls.gate.clear()
    worker = start(app)
    calls.task.delay()
    calls.wait_entered()
    begin = time.monotonic()
    assert not worker.stop(timeout=0.1)
    assert time.monotonic() - begin < 2
    assert queue_depths(broker)["work"] == (1, 0, 0)
    assert "tasks still run" in caplog.text
    calls.gate.set()
    wait_until(lambda: not own_threads(before), description="the task's thread is gone")
    assert queue_depths(broker)["work"] == (1, 0, 0)


def test_stopping_one_worker_leaves_the_others(broker: str, start: Start) -> None:
    """Stopping a worker disturbs neither the running nor the delayed tasks of others."""
    app = make_app(broker, kombu.Queue("a"), kombu.Queue("b"))
    calls = Calls(app, acks_late=True)
    delayed = Calls(app, "delayed", acks_late=True)
    first = start(app, ["a"])
    second = start(app, ["b"])
    calls.gate.clear()
    calls.task.apply_async(queue="b")
    calls.wait_entered()
    delayed.task.apply_async(queue="b", countdown=0.3)
    wait_until(lambda: queue_depths(broker)["b"].unacked == 2, description="both tasks are held")
    wait_until(lambda: list(state.scheduled_requests), description="the delayed task is scheduled")
    assert first.stop()
    assert second.running
    calls.gate.set()
    calls.wait_for(1)
    delayed.wait_for(1)
    calls.task.apply_async(queue="b")
    calls.wait_for(2)
    wait_until(lambda: idle(broker), description="all messages are acknowledged")


def test_worker_can_be_started_again(broker: str, start: Start) -> None:
    """A stopped worker can be started again, a running one cannot."""
    app = make_app(broker)
    calls = Calls(app)
    worker = start(app)
    with pytest.raises(RuntimeError, match="running already"):
        worker.start()
    for number in range(1, 4):
        worker.stop()
        worker.start()
        calls.task.delay()
        calls.wait_for(number)


def test_stopping_a_stopped_worker_does_nothing(broker: str) -> None:
    """Stopping a worker that was never started, or was stopped, has no effect."""
    worker = EmbeddedWorker(make_app(broker), None)
    assert worker.stop()
    worker.start()
    assert worker.hostname is not None
    assert worker.stop()
    assert worker.stop()
    assert worker.hostname is None


def test_workers_start_and_stop_at_once(broker: str) -> None:
    """Workers of one app can be started and stopped by several threads at the same time."""
    before = set(threading.enumerate())
    app = make_app(broker)
    calls = Calls(app)
    failures: list[BaseException] = []

    def cycle() -> None:
        try:
            for _ in range(5):
                worker = EmbeddedWorker(app, ["work"], 2)
                worker.start()
                calls.task.delay()
                assert worker.stop()
        except BaseException as error:  # noqa: BLE001 - raised in the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=cycle) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert own_threads(before) == []
    depth = queue_depths(broker)["work"]
    assert (depth.ready + len(calls.args), depth.unacked, depth.consumers) == (20, 0, 0)


# -- failing


def test_unknown_queue_fails_the_start(broker: str) -> None:
    """A worker cannot start on a queue that the app does not know, if the app forbids to create it."""
    before = set(threading.enumerate())
    worker = EmbeddedWorker(make_app(broker, task_create_missing_queues=False), ["nowhere"])
    with pytest.raises(RuntimeError, match="nowhere") as caught:
        worker.start()
    assert isinstance(caught.value.__cause__, KeyError)
    assert own_threads(before) == []
    assert not worker.running


def test_refused_queue_fails_the_start(broker: str) -> None:
    """A worker cannot start when the broker refuses one of its queues, and leaves nothing behind."""
    before = set(threading.enumerate())
    with kombu.Connection(f"memory://{broker}", transport=Transport) as connection:
        connection.channel().queue_declare("work", arguments={"x-message-ttl": 1})
    worker = EmbeddedWorker(make_app(broker), None)
    with pytest.raises(RuntimeError, match="failed to start") as caught:
        worker.start()
    assert isinstance(caught.value.__cause__, PreconditionFailed)
    assert own_threads(before) == []
    assert queue_depths(broker) == {"work": (0, 0, 0)}


# -- the process


def test_process_is_left_alone(broker: str, start: Start) -> None:
    """A worker changes no signal handler, logger, socket timeout, default app or flag of the process."""
    default_app, current_app = _state.default_app, _state._tls.current_app

    def everything() -> dict[str, Any]:
        root = logging.getLogger()
        return {
            "signals": [signal.getsignal(number) for number in signal.valid_signals()],
            "logging": (root.level, root.handlers[:], logging.getLogger("celery").handlers[:]),
            "socket timeout": socket.getdefaulttimeout(),
            "apps": (_state.default_app is default_app, _state._tls.current_app is current_app),
            "flags": (state.should_stop, state.should_terminate),
        }

    before = everything()
    app = make_app(broker)
    calls = Calls(app)
    workers = [start(app), start(app)]
    calls.task.delay()
    calls.wait_for(1)
    assert everything() == before
    assert_will_not_block()
    for worker in workers:
        worker.stop()
    assert everything() == before
