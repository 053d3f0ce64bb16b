"""Frames: how a process takes apart what the broker sends, before anything else looks at it.

py-amqp reads the properties of a message as its frame comes in, and raises where they are not what it expects: out of whatever
reads from the connection at that moment. Then the worker ends, the broker gives the message to the next, and so on. Here nothing
raises. A message that cannot be read is rejected by its delivery tag, with a line that says why; so is one whose body is larger
than the connection takes, of which nothing is kept in memory. A consumer that keeps whatever comes says so
(:data:`ANYTHING`), and gets each message as it came, with what is wrong with it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from struct import Struct
from typing import Any
from weakref import WeakMethod

import kombu
from amqp import spec
from amqp.basic_message import Message
from amqp.exceptions import AMQPError, RecoverableConnectionError, UnexpectedFrame
from amqp.transport import SSLTransport
from kombu.exceptions import OperationalError
from kombu.transport import pyamqp

from handoffs.contracts.text import printable
from handoffs.coordinator.messaging.properties import read_properties, read_text
from handoffs.coordinator.messaging.read_ahead import ReadAhead, has_frame

MOST_OCTETS = "most_octets"
"""The option of a connection that says how large a body may be, in bytes. Without it, as large as the broker takes."""
ANYTHING = "anything"
"""The option of a connection that says that its consumers keep whatever comes."""

_log = logging.getLogger(__name__)

_METHOD, _HEADER, _BODY, _HEARTBEAT = 1, 2, 3, 8
_CONTENT = frozenset({spec.Basic.Deliver, spec.Basic.GetOk, spec.Basic.Return})
_WITH_TEXTS = {
    spec.Basic.Deliver: "sLbss",
    spec.Basic.GetOk: "Lbssl",
    spec.Basic.Return: "Bsss",
    spec.Channel.Close: "BsBB",
    spec.Connection.Close: "BsBB",
}
"""The methods that repeat what anybody may have chosen, with the types of their arguments."""
_WIDTH = {"b": 1, "B": 2, "l": 4, "L": 8}
_PAIR, _SIZE = Struct(">HH").unpack_from, Struct(">Q").unpack_from
_IN_A_TURN = 16
"""How many messages are taken before an event loop does something else."""
_OF_THE_CONNECTION = (AMQPError, OperationalError, OSError)


class Content(Message):
    """A message as it comes in. ``fault`` says what is wrong with it; ``octets`` are its properties as they came, where something is,
    or where it is kept ``whole``, whatever it is."""

    fault = ""
    octets = b""
    most: int | None = None
    whole = True

    def inbound_header(self, buf: bytes, offset: int = 0) -> int:
        """The header frame: what py-amqp reads here, read without raising."""
        (self.body_size,) = _SIZE(buf, offset + 4)
        offset += 12
        self.properties, fault = read_properties(buf, offset)
        self.fault = self.fault or fault
        if self.fault or self.whole:
            self.octets = bytes(buf[offset:])
        if not self.fault and self.most is not None and self.body_size > self.most:
            self.fault = f"its body has {self.body_size} bytes, over the limit of {self.most}"
        if not self.body_size:
            self.body, self.ready = b"", True
        return len(buf)

    def inbound_body(self, buf: bytes) -> None:
        """A body frame: of a message that is rejected nothing is kept."""
        if not self.fault or self.whole:
            super().inbound_body(buf)
            return
        self.body_received += len(buf)
        if self.body_received >= self.body_size:
            self.body, self.ready = b"", True


def frame_handler(connection: Any, callback: Callable[..., Any]) -> Callable[[tuple[int, int, bytes]], bool]:
    """What reads the frames of a connection, in the place of py-amqp's own."""
    partial_contents: dict[int, Content] = {}

    def on_frame(frame: tuple[int, int, bytes]) -> bool:
        kind, channel, octets = frame
        connection.bytes_recv += 1
        if kind == _HEARTBEAT:
            return False
        content = partial_contents.get(channel)
        if kind == _METHOD and content is None:
            method = _PAIR(octets)
            octets, fault = legible(method, octets)
            if method not in _CONTENT:
                callback(channel, method, octets, None)
                return True
            content = partial_contents[channel] = Content(frame_method=method, frame_args=octets)
            content.fault, content.most, content.whole = fault, connection.most_octets, connection.anything
            return False
        if content is None or kind != (_BODY if content.body_size else _HEADER):
            raise UnexpectedFrame(f"a frame of type {kind} on channel {channel}")
        if kind == _HEADER:
            content.inbound_header(octets)
        else:
            content.inbound_body(octets)
        if not content.ready:
            return False
        del partial_contents[channel]
        callback(channel, content.frame_method, content.frame_args, content)
        return True

    return on_frame


def legible(method: tuple[int, int], octets: bytes) -> tuple[bytes, str]:
    """The frame of a method with texts that are text, and what was wrong with one: a routing key, or the name of an exchange, may be
    any octets, and an error of the broker's repeats them."""
    types = _WITH_TEXTS.get(method)
    if types is None:
        return octets, ""
    at, parts, fault = 4, [octets[:4]], ""
    for kind in types:
        begin, at = at, at + (1 + octets[at] if kind == "s" else _WIDTH[kind])
        part = octets[begin:at]
        if kind == "s":
            text, is_text = read_text(part[1:])
            if not is_text:
                fault = "its routing key, or the name of its exchange, is no text"
                escaped = text.encode("ascii", "backslashreplace")[:255]
                part = bytes([len(escaped)]) + escaped
        parts.append(part)
    return (b"".join(parts), fault) if fault else (octets, "")


class Received(pyamqp.Message):
    """A message for Kombu's consumers: with what is wrong with it, and never unpacked: to whatever size that would be."""

    def __init__(self, content: Any, channel: Any = None, **options: Any) -> None:
        headers = content.properties.get("application_headers")
        if headers and "compression" in headers:
            headers["compressed"] = headers.pop("compression")
        super().__init__(content, channel, **options)  # type: ignore[no-untyped-call]
        self.fault: str = content.fault
        self.octets: bytes = content.octets


class Channel(pyamqp.Channel):
    """A channel that rejects what cannot be read, before a consumer sees it."""

    Message = Received  # type: ignore[assignment]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """A body stays octets: the library would decode it as the message says, by any codec that Python has."""
        super().__init__(*arguments, **{**options, "auto_decode": False})

    def basic_consume(self, *arguments: Any, **options: Any) -> Any:
        """What comes without acknowledgement is nobody's to lose: where its consumer cannot take it, it is dropped."""
        if options.get("no_ack") and options.get("callback"):
            options["callback"] = partial(taken, options["callback"])
        return super().basic_consume(*arguments, **options)

    def basic_get(self, queue: str = "", no_ack: bool = False, **options: Any) -> Any:
        """The next message that can be read; None where there is none."""
        while (content := super().basic_get(queue, no_ack, **options)) is not None:
            if not self._refused(content, no_ack):
                return content
        return None

    def _on_basic_deliver(
        self,
        consumer_tag: str,
        delivery_tag: int,
        redelivered: bool,
        exchange: str,
        routing_key: str,
        msg: Any,
    ) -> None:
        """Many parameters because they are those of the method."""
        unacknowledged: Any = self.no_ack_consumers
        no_ack = consumer_tag in unacknowledged
        if no_ack:
            msg.fault = msg.fault or undecodable(msg.properties)
        if msg.fault and consumer_tag in self.callbacks:
            msg.delivery_info = {"delivery_tag": delivery_tag}
            if self._refused(msg, no_ack):
                return
        super()._on_basic_deliver(consumer_tag, delivery_tag, redelivered, exchange, routing_key, msg)

    def _refused(self, content: Any, no_ack: bool) -> bool:
        """Whether a message is one that cannot be read; it is rejected, then."""
        if not content.fault or self.connection.anything:
            return False
        _log.warning("a message was %s unread: %s", "dropped" if no_ack else "parked", content.fault)
        if not no_ack:
            self.basic_reject(content.delivery_info["delivery_tag"], requeue=False)
        return True


class Connection(pyamqp.Connection):
    """A connection of which nothing that is sent over it can end its reader."""

    Channel = Channel

    def __init__(
        self, *arguments: Any, most_octets: int | None = None, anything: bool = False, **options: Any
    ) -> None:
        self.most_octets = None if anything else most_octets
        self.anything = anything
        self._call_soon: Callable[[], object] | None = None
        self._called = False
        super().__init__(*arguments, **{"frame_handler": frame_handler, **options})

    def Transport(  # noqa: N802 - as py-amqp calls it
        self,
        host: str,
        connect_timeout: float,
        ssl: Any = False,
        read_timeout: float | None = None,
        write_timeout: float | None = None,
        **options: Any,
    ) -> Any:
        """What reads and writes frames. Many parameters because they are those of the method."""
        options.update(
            connect_timeout=connect_timeout, read_timeout=read_timeout, write_timeout=write_timeout
        )
        return SSLTransport(host, ssl=ssl, **options) if ssl else ReadAhead(host, **options)

    def blocking_read(self, timeout: float | None = None) -> Any:
        """Read a frame, and deal with it. Raises :class:`TimeoutError` where none comes within ``timeout`` seconds."""
        if not isinstance(self.transport, ReadAhead) or not self.transport.has_frame:
            return super().blocking_read(timeout)
        return self.on_inbound_frame(self.transport.read_frame())

    def drain_events(self, timeout: float | None = None) -> None:
        """Read until there was something for somebody. In an event loop, what was read ahead meanwhile is dealt with soon."""
        try:
            super().drain_events(timeout)
        finally:
            if self._call_soon is not None and not self._called and self.connected and has_frame(self):
                self._called = True
                self._call_soon()

    def read_in(self, loop: Any) -> None:
        """Read whenever there is something to be read, in an event loop of Kombu's."""
        go_on = WeakMethod(
            self._go_on
        )  # the connection is to go when nobody has it any more, and its socket with it
        self._call_soon = partial(loop.call_soon, lambda: (call := go_on()) and call())
        loop.add_reader(self.sock, self._readable)
        self._called = True
        self._call_soon()

    def _readable(self) -> None:
        if not self.connected:
            raise RecoverableConnectionError("Socket was disconnected")
        try:
            for _ in range(_IN_A_TURN):
                self.drain_events(timeout=0)
                if not self.connected or not has_frame(self):
                    break
        except (TimeoutError, BlockingIOError, InterruptedError):
            return

    def _go_on(self) -> None:
        """With what was read ahead; of a connection that is gone by then, nothing."""
        self._called = False
        if self.connected:
            self._readable()


class _InLoop:
    """Of a transport of Kombu's: how its connection is read in an event loop."""

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Read a connection in an event loop."""
        connection.read_in(loop)


class Transport(_InLoop, pyamqp.Transport):
    """Kombu's transport, on such connections."""

    Connection = Connection


class SecureTransport(_InLoop, pyamqp.SSLTransport):
    """The same over TLS."""

    Connection = Connection


_TRANSPORTS = dict.fromkeys(("amqp", "pyamqp", "librabbitmq"), Transport) | {"amqps": SecureTransport}


class BrokerConnection(kombu.Connection):
    """Kombu's connection, on these transports for all schemes of AMQP: also where it goes on with the next of several brokers."""

    def get_transport_cls(self) -> Any:
        """The transport of the broker that it is at."""
        own = _TRANSPORTS.get(self.transport_cls) if isinstance(self.transport_cls, str) else None
        return own or super().get_transport_cls()  # type: ignore[no-untyped-call]


def undecodable(properties: Mapping[str, Any]) -> str:
    """Why a message to who acknowledges nothing (task events, commands and answers of remote control) is not decoded: what is not JSON
    Kombu would decode by whatever codec it names, and there are some that take minutes for half a megabyte."""
    named = properties.get("content_type"), properties.get("content_encoding")
    return "" if named == ("application/json", "utf-8") else "it is not said to be JSON in UTF-8"


def taken(callback: Callable[[Any], Any], message: Any) -> Any:
    """Give a message that nobody acknowledges to who consumes it: what comes of its content is logged, and ends nothing."""
    try:
        return callback(message)
    except _OF_THE_CONNECTION:
        raise
    except Exception as error:  # noqa: BLE001 - anybody may have sent it
        _log.warning("a message was dropped unread: %s: %s", type(error).__name__, printable(error, 200))
        return None
