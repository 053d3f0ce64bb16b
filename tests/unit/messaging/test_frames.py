"""Frames: a message that cannot be read is rejected by its tag, and its connection goes on."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Callable
from struct import pack
from types import SimpleNamespace
from typing import Any

import pytest
from amqp import spec
from amqp.exceptions import NotFound, UnexpectedFrame
from hypothesis import given
from hypothesis import strategies as st

from handoffs.contracts.errors import InvalidInput
from handoffs.coordinator.messaging.frames import (
    BrokerConnection,
    Channel,
    Connection,
    SecureTransport,
    Transport,
    frame_handler,
    taken,
)
from handoffs.coordinator.messaging.wire import check_headers
from tests.hostile.octets import item, nested, properties, short

METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
GOOD = properties([(b"task", item("a.b"))], content_type=b"application/json", content_encoding=b"utf-8")
BAD = {
    "text": properties(correlation_id=b"\xff"),
    "header": properties([(b"\xff", item(1))]),
    "deep": properties([(b"a", nested(3_000, item(1)))]),
    "time": properties([(b"a", b"T" + pack(">Q", 2**64 - 1))]),
    "noise": b"\xff\xff\xff",
    "nothing": b"",
}


class Line:
    """A connection without a socket: what is read from it, and what was answered."""

    def __init__(self, **options: Any) -> None:
        self.connection = Connection(**options)
        self.connection._transport = SimpleNamespace(connected=True, close=lambda: None)
        self.answers: list[tuple[int, bool]] = []
        self.seen: list[Any] = []
        self.channel = Channel(self.connection, 1)
        self.channel.basic_reject = lambda tag, requeue=False: self.answers.append((tag, requeue))
        self.channel.callbacks["c1"] = lambda content: self.seen.append(
            self.channel.message_to_python(content)  # type: ignore[no-untyped-call]
        )
        self.read = frame_handler(self.connection, self.connection.on_inbound_method)

    def deliver(
        self, octets: bytes, body: bytes = b"[]", *, tag: int = 1, key: bytes = b"q", parts: int = 1
    ) -> None:
        """A message comes, its body in parts."""
        arguments = short(b"c1") + pack(">QB", tag, 0) + short(b"x") + short(key)
        self.read((METHOD, 1, pack(">HH", *spec.Basic.Deliver) + arguments))
        self.read((HEADER, 1, pack(">HHQ", 60, 0, len(body)) + octets))
        size = -(-len(body) // parts) or 1
        for first in range(0, len(body), size):
            self.read((BODY, 1, body[first : first + size]))


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("parts", [1, 3])
def test_what_cannot_be_read_is_rejected_by_its_tag(
    kind: str, parts: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The consumer does not see it, a line says why, and what comes behind it is read."""
    line = Line()
    line.deliver(BAD[kind], b"abcdef", tag=7, parts=parts)
    line.deliver(GOOD, tag=8)
    assert line.answers == [(7, False)]
    assert [message.delivery_tag for message in line.seen] == [8]
    assert "parked unread" in caplog.text


@pytest.mark.parametrize("kind", BAD)
def test_who_keeps_anything_gets_it_as_it_came(kind: str) -> None:
    """With its octets, its whole body, and what is wrong with it."""
    line = Line(anything=True, most_octets=3)
    line.deliver(BAD[kind], b"abcdef", tag=7, parts=2)
    [message] = line.seen
    assert not line.answers
    assert message.fault
    assert (message.octets, message.body) == (BAD[kind], b"abcdef")


@pytest.mark.parametrize(("size", "passes"), [(0, True), (10, True), (11, False), (5_000_000, False)])
def test_a_body_over_the_limit_is_not_held(size: int, passes: bool) -> None:
    """What is larger than the connection takes is rejected, and nothing of it is kept while it comes."""
    line = Line(most_octets=10)
    line.deliver(GOOD, b"x" * size, tag=3, parts=40)
    assert bool(line.seen) == passes
    assert bool(line.answers) != passes


@pytest.mark.parametrize("key", [b"\xff\xfe", b"\xed\xa0\x80" * 85, b"caf\xe9"])
def test_a_routing_key_is_text(key: bytes) -> None:
    """A key that is none is what makes the message one that cannot be read."""
    line = Line()
    line.deliver(GOOD, key=key)
    assert (line.seen, line.answers) == ([], [(1, False)])


def test_an_error_of_the_broker_may_repeat_anything() -> None:
    """The broker closes a channel with a text that is cut off within a character: it is the error that it is, and no other."""
    line = Line()
    line.channel.send_method = lambda *_, **__: None
    arguments = pack(">H", 404) + short("no queue 'é".encode()[:-1]) + pack(">HH", 50, 10)
    with pytest.raises(NotFound, match="no queue"):
        line.read((METHOD, 1, pack(">HH", *spec.Channel.Close) + arguments))


@given(st.binary(max_size=200), st.binary(max_size=40))
def test_whatever_comes_the_connection_goes_on(octets: bytes, body: bytes) -> None:
    """No octets between method and body raise out of the reader, and the next message comes."""
    line = Line()
    line.deliver(octets, body)
    line.deliver(GOOD, tag=2)
    assert line.seen[-1].delivery_tag == 2


def test_frames_out_of_order_end_the_connection() -> None:
    """What the broker itself gets wrong is no message, and is told apart."""
    line = Line()
    with pytest.raises(UnexpectedFrame):
        line.read((BODY, 1, b"x"))
    assert line.read((HEARTBEAT, 0, b"")) is False


@pytest.mark.parametrize("compression", ["application/x-gzip", "gzip", "application/x-bz2", "nonsense", 7])
def test_a_compressed_body_is_not_decompressed(compression: object) -> None:
    """A body that says it is compressed comes as it is, however large it would become, and is refused as a message."""
    line, bomb = Line(), gzip.compress(b" " * 20_000_000)
    line.deliver(properties([(b"compression", item(compression))]), bomb)
    [message] = line.seen
    assert (message.body, message.headers) == (bomb, {"compressed": compression})
    needed = dict.fromkeys(("id", "task", "handoff_run", "handoff_flow", "handoff_step"), "a")
    with pytest.raises(InvalidInput, match="compressed"):
        check_headers({**needed, **message.headers})


@pytest.mark.parametrize("error", [ValueError("no"), KeyError("a"), RecursionError(), TypeError("\x1b[2J")])
def test_who_is_not_asked_to_acknowledge_ends_nothing(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """What comes of the content of an event, or of a command, is a line, with nothing in it that a terminal obeys."""

    def fails(_: Any) -> None:
        raise error

    caplog.set_level(logging.WARNING)
    assert taken(fails, None) is None
    assert "dropped unread" in caplog.text
    assert "\x1b" not in caplog.text
    with pytest.raises(ConnectionResetError):
        taken(_raising(ConnectionResetError()), None)


@pytest.mark.parametrize(
    "texts",
    [
        {"content_type": b"application/data", "content_encoding": b"punycode"}, {"content_type": b"application/x-python-serialize"},
        {"content_type": b"text/plain"}, {"content_encoding": b"utf-16"}, {"content_encoding": b""}, {},
    ],
)  # fmt: skip
def test_who_is_not_asked_to_acknowledge_gets_json_in_utf_8(texts: dict[str, bytes | int]) -> None:
    """Kombu would decode the rest by the codec that it names, however long that takes: it is dropped. Who acknowledges gets it as it is."""
    usual: dict[str, bytes | int] = {"content_type": b"application/json", "content_encoding": b"utf-8"}
    octets = properties(None, **{**usual, **texts}) if texts else properties(app_id=b"a")
    line, asked = Line(), Line()
    unacknowledged: Any = line.channel.no_ack_consumers
    unacknowledged.add("c1")
    for one in (line, asked):
        one.deliver(octets, tag=1)
        one.deliver(GOOD, tag=2)
    assert [message.delivery_tag for message in line.seen] == [2]
    assert [message.delivery_tag for message in asked.seen] == [1, 2]
    assert line.answers == []


def _raising(error: Exception) -> Callable[[Any], Any]:
    def fails(_: Any) -> None:
        raise error

    return fails


@pytest.mark.parametrize(
    ("url", "transport"),
    [
        ("amqp://a", Transport),
        ("pyamqp://a", Transport),
        ("amqps://a", SecureTransport),
        ("amqp://a;amqp://b", Transport),
    ],
)
def test_every_broker_is_read_so(url: str, transport: type) -> None:
    """By each scheme of AMQP, and also where the connection goes on with the next of several brokers, or is made anew."""
    connection: Any = BrokerConnection(url)  # type: ignore[no-untyped-call]
    assert connection.get_transport_cls() is transport
    connection.maybe_switch_next()
    assert connection.get_transport_cls() is transport
    assert connection.clone().get_transport_cls() is transport
    assert connection.as_uri().startswith(("amqp", "pyamqp"))
