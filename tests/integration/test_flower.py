"""Flower goes on showing what workers do, whatever else is published as a task event."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import quote

import psutil
import pytest

from handoffs.coordinator.client.run import Run
from tests.flower import Flower
from tests.hostile.generators.task_events import MARKUP
from tests.hostile.octets import Pairs, item, properties
from tests.hostile.raw import Raw, RawPublisher
from tests.integration import shop
from tests.integration.bench import Bench
from tests.waiting import wait_until

_LARGE = 15_000_000
_MOST_MEMORY = 400 * 1_048_576


@pytest.fixture(scope="module")
def flower(bench: Bench) -> Iterator[Flower]:
    opened = Flower(bench.installation)
    opened.wait_hearing()
    yield opened
    opened.program.stop()


@pytest.fixture
def publisher(bench: Bench) -> Iterator[RawPublisher]:
    with RawPublisher(bench.installation.servers.broker_url) as opened:
        yield opened


def test_what_is_no_event_is_dropped(bench: Bench, flower: Flower, publisher: RawPublisher) -> None:
    """Texts that are no text, codecs that are slow, bodies that are large, deep, packed or no events: Flower shows the run that comes
    after them."""
    good = json.dumps(_heartbeat()).encode()
    bodies = [
        b"", b"\xff", b"null", b"1", b'"a"', b"NaN", b"{}", b"[1]", b"[[]]", b"[" * 100_000, b"[" + b"9" * 5_000 + b"]",
        b"[" + b" " * _LARGE + b"]", json.dumps(_heartbeat(sw_ident="a" * _LARGE)).encode(),
    ]  # fmt: skip
    others: list[dict[str, Any]] = [
        {"content_type": b"application/x-python-serialize"},
        {"content_type": b"application/x-yaml"},
        {"content_encoding": b"bzip2"},
        {"content_encoding": b"utf-16"},
        {"correlation_id": b"\xff"},
        {"timestamp": 2**63},
        {"headers": [(b"\xff", item(1))]},
    ]
    messages = [_message(bench, body) for body in bodies]
    messages += [_message(bench, good, **other) for other in others]
    messages.append(
        _message(bench, b"-" + b"b" * 500_000, content_type=b"application/data", content_encoding=b"punycode")
    )
    assert publisher.publish(messages) == []
    _shows(bench, flower)


def test_no_event_stands_in_the_way_of_later_ones(
    bench: Bench, flower: Flower, publisher: RawPublisher
) -> None:
    """Events with a field that no worker sends so are dropped, each alone: none is compared with what comes after it."""
    names = (
        "clock",
        "timestamp",
        "hostname",
        "pid",
        "utcoffset",
        "uuid",
        "name",
        "runtime",
        "type",
        "retries",
    )
    values: tuple[Any, ...] = (
        None,
        True,
        -1,
        10**400,
        "x",
        "\x00\x1b[31m",
        [],
        {"a": 1},
        "a" * 100_000,
        "\ud800",
    )
    hostile = [{**_event(), name: value} for name in names for value in values]
    many = [_event(), {"type": "task-started"}, _event()]
    bodies = [json.dumps(event).encode() for event in [*hostile, many]]
    assert publisher.publish([_message(bench, body) for body in bodies]) == []
    for event in (many[0], many[2]):
        wait_until(partial(flower.task, event["uuid"]), description="the good ones among others are shown")
    assert not any(flower.task(event["uuid"]) for event in hostile if event["timestamp"] != _NOW)
    _shows(bench, flower)


def test_no_markup_is_obeyed(bench: Bench, flower: Flower, publisher: RawPublisher) -> None:
    """Names and texts with markup are escaped on each page, and a number is a number: Flower's own script shows it as it is."""
    shown = _event(name=MARKUP, args=MARKUP, hostname=MARKUP, parent_id=MARKUP)
    late = _heartbeat(hostname="late@host")
    events = [
        shown,
        _heartbeat(hostname=MARKUP),
        _heartbeat(hostname="numbers@host", active=MARKUP),
        _heartbeat(hostname="loads@host", loadavg=[MARKUP] * 3),
        _event(runtime=MARKUP),
        late,
    ]
    assert publisher.publish([_message(bench, json.dumps(event).encode()) for event in events]) == []
    wait_until(lambda: "late@host" in flower.workers(), description="the last is shown")
    workers = flower.workers()
    assert MARKUP in workers
    assert not {"numbers@host", "loads@host"} & workers.keys()
    assert {type(found["active"]) for found in workers.values()} <= {int, type(None)}
    for path in ("/", "/workers", "/tasks", "/broker", f"/task/{shown['uuid']}"):
        page = flower.page(path)
        assert "<script>alert" not in page
        assert "<img src=x" not in page
    assert flower.task(shown["uuid"])["args"] == MARKUP
    assert flower.task(quote(MARKUP, safe="")) == {}


def test_its_memory_is_bounded(bench: Bench, flower: Flower, publisher: RawPublisher) -> None:
    """Thousands of workers and task names, and texts as long as a message may be, do not stay in memory."""
    for batch in range(10):
        workers = [_heartbeat(hostname=f"{batch}-{one}@host") for one in range(1_000)]
        tasks = [_event(name=f"made-up.{batch}-{one}", args="\U0001f600" * 400) for one in range(1_000)]
        bodies = [json.dumps(events, ensure_ascii=False).encode() for events in (workers, tasks)]
        assert publisher.publish([_message(bench, body) for body in bodies]) == []
    _shows(bench, flower)
    assert len(flower.workers()) <= 5_000
    assert psutil.Process(flower.program.pid).memory_info().rss < _MOST_MEMORY
    assert "forgets what it knows" in flower.program.log()


_NOW = time.time()


def _event(**fields: Any) -> dict[str, Any]:
    """A task has begun."""
    event = {"type": "task-started", "hostname": "made-up@host", "pid": 1, "clock": 1, "utcoffset": 0}
    return {**event, "timestamp": _NOW, "uuid": str(uuid.uuid4()), **fields}


def _heartbeat(**fields: Any) -> dict[str, Any]:
    """A worker is there."""
    own = {"freq": 2.0, "active": 0, "processed": 1, "loadavg": [0.1, 0.2, 0.3], "sw_ident": "py-celery"}
    event = {"type": "worker-heartbeat", "hostname": "made-up@host", "pid": 1, "clock": 1, "utcoffset": 0}
    return {**event, "timestamp": time.time(), **own, **fields}


def _message(bench: Bench, body: bytes, headers: Pairs | None = None, **texts: bytes | int) -> Raw:
    given = {"content_type": b"application/json", "content_encoding": b"utf-8", **texts}
    exchange = f"{bench.installation.namespace}.celeryev".encode()
    return Raw(exchange, b"task.multi", properties(headers, **given), body)


def _shows(bench: Bench, flower: Flower) -> None:
    """A run that is started now is shown to its end. Events that wait for longer than five seconds are dropped: then another is."""

    def shown(run: Run) -> bool:
        states = {task["name"]: task["state"] for task in flower.tasks() if task["root_id"] == run.id}
        return states == dict.fromkeys(("shop.one", "shop.two", "shop.three"), "SUCCESS")

    def another() -> bool:
        run = bench.start(shop.chain)
        bench.completed(run)
        until = time.monotonic() + 5
        while time.monotonic() < until and not (seen := shown(run)):
            assert flower.program.running, flower.program.last_words()
        return seen

    wait_until(another, description=f"Flower shows a run\n{flower.program.last_words()}", timeout=40)
