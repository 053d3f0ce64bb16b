"""The pipeline: whatever the broker answers in whatever order, each message is confirmed or given back."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from amqp.basic_message import Message as AmqpMessage
from hypothesis import given
from hypothesis import strategies as st

from handoffs.coordinator.messaging.confirms import Parcel, Pipeline, Unwritable
from handoffs.coordinator.messaging.message import Message


class Channel:
    """A channel in confirm mode; ``answers`` says what comes when somebody waits: (ack or nack, number, multiple)."""

    def __init__(self) -> None:
        self.events: dict[str, set[Callable[..., None]]] = defaultdict(set)
        self.published: list[str] = []
        self.answers: list[tuple[str, int, bool]] = []
        self.confirming = False

    def channel(self) -> Channel:
        return self

    def confirm_select(self) -> None:
        self.confirming = True

    def prepare_message(self, body: bytes, **options: Any) -> SimpleNamespace:
        return SimpleNamespace(body=body, **options)

    def basic_publish(self, message: Any, *, exchange: str, routing_key: str) -> None:
        assert self.confirming
        assert (exchange, routing_key) == ("agents", "test.agent")
        self.published.append(message.properties["message_id"])

    def drain_events(self, timeout: float) -> None:
        if not self.answers:
            raise TimeoutError(f"nothing within {timeout}")
        kind, number, multiple = self.answers.pop(0)
        for listener in self.events[f"basic_{kind}"]:
            listener(number, multiple)


def parcels(count: int, start: int = 0) -> list[Parcel]:
    return [
        Parcel("agents", "test.agent", Message(f"m-{number}", "test.agent", {}, "[]"))
        for number in range(start, start + count)
    ]


@st.composite
def answered(draw: st.DrawFn) -> tuple[int, list[tuple[str, int, bool]], set[int]]:
    """How many are sent, what is answered until each has its answer, and the numbers that were refused."""
    count = draw(st.integers(1, 12))
    left, answers, refused = set(range(1, count + 1)), [], set()
    while left:
        kind = draw(st.sampled_from(["ack", "ack", "nack"]))
        number = draw(st.sampled_from(sorted(left)))
        multiple = draw(st.booleans())
        these = {other for other in left if other <= number} if multiple else {number}
        if kind == "nack":
            refused |= these
        left -= these
        answers.append((kind, number, multiple))
    return count, answers, refused


@given(answered(), answered())
def test_each_message_has_its_answer(first: Any, second: Any) -> None:
    """All are on their way before the first answer; those refused are given back, all others are confirmed; and so again."""
    channel = Channel()
    pipeline = Pipeline(channel)
    sent = 0
    for count, answers, refused in (first, second):
        channel.answers = [(kind, sent + number, multiple) for kind, number, multiple in answers]
        back = pipeline.send(parcels(count, sent), 10.0)
        assert {parcel.message.id for parcel in back} == {f"m-{sent + number - 1}" for number in refused}
        assert len(back) == len(refused)
        assert not channel.answers  # no more and no fewer were waited for
        sent += count
    assert channel.published == [f"m-{number}" for number in range(sent)]


def test_an_answer_that_does_not_come() -> None:
    """Nobody waits longer than told."""
    channel = Channel()
    channel.answers = [("ack", 1, False)]
    with pytest.raises(TimeoutError):
        Pipeline(channel).send(parcels(2), 0.01)


def test_an_answer_of_something_else() -> None:
    """What answers for nothing that waits, changes nothing."""
    channel = Channel()
    channel.answers = [("nack", 7, False), ("ack", 1, False), ("ack", 1, False), ("ack", 2, False)]
    assert Pipeline(channel).send(parcels(2), 10.0) == []


class Writing(Channel):
    """A channel that writes what it is given as AMQP has it; where it is ``broken``, the connection breaks under that."""

    def __init__(self, broken: Exception | None = None) -> None:
        super().__init__()
        self.broken = broken

    def prepare_message(self, body: bytes, **options: Any) -> Any:
        headers = options["headers"]
        return AmqpMessage(body, application_headers=headers, **options["properties"])

    def basic_publish(self, message: Any, **_: Any) -> None:
        if self.broken is not None:
            raise self.broken
        message._serialize_properties()
        self.answers.append(("ack", 1, False))


@pytest.mark.parametrize(
    "message",
    [
        Message("m", "a", {"count": 2**70}, "[]"),
        Message("m", "a", {"odd": object()}, "[]"),
        Message("m", "a", {"k" * 300: 1}, "[]"),
        Message("\u6587" * 200, "a", {}, "[]"),
        Message("m", "a", {}, '["\ud800"]'),
    ],
    ids=["a number beyond 64 bits", "an odd type", "a long name", "a long id", "no text"],
)
def test_what_amqp_has_no_form_for(message: Message) -> None:
    """A message that cannot be written is at fault itself, and no connection is."""
    pipeline = Pipeline(Writing())
    with pytest.raises(Unwritable):
        pipeline.send([Parcel("agents", "test.agent", message)], 1.0)


@pytest.mark.parametrize(
    "error", [ValueError("read of a closed file"), struct.error("unpack"), OSError("gone")]
)
def test_a_connection_that_breaks(error: Exception) -> None:
    """What else is raised while a message is written is the connection's fault, whatever its type."""
    pipeline = Pipeline(Writing(error))
    with pytest.raises(type(error)):
        pipeline.send([Parcel("agents", "test.agent", Message("m", "a", {"fine": 1}, "[]"))], 1.0)
