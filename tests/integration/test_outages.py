"""A server that is there and does not answer, or is not found: every call of a client ends in time, and says what was accepted."""

from __future__ import annotations

import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest

from handoffs import Contract, Coordinator, Flow, Key, agent
from handoffs.config.settings import Settings
from handoffs.coordinator.errors import ServerError, Unanswered, Unpublished
from handoffs.coordinator.runtime import watch
from handoffs.coordinator.runtime.service import Service
from tests.frozen import Passage
from tests.servers import Servers
from tests.waiting import wait_until

pytestmark = pytest.mark.alone  # it measures time

_TIMEOUT = 1.0
_SLACK = 3.0  # seconds, for a machine that has other things to do


class Job(Contract, name="outage.job", version=1):
    """Something to do."""

    number: str = Key()


@agent("outage.work")
def work(job: Job) -> Job:
    return job


flow = Flow("outage.flow", work)
Urls = dict[str, Any]


@pytest.fixture
def urls(servers: Servers, postgres_database: str) -> Urls:
    """Where the servers are."""
    return {
        "broker_url": servers.broker_url,
        "redis_url": servers.redis_url,
        "journal_url": postgres_database,
    }


def settings(given: Urls) -> Settings:
    return Settings(**given, namespace=f"o{secrets.token_hex(4)}", server_timeout=timedelta(seconds=_TIMEOUT))


class Client:
    """A client, and the ways to its servers."""

    def __init__(self, coordinator: Coordinator, ways: dict[str, Passage]) -> None:
        self.coordinator = coordinator
        self.ways = ways
        self.run = coordinator.start(flow, Job(number="first"))
        coordinator.history(self.run.id)  # every connection is open

    def calls(self) -> dict[str, Callable[[], Any]]:
        """What a client may ask, by the name of it."""
        one = self.coordinator
        return {
            "start": lambda: one.start(flow, Job(number=secrets.token_hex(4))),
            "emit": lambda: one.emit(Job(number=secrets.token_hex(4))),
            "status": self.run.status,
            "pause": self.run.pause,
            "history": lambda: one.history(self.run.id),
            "letters": one.dead_letters,
            "declare": lambda: one.engine.publisher.declare(["outage.work"], again=True),
            "broker": one.engine.broker_version,
            "journal": one.journal.ping,
        }

    def ask(self) -> dict[str, Exception | None]:
        """Ask everything at once; gives what each raised. Every answer is there in time."""
        said: dict[str, Exception | None] = {}

        def ask(name: str, call: Callable[[], Any]) -> None:
            try:
                call()
                said[name] = None
            except Exception as error:  # noqa: BLE001 - it is looked at
                said[name] = error

        calls = self.calls()
        threads = [threading.Thread(target=ask, args=one, daemon=True) for one in calls.items()]
        until = time.monotonic() + 2 * _TIMEOUT + _SLACK
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(until - time.monotonic(), 0))
        assert said.keys() == calls.keys()
        return said


@pytest.fixture
def client(urls: Urls) -> Iterator[Client]:
    with ExitStack() as stack:
        ports = {"broker_url": 5672, "redis_url": 6379, "journal_url": 5432}
        ways = {name: stack.enter_context(Passage(url, ports[name])) for name, url in urls.items()}
        coordinator = Coordinator(settings({name: way.url for name, way in ways.items()}))
        yield Client(coordinator, ways)
        began = time.monotonic()
        coordinator.close()
        assert time.monotonic() - began < 2 * _TIMEOUT + _SLACK


BROKER, REDIS, JOURNAL = {"declare", "broker"}, {"emit", "status", "pause"}, {"letters", "journal"}


@pytest.mark.parametrize(
    ("frozen", "fail"),
    [
        ("broker_url", {*BROKER, "start", "emit"}),
        ("redis_url", {*REDIS, "start", "history"}),
        ("journal_url", {*JOURNAL, "history"}),
    ],
)
def test_a_server_that_does_not_answer(client: Client, frozen: str, fail: set[str]) -> None:
    """What needs the server ends with our own error within its time, all else works; once it answers again, so does everything,
    also where the frozen one is closed."""
    client.ways[frozen].freeze()
    said = client.ask()
    assert {name for name, error in said.items() if error is not None} == fail
    assert all(isinstance(error, ServerError) for error in said.values() if error is not None)
    client.ways[frozen].thaw()
    assert not any(client.ask().values())
    client.ways[frozen].freeze()  # and is closed so


def test_what_redis_may_have_accepted(client: Client) -> None:
    """Where Redis does not say whether it has accepted a run, the error says that, and which run it would be: started again
    it is the same."""
    client.coordinator.start(flow, Job(number="warm"))  # its agents are known
    redis = client.coordinator.engine.store.redis
    redis.ping()
    client.coordinator.engine.negotiator.look(["outage.work"], {})
    client.ways["redis_url"].freeze()
    with pytest.raises(Unanswered, match="is not known") as caught:
        client.coordinator.start(flow, Job(number="perhaps"))
    client.ways["redis_url"].thaw()
    assert client.coordinator.start(flow, Job(number="perhaps")).id == caught.value.run_id


def test_what_the_broker_has_not_confirmed(client: Client) -> None:
    """Where the broker does not confirm, the run is accepted: the error says so, and which it is."""
    client.ways["broker_url"].freeze()
    with pytest.raises(Unpublished, match="was accepted") as caught:
        client.coordinator.start(flow, Job(number="accepted"))
    run = client.coordinator.run(caught.value.run_id)
    assert run.status() == "running"


def test_what_was_cancelled(client: Client) -> None:
    """A run is cancelled though the journal does not answer, and the error says so."""
    client.ways["journal_url"].freeze()
    with pytest.raises(ServerError, match="is cancelled; its dead letters"):
        client.run.cancel()
    assert client.run.status() == "cancelled"


@pytest.mark.parametrize("silent", ["broker_url", "redis_url", "journal_url"])
@pytest.mark.parametrize("how", ["address", "name"])
def test_a_server_that_was_never_reached(
    urls: Urls, monkeypatch: pytest.MonkeyPatch, silent: str, how: str
) -> None:
    """A server that takes the connection and says nothing, or whose name is looked up for ever, is given up in time."""
    look_up, asleep = socket.getaddrinfo, threading.Event()

    def silent_look_up(host: Any, *rest: Any, **more: Any) -> Any:
        if host == "nowhere.invalid":
            asleep.wait(30)
        return look_up(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", silent_look_up)
    with Passage(urls[silent], 1) as way:
        way.freeze()
        url = way.url if how == "address" else way.url.replace("127.0.0.1", "nowhere.invalid")
        coordinator = Coordinator(settings({**urls, silent: url}))
        asked: dict[str, Callable[[], Any]] = {
            "broker_url": lambda: coordinator.start(flow, Job(number="1")),
            "redis_url": lambda: coordinator.start(flow, Job(number="1")),
            "journal_url": coordinator.dead_letters,
        }
        began = time.monotonic()
        with pytest.raises(ServerError):
            asked[silent]()
        coordinator.close()
        assert time.monotonic() - began < 2 * _TIMEOUT + _SLACK
        asleep.set()


@pytest.mark.parametrize("frozen", ["broker_url", "redis_url"])
def test_a_worker_notices(client: Client, monkeypatch: pytest.MonkeyPatch, frozen: str) -> None:
    """What a worker watches its servers with says that one does not answer, and that it does again."""
    monkeypatch.setattr(watch, "PROBE_EVERY", 0.2)
    monkeypatch.setattr(watch, "PROBE_WITHIN", _TIMEOUT)
    watching = watch.Watch(client.coordinator.engine)
    watching.start()
    client.ways[frozen].freeze()
    wait_until(watching.fault, description="it is noticed", timeout=2 * _TIMEOUT + _SLACK)
    client.ways[frozen].thaw()
    wait_until(lambda: not watching.fault(), description="it is over", timeout=2 * _TIMEOUT + _SLACK)
    watching.stop()


def test_the_coordinator_process_notices(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal that does not answer is noticed by the coordinator process though there is nothing to write."""
    monkeypatch.setattr("handoffs.coordinator.runtime.service.PROBE_EVERY", 0.2)
    service = Service(client.coordinator.engine, client.coordinator.journal)
    service.start()
    client.ways["journal_url"].freeze()
    wait_until(service.fault, description="it is noticed", timeout=2 * _TIMEOUT + _SLACK)
    client.ways["journal_url"].thaw()
    wait_until(lambda: not service.fault(), description="it is over", timeout=2 * _TIMEOUT + _SLACK)
    service.stop()
