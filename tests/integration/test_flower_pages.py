"""Flower's pages of tasks and of the broker, on real servers: what is listed can be opened, and every queue of the installation is there."""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from handoffs.config.console import ConsoleSettings
from tests.eager.console.pages import console
from tests.flower import Flower
from tests.hostile.octets import properties
from tests.hostile.raw import Raw, RawPublisher
from tests.integration import shop
from tests.integration.bench import Bench, new_order
from tests.servers import Servers
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def flower(bench: Bench) -> Iterator[Flower]:
    opened = Flower(bench.installation)
    opened.wait_hearing()
    yield opened
    opened.program.stop()


def tasks_of(flower: Flower, run: str) -> dict[str, dict[str, Any]]:
    """The tasks of a run that Flower lists, by their agents."""
    return {one["name"]: one for one in flower.listed() if one.get("root_id") == run}


def shown(flower: Flower, run: str, state: str, *, agents: int = 1) -> dict[str, dict[str, Any]]:
    """Wait until so many tasks of a run are listed, all in that state."""

    def there() -> dict[str, dict[str, Any]]:
        found = tasks_of(flower, run)
        good = len(found) == agents and {one["state"] for one in found.values()} == {state}
        return found if good else {}

    return wait_until(
        there, description=f"{agents} tasks are {state}\n{flower.program.last_words()}", timeout=20
    )


def test_each_task_of_the_list_can_be_opened(bench: Bench, flower: Flower) -> None:
    """The list has the column that is the link, and the page of each task says agent, run and what became of it; again and again."""
    assert "uuid" in flower.columns()
    run = bench.start(shop.chain)
    bench.completed(run)
    for name, task in shown(flower, run.id, "SUCCESS", agents=3).items():
        for _ in range(2):
            status, page = flower.opened(task["uuid"])
            assert status == 200
            for word in (name, run.id, "settled"):
                assert word in page


def test_a_task_is_opened_however_often_it_was_tried(bench: Bench, flower: Flower) -> None:
    """Attempts, a dead letter and its replay are one task under one id: its page opens after each, and says how it is."""
    order = new_order()
    run = bench.start(shop.chain, order, one="fail")
    letter = bench.letter(run)
    [task] = shown(flower, run.id, "FAILURE").values()
    status, page = flower.opened(task["uuid"])
    assert status == 200
    assert "Parked(" in page
    bench.mend(order)
    letter.replay()
    bench.completed(run)
    found = shown(flower, run.id, "SUCCESS", agents=3)
    assert found["shop.one"]["uuid"] == task["uuid"]
    status, page = flower.opened(task["uuid"])
    assert status == 200
    assert "SUCCESS" in page


def test_odd_characters_of_an_id_open_the_same_task(bench: Bench, flower: Flower) -> None:
    """Whatever an id looks like, the link of the list opens that task, and no other."""
    ids = [
        f"odd-{one}-{uuid.uuid4()}"
        for one in ("a/b", "a?b=c", "a#b", "a%2Fb", "a b", "a&b;c", "a+b", "<i>", "a:b|c", "..")
    ]
    with RawPublisher(bench.installation.servers.broker_url) as publisher:
        assert publisher.publish([_event(bench, one, "started") for one in ids]) == []
    wait_until(lambda: {one["uuid"] for one in flower.listed()} >= set(ids), description="all are listed")
    for one in ids:
        status, page = flower.opened(one)
        assert status == 200, one
        assert unescape(page).count(one) > 0


def test_a_task_that_is_not_known_says_what_to_do(bench: Bench, flower: Flower) -> None:
    """After another start it knows none of before; the page says so, and a task that comes again can be opened again. What is a run, and
    no task, is called one."""
    order = new_order()
    run = bench.start(shop.chain, order, one="fail")
    letter = bench.letter(run)
    [task] = shown(flower, run.id, "FAILURE").values()
    status, told = flower.opened(run.id)
    assert status == 404
    assert f"{run.id} is a run (or a story), and no task" in told
    assert tasks_of(flower, run.id).keys() == {one["name"] for one in flower.listed(f"args:{run.id}")}
    again = Flower(bench.installation)
    again.wait_ready()
    status, told = again.opened(task["uuid"])
    assert status == 404
    assert f"Flower does not know the task {task['uuid']}" in told
    assert "coordinator runs show RUN" in told
    assert again.opened("%<b>")[0] == 404
    bench.mend(order)
    letter.replay()
    bench.completed(run)
    shown(again, run.id, "SUCCESS", agents=3)
    assert again.opened(task["uuid"])[0] == 200
    again.program.stop()


def test_what_is_known_of_a_task_in_part_is_opened_too(bench: Bench, flower: Flower) -> None:
    """Where Flower has forgotten what came before, or was not there yet: a task of which there is one event, of whatever type, and one
    that comes again after it had ended."""
    kinds = ("received", "started", "succeeded", "failed", "retried", "rejected", "revoked")
    alone = {kind: f"alone-{kind}-{uuid.uuid4()}" for kind in kinds}
    again = {kind: f"again-{kind}-{uuid.uuid4()}" for kind in kinds}
    with RawPublisher(bench.installation.servers.broker_url) as publisher:
        events = [_event(bench, one, kind, named=False) for kind, one in alone.items()]
        for kind, one in again.items():
            events += [
                _event(bench, one, word) for word in ("received", "started", kind, "received", "started")
            ]
        assert publisher.publish(events) == []
    ids = {*alone.values(), *again.values()}
    wait_until(lambda: {one["uuid"] for one in flower.listed()} >= ids, description="all are listed")
    for one in ids:
        status, page = flower.opened(one)
        assert status == 200, page
        assert one in page


def test_what_flower_keeps_in_a_file_it_opens_after_another_start(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With FLOWER_PERSISTENT."""
    monkeypatch.setenv("FLOWER_PERSISTENT", "true")
    monkeypatch.setenv("FLOWER_DB", str(bench.folder / "flower"))
    first = Flower(bench.installation)
    first.wait_hearing()
    run = bench.start(shop.chain)
    bench.completed(run)
    tasks = shown(first, run.id, "SUCCESS", agents=3)
    first.program.stop()
    second = Flower(bench.installation)
    second.wait_ready()
    assert [second.opened(task["uuid"])[0] for task in tasks.values()] == [200, 200, 200]
    second.program.stop()


def _own(bench: Bench, *names: str) -> set[str]:
    return {bench.installation.queue_name(name) for name in names}


def _ready(queue: dict[str, Any]) -> int:
    return int(queue.get("messages_ready", -1))  # not counted yet


def _idle_agent(bench: Bench, name: str) -> str:
    """A queue of an agent of another team: no worker of it is there, two messages wait."""
    topology = bench.client.engine.topology
    queue = topology.queue(name)
    with bench.client.engine.app.connection_for_write() as connection:
        channel = connection.channel()
        queue(channel).declare()
        producer = connection.Producer(channel)
        for _ in range(2):
            producer.publish("{}", exchange="", routing_key=str(queue.name))
    return str(queue.name)


def test_the_page_about_the_broker_has_the_queues_of_everybody(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of agents that other processes load, of workers that began after Flower, of timers, dead letters and unheard events, with
    what waits in each; also where there is no management API."""
    monkeypatch.setenv("FLOWER_BROKER_API", "http://nobody:nothing@127.0.0.1:1/api/")
    monkeypatch.setenv("COORDINATOR_AGENTS", "handoffs.tasks.payments")
    flower = Flower(bench.installation)
    flower.wait_ready()
    agents = [f"shop.{name}" for name in ("one", "two", "three")]
    queues = flower.queues()
    assert queues.keys() >= _own(
        bench, *agents, "coordinator.timer", "handoff.dead-letters", "handoff.unheard-events"
    )
    assert all(name.startswith(f"{bench.installation.namespace}.") for name in queues)
    assert queues[bench.installation.queue_name("shop.one")]["consumers"] >= 1
    flower.program.stop()


def test_the_management_api_adds_delays_and_queues_of_which_nobody_is_there(
    bench: Bench, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it can be asked, the page has every queue that is this installation's, delays by their length, and none of another one's."""
    monkeypatch.setenv("FLOWER_BROKER_API", _management(servers))
    idle = _idle_agent(bench, f"team.{uuid.uuid4().hex[:8]}")
    engine = bench.client.engine
    with engine.app.connection_for_write() as connection:
        for milliseconds in (2_000, 10_000):
            engine.topology.delay(timedelta(milliseconds=milliseconds), "shop.one")(connection).declare()
        strange = f"strange-{uuid.uuid4().hex}"
        connection.channel().queue_declare(queue=strange, durable=True, auto_delete=False)
    flower = Flower(bench.installation)
    flower.wait_ready()
    known = _own(
        bench,
        "shop.one",
        "coordinator.timer",
        "handoff.delay.2000",
        "handoff.delay.10000",
        "handoff.dead-letters",
    )

    def counted() -> dict[str, dict[str, Any]]:
        found = flower.queues()
        return found if found.keys() >= {*known, idle} and _ready(found[idle]) == 2 else {}

    queues = wait_until(counted, description="the broker has counted what waits", timeout=30)
    assert strange not in queues
    names = list(queues)
    shorter, longer = (bench.installation.queue_name(f"handoff.delay.{ms}") for ms in (2_000, 10_000))
    assert names.index(bench.installation.queue_name("shop.one")) < names.index(shorter) < names.index(longer)
    assert "messages_unacknowledged" in queues[idle]
    flower.program.stop()
    with engine.app.connection_for_write() as connection:
        for name in (idle, strange):
            connection.channel().queue_delete(queue=name)


def _management(servers: Servers) -> str:
    """Where the management API of the tests' broker is; skips where it is reached from nowhere."""
    url = urlsplit(servers.broker_url)
    words = ["docker", "ps", "--quiet", "--filter", f"publish={url.port}"]
    address = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    try:
        [container] = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
        inspect = ["docker", "inspect", "--format", address, container]
        host = subprocess.run(inspect, capture_output=True, text=True, check=True).stdout.strip()
        with urlopen(f"http://{host}:15672/", timeout=5):
            return f"http://{url.username}:{url.password}@{host}:15672/api/"
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        pytest.skip(f"RabbitMQ's management API cannot be reached: {error}")


def _event(bench: Bench, number: str, kind: str, *, named: bool = True) -> Raw:
    event = {
        "type": f"task-{kind}", "hostname": "made-up@host", "pid": 1, "clock": 1, "utcoffset": 0,
        "timestamp": time.time(), "uuid": number, **({"name": "odd.task"} if named else {}),
    }  # fmt: skip
    given = {"content_type": b"application/json", "content_encoding": b"utf-8"}
    exchange = f"{bench.installation.namespace}.celeryev".encode()
    return Raw(exchange, b"task.multi", properties(None, **given), json.dumps(event).encode())


def test_a_task_leads_to_its_run_in_the_console_and_back(bench: Bench, flower: Flower) -> None:
    """Where the settings say where each of them is: Flower's page of a task has a link to its run, and the console's page of that run one to the
    task; where they do not, there is none."""
    linked = Flower(bench.installation, CONSOLE__PUBLIC_URL="https://console.example/c")
    linked.wait_hearing()
    run = bench.start(shop.chain)
    bench.completed(run)
    name, task = next(iter(shown(linked, run.id, "SUCCESS", agents=3).items()))
    link = f'href="https://console.example/c/runs/{run.id}"'
    assert link in linked.opened(task["uuid"])[1]
    shown(flower, run.id, "SUCCESS", agents=3)
    assert "console-run" not in flower.opened(task["uuid"])[1]
    step = next(place.path for place in shop.chain.places() if place.agent.name == name)
    back = f'href="{linked.url}/task/{task["uuid"]}"'
    with console(bench.client, ConsoleSettings(flower_url=linked.url)) as browser:
        assert back in browser.get(f"/runs/{run.id}?step={step}")
    with console(bench.client, ConsoleSettings()) as browser:
        assert "/task/" not in browser.get(f"/runs/{run.id}?step={step}")
    linked.program.stop()
