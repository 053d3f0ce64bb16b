"""Many messages at once, on a real RabbitMQ: each is there once it is confirmed."""

from __future__ import annotations

import secrets
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest
from celery import Celery
from kombu import Queue

from handoffs.config.intake import Intake
from handoffs.config.settings import Settings
from handoffs.config.topology import TIMERS
from handoffs.coordinator.continuation.signature import EVENT
from handoffs.coordinator.errors import QueueFull, ServerError
from handoffs.coordinator.messaging.confirms import Parcel, Pipeline
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.runtime.engine import Engine
from tests.servers import Servers


@pytest.fixture
def engine(servers: Servers) -> Iterator[Engine]:
    """An installation of its own, in which ``test.narrow`` has room for three messages."""
    settings = Settings(
        broker_url=servers.broker_url,
        redis_url=servers.redis_url,
        namespace=f"p{secrets.token_hex(4)}",
        queue_limits={"test.narrow": 3},
    )
    opened = Engine(settings)
    opened.publisher.declare(["test.wide", "test.narrow"])
    yield opened
    opened.close()


def messages(agent: str, count: int) -> list[Message]:
    return [Message(f"m-{number}", agent, {"id": f"m-{number}"}, "[[],{},{}]") for number in range(count)]


def take(app: Celery, queue: Queue, wanted: int, within: float = 20.0) -> Counter[str]:
    """The ids of the messages of a queue, taken one after the other until so many different ones have come."""
    found: Counter[str] = Counter()
    until = time.monotonic() + within
    with app.connection_for_read() as connection:
        bound = queue(connection.channel())
        while len(found) < wanted and time.monotonic() < until:
            message = bound.get()
            if message is not None:
                found[message.headers["id"]] += 1
                message.ack()
    return found


def test_all_of_them_arrive(engine: Engine) -> None:
    """Hundreds of messages, of which many are on their way at once, arrive each once, also on a connection used before."""
    for count in (2, 250):
        engine.publisher.publish(messages("test.wide", count))
        taken = take(engine.app, engine.topology.queue("test.wide"), count)
        assert taken == {f"m-{number}": 1 for number in range(count)}


def test_a_connection_that_breaks(engine: Engine) -> None:
    """Where the connection is gone, all are sent on another one; none is missing."""
    engine.publisher.publish(messages("test.wide", 2))
    take(engine.app, engine.topology.queue("test.wide"), 2)
    with engine.publisher._lines.take(time.monotonic() + 5) as line:  # type: ignore[attr-defined]
        line._connection.transport.sock.shutdown(socket.SHUT_RDWR)
    engine.publisher.publish(messages("test.wide", 20))
    assert len(take(engine.app, engine.topology.queue("test.wide"), 20)) == 20


def test_a_queue_without_room(engine: Engine) -> None:
    """What has no room is sent again until there is some; where there is none for long, that is an error, and the queue has
    hardly more than its bound."""
    queue = engine.topology.queue("test.narrow")
    with pytest.raises(ServerError, match="no room"):
        engine.publisher.publish(messages("test.narrow", 30))
    assert 3 <= sum(take(engine.app, queue, 30, within=2.0).values()) < 10
    sending = threading.Thread(target=engine.publisher.publish, args=[messages("test.narrow", 30)])
    sending.start()
    assert len(take(engine.app, queue, 30)) == 30
    sending.join(20)
    assert not sending.is_alive()


def test_a_bound_that_this_process_does_not_know(
    engine: Engine, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of many that are on their way at once, what the broker refuses is sent again until it has room."""
    refused: list[int] = []
    send = Pipeline.send

    def counted(pipeline: Pipeline, parcels: list[Parcel], within: float) -> list[Parcel]:
        back = send(pipeline, parcels, within)
        refused.append(len(back))
        return back

    monkeypatch.setattr(Pipeline, "send", counted)
    namespace = engine.settings.namespace
    other = Engine(Settings(broker_url=servers.broker_url, redis_url=servers.redis_url, namespace=namespace))
    sending = threading.Thread(target=other.publisher.publish, args=[messages("test.narrow", 400)])
    sending.start()
    assert len(take(engine.app, engine.topology.queue("test.narrow"), 400)) == 400
    sending.join(20)
    other.close()
    assert not sending.is_alive()
    assert sum(refused) > 0


def test_delays_for_a_full_queue_hold_up_nobody_else(engine: Engine) -> None:
    """Messages that wait for the full queue of one agent keep none that waits as long from another, nor a timer, from coming in
    time: in one queue, the broker tries the refused ones for minutes before it looks at those behind."""
    publisher, wait = engine.publisher, timedelta(milliseconds=300)
    with pytest.raises(QueueFull):
        publisher.impatient().publish(messages("test.narrow", 30))
    publisher.publish(messages("test.narrow", 40), delay=wait, exact=True)
    for agent in ("test.wide", TIMERS):
        publisher.publish(messages(agent, 3), delay=wait, exact=True)
    for agent in ("test.wide", TIMERS):
        assert len(take(engine.app, engine.topology.queue(agent), 3, within=5)) == 3


def test_an_event_for_which_one_has_no_room(engine: Engine) -> None:
    """Those who have room get an event once, however often it is tried again for the one who has none; that one gets it as
    soon as it has room."""
    for agent, patterns in (("test.narrow", ("test.told",)), ("test.wide", ("test.*",))):
        engine.publisher.subscribe(agent, Intake(patterns))
        manifest = {"agent": agent, "build": "1", "subscribes": list(patterns)}
        engine.announcements.announce(manifest, "w@1", timedelta(minutes=1))
    hasty = engine.publisher.impatient()
    with pytest.raises(QueueFull):
        hasty.publish(messages("test.narrow", 30))
    event = Message("e", EVENT, {"id": "e", "handoff_event": "test.told"}, "[[],{},{}]")
    for _ in range(5):
        with pytest.raises(QueueFull):
            hasty.publish([event])
    narrow, wide = engine.topology.queue("test.narrow"), engine.topology.queue("test.wide")
    assert take(engine.app, wide, 2, within=1.0) == {"e": 1}
    take(engine.app, narrow, 30, within=1.0)
    engine.publisher.publish([event])
    assert take(engine.app, narrow, 1) == {"e": 1}
    assert not take(engine.app, wide, 1, within=0.5)
