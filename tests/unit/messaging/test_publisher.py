"""The publisher, where the broker has no room."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from amqp.exceptions import MessageNacked

from handoffs.config.topology import Topology
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.messaging import publisher
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.messaging.publisher import BrokerPublisher


class Broker:
    """An app, its producers and its connection, of which the first so many messages are refused."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.taken: list[str] = []
        self.attempts = 0
        self.connection = self.channel = self
        self.connection_errors = self.channel_errors = self.recoverable_connection_errors = (ConnectionError,)
        self.producer_pool = SimpleNamespace(acquire=lambda block: nullcontext(self))

    def connection_for_write(self) -> Broker:
        return self

    def ensure(self, obj: Any, attempt: Callable[[], Any], **policy: Any) -> Callable[[], Any]:
        assert "retry_errors" not in policy
        return attempt

    def publish(self, body: str, **options: Any) -> None:
        self.attempts += 1
        if self.attempts <= self.refusals:
            raise MessageNacked
        self.taken.append(options["message_id"])


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time that passes only where somebody waits."""
    waited: list[float] = []
    clock = SimpleNamespace(monotonic=lambda: sum(waited), sleep=waited.append)
    monkeypatch.setattr(publisher, "time", clock)
    monkeypatch.setattr(BrokerPublisher, "declare", lambda *_: None)
    return waited


def messages(count: int) -> list[Message]:
    return [Message(f"m-{number}", "test.agent", {}, "[]") for number in range(count)]


def test_a_full_queue_is_waited_for(pauses: list[float]) -> None:
    """A message for which there is no room is sent again after a pause, and those before it are not."""
    broker = Broker(refusals=0)
    sender: Any = BrokerPublisher(broker, Topology())
    sender.publish(messages(1))
    broker.refusals = broker.attempts + 4
    sender.publish(messages(2))
    assert broker.taken == ["m-0", "m-0", "m-1"]
    assert pauses == [0.1] * 4


def test_a_queue_that_stays_full(pauses: list[float]) -> None:
    """Nobody waits for ever: after some seconds it is an error that says what to do."""
    broker = Broker(refusals=10_000)
    sender: Any = BrokerPublisher(broker, Topology())
    with pytest.raises(ServerError, match="no room"):
        sender.publish(messages(2))
    assert 3 <= sum(pauses) < 3.5
    assert not broker.taken


def test_an_event_is_sent_again_ever_more_rarely(pauses: list[float]) -> None:
    """Where one of those who hear an event has no room, all others get it each time that it is sent: that is not often."""
    broker = Broker(refusals=10_000)
    sender: Any = BrokerPublisher(broker, Topology())
    with pytest.raises(ServerError, match="no room"):
        sender.publish([Message("m", "coordinator.event", {"handoff_event": "test.told"}, "[]")])
    assert broker.attempts == len(pauses) + 1 <= 8
    assert 3 <= sum(pauses) < 4
