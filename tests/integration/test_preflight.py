"""Preflight on real servers: what is wrong is said in one line, and a process waits until it is mended."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from kombu import Queue

from handoffs.config.health import HealthFile
from handoffs.config.settings import Settings
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.runtime.engine import Engine
from handoffs.coordinator.runtime.preflight import examine
from tests.integration import shop
from tests.servers import Servers
from tests.servers.ports import free_port
from tests.waiting import wait_until
from tests.workers import Installation, Program, open_installation

Start = Callable[[Installation], Program]
PROCESSES: dict[str, Start] = {
    "worker": lambda here: here.program("w", "worker", "shop.one"),
    "Celery's own worker": lambda here: here.worker("shop.one", wait=False, pool="threads"),
    "coordinator process": lambda here: here.coordinator_process(wait=False),
}


@pytest.fixture
def installation(servers: Servers, tmp_path: Path) -> Iterator[Installation]:
    """A shop in which nobody works yet, and whose one process says how it is."""
    with open_installation(servers, tmp_path, HEALTH_FILE=str(tmp_path / "health.json")) as opened:
        yield opened


@pytest.fixture
def client(installation: Installation) -> Iterator[Coordinator]:
    """A client whose engine has the agents of the shop, as a worker's has."""
    with installation.client() as client:
        client.engine.register(client.flows.agents.values())
        yield client


@pytest.fixture(params=PROCESSES)
def start(request: pytest.FixtureRequest) -> Start:
    """How one of the processes is started."""
    return PROCESSES[request.param]


def _health(installation: Installation) -> HealthFile:
    return HealthFile(installation.settings["HEALTH_FILE"])


def _wait_said(installation: Installation, program: Program, said: str) -> None:
    """Wait until the process has said so, in one line, in its health file; it must not end meanwhile."""
    file = _health(installation)

    def so() -> bool:
        assert program.running, f"it ended with {program.status}\n{program.last_words()}"
        return re.match(said, str(file.read())) is not None

    wait_until(so, description=f"{program.name} says {said!r}\n{program.last_words()}", timeout=30)
    assert len(str(file.read()).splitlines()) == 1


def _in_the_way(client: Coordinator, start: Start) -> Queue:
    """A queue that the process needs, as it is after the delivery limit was changed."""
    topology = replace(client.engine.topology, delivery_limit=7)
    if start is not PROCESSES["coordinator process"]:
        return topology.queue("shop.one")
    queue: Any = topology.dead_letters
    return Queue(queue.name, queue_arguments={**queue.queue_arguments, "x-delivery-limit": 7})


def _declare(client: Coordinator, queue: Queue) -> None:
    with client.engine.app.connection_for_write() as connection, connection.channel() as channel:
        queue(channel).declare()


def _delete(client: Coordinator, queue: Queue) -> None:
    with client.engine.app.connection_for_write() as connection, connection.channel() as channel:
        channel.queue_delete(queue.name)


def test_everything_is_in_order(servers: Servers, client: Coordinator) -> None:
    """What is found are the servers with their versions, and every queue of the agents is there afterwards."""
    words = servers.versions.split()
    versions = dict(zip(words[::2], words[1::2], strict=True))
    found = dict(examine(client.engine, client.journal))
    assert found == {
        "redis": f"Redis {versions['redis']}",
        "broker": f"RabbitMQ {versions['rabbitmq']}",
        "queues": f"{len(client.flows.agents)} in order",
        "journal": f"PostgreSQL {versions['postgres']}",
        "dead letters": "kept in clear, sensitive values too: set COORDINATOR_JOURNAL_KEYS to have them sealed",
    }
    with client.engine.app.connection_for_read() as connection, connection.channel() as channel:
        for agent in shop.AGENTS:
            channel.queue_declare(client.engine.topology.queue_name(agent), passive=True)


def test_a_queue_with_other_arguments(client: Coordinator) -> None:
    """A queue that was declared otherwise is named in one line with what to do, and what it holds is still there."""
    queue = _in_the_way(client, PROCESSES["worker"])
    _declare(client, queue)
    with client.engine.app.producer_pool.acquire(block=True) as producer:
        producer.publish("kept", exchange="", routing_key=queue.name)
    with pytest.raises(ServerError) as caught:
        examine(client.engine)
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    for word in ("x-delivery-limit", f"'{queue.name}'", "COORDINATOR_DELIVERY_LIMIT", "delete_queue"):
        assert word in text
    with client.engine.app.connection_for_write() as connection, connection.channel() as channel:
        wait_until(lambda: channel.basic_get(queue.name, no_ack=True), description="the message is there")
    _delete(client, queue)
    assert ("queues", f"{len(client.flows.agents)} in order") in examine(client.engine)


@pytest.mark.parametrize("wrong", ["password", "user", "vhost", "port"])
def test_a_broker_that_does_not_let_us_in(servers: Servers, namespace: str, wrong: str) -> None:
    """Whatever is wrong with the broker's URL is one line that names the setting and shows no password."""
    parts = urlsplit(servers.broker_url)
    assert parts.password is not None
    user, password, port, vhost = (parts.username, parts.password, parts.port, "/")
    match wrong:
        case "password":
            password = "another"
        case "user":
            user = "nobody"
        case "port":
            port = free_port()
        case _:
            vhost = "nowhere"
    url = f"amqp://{user}:{password}@{parts.hostname}:{port}/{vhost}"
    engine = Engine(Settings(broker_url=url, redis_url=servers.redis_url, namespace=namespace))
    with pytest.raises(
        ServerError, match=r"the broker cannot be reached: .*COORDINATOR_BROKER_URL"
    ) as caught:
        examine(engine)
    assert len(str(caught.value).splitlines()) == 1
    assert password not in str(caught.value)
    engine.close()


def test_a_process_is_held_until_the_queue_is_gone(
    installation: Installation, client: Coordinator, start: Start
) -> None:
    """A process that finds a queue with other arguments stays, names it, and goes on by itself when it is deleted."""
    queue = _in_the_way(client, start)
    _declare(client, queue)
    program = start(installation)
    _wait_said(installation, program, f"held: the broker has a queue .*'{queue.name}'.*delete_queue")
    _delete(client, queue)
    _wait_said(installation, program, "ready: ")
    assert program.log().count("held: the broker has a queue") == 1
    program.stop(timeout=20)
    assert program.status == 0
    assert _health(installation).read().state == "stopping"


def test_a_process_is_held_without_a_broker(
    installation: Installation, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that cannot reach its broker stays and says so; told to stop, it ends at once, in good order."""
    with monkeypatch.context() as patch:
        patch.setitem(installation.settings, "BROKER_URL", f"amqp://a:hidden@127.0.0.1:{free_port()}//")
        program = start(installation)
    _wait_said(installation, program, "held: the broker cannot be reached: .*COORDINATOR_BROKER_URL")
    program.stop(timeout=5)
    assert program.status == 0
    assert "Traceback" not in program.log()
    assert "hidden" not in program.log() + str(_health(installation).read())


def test_a_held_worker_leaves_nobody_behind(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The processes of a worker's pool end with it, also where it never came to work."""
    with monkeypatch.context() as patch:
        patch.setitem(installation.settings, "REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
        program = installation.worker("shop.one", wait=False)
    _wait_said(installation, program, "held: Redis cannot be used: .*COORDINATOR_REDIS_URL")
    assert len(program._family()) > 1
    program.stop(timeout=5)
    wait_until(lambda: not program._family(), description="all its processes are gone", timeout=5)


def test_the_coordinator_process_is_held_without_a_journal(
    installation: Installation, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A coordinator process that cannot reach its journal stays and says so."""
    with monkeypatch.context() as patch:
        url = f"postgresql://nobody:hidden@127.0.0.1:{free_port()}/nowhere"
        patch.setitem(installation.settings, "JOURNAL_URL", url)
        program = installation.coordinator_process(wait=False)
    _wait_said(installation, program, "held: the journal cannot be used: .*COORDINATOR_JOURNAL_URL")
    program.stop(timeout=5)
    assert program.status == 0
    assert "hidden" not in program.log()


def test_without_a_health_file_the_coordinator_process_ends(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody reads a health file, a coordinator process that cannot work ends with one line and status 1."""
    with monkeypatch.context() as patch:
        patch.delitem(installation.settings, "HEALTH_FILE")
        patch.setitem(installation.settings, "BROKER_URL", f"amqp://a:hidden@127.0.0.1:{free_port()}//")
        program = installation.coordinator_process(wait=False)
    wait_until(lambda: not program.running, description="it has ended", timeout=30)
    assert program.status == 1
    [line] = program.log().splitlines()
    assert line.startswith("coordinator: the broker cannot be reached: ")


def test_a_worker_says_what_it_consumes(installation: Installation) -> None:
    """`coordinator worker` consumes the queues of its agents, says so, and ends in good order when told to."""
    program = installation.program(
        "w", "worker", "shop.one", "shop.three", "--pool", "threads", "--name", "ada"
    )
    queues = [installation.queue_name(agent) for agent in ("shop.one", "shop.three")]
    _wait_said(installation, program, f"ready: consumes {queues[0]}, {queues[1]}$")
    with installation.client() as client:
        inspect = client.engine.app.control.inspect(timeout=10, limit=1)
        [(node, found)] = (inspect.active_queues() or {}).items()
        assert node.startswith("ada@")
        assert sorted(queue["name"] for queue in found) == queues
    program.stop(timeout=20)
    assert program.status == 0
    assert str(_health(installation).read()) == "stopping: it finishes what it has begun"


def test_a_time_limit_needs_processes(installation: Installation) -> None:
    """A worker whose pool cannot end a step that takes too long refuses the agents that have a time limit, in a line."""
    program = installation.program("w", "worker", "shop.two", "--pool", "threads")
    wait_until(lambda: not program.running, description="it has ended", timeout=30)
    assert program.status == 1
    assert "shop.two has a time limit, and this worker's pool cannot end a step" in program.log()
