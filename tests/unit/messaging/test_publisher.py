"""The publisher, where the broker has no room, or does not answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from amqp.exceptions import ContentTooLarge, FrameError, FrameSyntaxError, PreconditionFailed

from handoffs.config.topology import Topology
from handoffs.coordinator.errors import QueueFull, Refused, ServerError, passes
from handoffs.coordinator.messaging import publisher
from handoffs.coordinator.messaging.confirms import Parcel, Unwritable
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.messaging.publisher import BrokerPublisher


class Broker:
    """The connections to a broker; ``refuses`` says of each parcel whether there is no room for it."""

    together = False

    def __init__(self, refuses: Callable[[Parcel], bool]) -> None:
        self.refuses = refuses
        self.taken: list[Parcel] = []
        self.attempts = 0
        self.cuts = 0

    @contextmanager
    def take(self, until: float) -> Iterator[Broker]:
        yield self

    def cut(self) -> None:
        self.cuts += 1

    def send(self, parcels: Iterable[Parcel], within: float) -> list[Parcel]:
        refused: list[Parcel] = []
        for parcel in parcels:
            self.attempts += 1
            (refused if self.refuses(parcel) else self.taken).append(parcel)
        return refused

    def ids(self) -> list[str]:
        return [parcel.message.id for parcel in self.taken]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time that passes only where somebody waits."""
    waited: list[float] = []
    clock = SimpleNamespace(monotonic=lambda: sum(waited), sleep=waited.append)
    monkeypatch.setattr(publisher, "time", clock)
    monkeypatch.setattr(BrokerPublisher, "declare", lambda *_: None)
    return waited


def made(broker: Broker, limits: dict[str, int] | None = None, **options: Any) -> BrokerPublisher:
    """A publisher on that broker."""
    app: Any = SimpleNamespace(
        connection_for_write=lambda: SimpleNamespace(
            connection_errors=(), channel_errors=(), recoverable_connection_errors=()
        )
    )
    sender = BrokerPublisher(app, Topology(limits=limits or {}), **options)
    sender._lines = broker  # type: ignore[assignment]
    return sender


def messages(count: int) -> list[Message]:
    return [Message(f"m-{number}", "test.agent", {}, "[]") for number in range(count)]


EVENT = Message("m", "coordinator.event", {"handoff_event": "test.told"}, "[]")


def test_a_full_queue_is_waited_for(pauses: list[float]) -> None:
    """A message for which there is no room is sent again after a pause, and those before it are not."""
    broker = Broker(lambda parcel: parcel.message.id == "m-1" and broker.attempts < 6)
    made(broker).publish(messages(2))
    assert broker.ids() == ["m-0", "m-1"]
    assert pauses == [0.1] * 4


def test_a_queue_that_stays_full(pauses: list[float]) -> None:
    """Nobody waits for ever: after some seconds it is an error that says what to do; who has others to serve waits for no
    room at all."""
    broker = Broker(lambda _: True)
    sender = made(broker)
    with pytest.raises(QueueFull, match="no room"):
        sender.publish(messages(2))
    assert 3 <= sum(pauses) < 3.5
    pauses.clear()
    with pytest.raises(QueueFull, match="no room"):
        sender.impatient().publish(messages(1))
    assert pauses == []
    with pytest.raises(QueueFull, match="no room"):
        sender.impatient().publish(messages(2))  # or the first of them would be sent again and again
    assert 3 <= sum(pauses) < 3.5


def test_a_broker_that_does_not_answer(pauses: list[float]) -> None:
    """A broker that takes nothing is given up after the time that a server has, whatever it was tried on."""

    def silent(_: Parcel) -> bool:
        pauses.append(4.0)
        raise TimeoutError("it has an alarm")

    broker = Broker(silent)
    with pytest.raises(ServerError, match="it has an alarm"):
        made(broker).publish(messages(1))
    assert 8 <= sum(pauses) < 14
    assert broker.cuts > 0


REFUSALS = [
    PreconditionFailed("message size 9 is larger than configured max size 8", reply_code=406),
    ContentTooLarge("too large", reply_code=311),
    FrameError("frame too large", reply_code=501),
    FrameSyntaxError("String too long (301)"),
    Unwritable("its headers or its id: argument out of range"),
]


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: type(error).__name__)
def test_what_the_broker_refuses_is_not_sent_again(error: Exception, pauses: list[float]) -> None:
    """A message that is at fault itself is told from a broker that is away: it is not tried on other connections, and nobody is to
    wait with it."""

    def refuses(_: Parcel) -> bool:
        raise error

    broker = Broker(refuses)
    with pytest.raises(Refused, match="does not take the message") as caught:
        made(broker).publish(messages(1))
    assert not passes(caught.value)
    assert (broker.attempts, pauses) == (1, [])


def test_an_event_is_sent_again_ever_more_rarely(pauses: list[float]) -> None:
    """Where one of those who hear an event has no room, and it is not known who, all others get it each time that it is sent:
    that is not often."""
    broker = Broker(lambda _: True)
    with pytest.raises(ServerError, match="no room"):
        made(broker).publish([EVENT])
    assert broker.attempts == len(pauses) + 1 <= 8
    assert 3 <= sum(pauses) < 4


def test_who_hears_an_event_is_known_from_its_code(pauses: list[float]) -> None:
    """Of an agent that nobody has announced, the code that is loaded says what it hears: so others get an event once."""
    broker = Broker(lambda _: True)
    sender = made(broker, {"test.full": 1, "test.deaf": 1})
    for agent, patterns in (("test.full", ["test.*"]), ("test.deaf", [])):
        sender.know(agent, patterns)
    for _ in range(3):
        with pytest.raises(QueueFull):
            sender.impatient().publish([EVENT])
    assert broker.attempts == 1 + 3  # to all once, and then to the one
    assert pauses == []


def test_an_event_comes_once_to_those_who_have_room(pauses: list[float]) -> None:
    """Where it is known who hears an event and may have no room, the event is sent to all once and then to those alone, also
    when it is published anew."""
    full = True
    tried: list[str] = []

    def refuses(parcel: Parcel) -> bool:
        tried.append(parcel.exchange)
        return full

    broker, hears = Broker(refuses), {"test.full": True, "test.deaf": False}
    sender = made(broker, {"test.full": 1, "test.deaf": 1}, hears=lambda agent, _: hears[agent])
    for _ in range(3):
        with pytest.raises(QueueFull):
            sender.publish([EVENT])
    full = False
    sender.publish([EVENT])
    assert tried.count("handoff.events") == 1
    assert [(parcel.exchange, parcel.routing_key) for parcel in broker.taken] == [
        ("handoff.agents", "test.full")
    ]
    sender.publish([EVENT])  # a replay goes to all
    assert broker.taken[-1].exchange == "handoff.events"
