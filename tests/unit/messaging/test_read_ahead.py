"""Reading ahead: frames come one by one, however they came over the socket, and none is left lying."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from struct import pack
from types import SimpleNamespace
from typing import Any

import pytest
from amqp.exceptions import RecoverableConnectionError, UnexpectedFrame
from hypothesis import given
from hypothesis import strategies as st
from kombu.asynchronous import Hub

from handoffs.coordinator.messaging.frames import Connection
from handoffs.coordinator.messaging.read_ahead import ReadAhead, has_frame

Frame = tuple[int, int, bytes]
HEARTBEAT: Frame = (8, 0, b"")
frames = st.lists(
    st.tuples(st.integers(0, 255), st.integers(0, 65_535), st.binary(max_size=40) | st.just(b"x" * 140_000)),
    max_size=6,
)


def octets(frame: Frame, end: bytes = b"\xce") -> bytes:
    kind, channel, payload = frame
    return pack(">BHI", kind, channel, len(payload)) + payload + end


class Wire:
    """A socket that gives what is put into it in pieces, and then says that there is nothing yet, or that it is closed."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.closed = False
        self.calls = 0

    def recv(self, most: int) -> bytes:
        self.calls += 1
        if not self.pieces:
            if self.closed:
                return b""
            raise BlockingIOError
        piece = self.pieces.pop(0)
        if len(piece) > most:
            self.pieces.insert(0, piece[most:])
        return piece[:most]

    def gettimeout(self) -> None:
        return None

    def settimeout(self, seconds: float | None) -> None:
        """It never waits."""


def reading(*pieces: bytes) -> tuple[ReadAhead, Wire]:
    transport, wire = ReadAhead("localhost:1"), Wire()
    wire.pieces += pieces
    transport.sock, transport.connected = wire, True
    return transport, wire


def read(transport: ReadAhead) -> Iterator[Frame]:
    while True:
        try:
            yield transport.read_frame()
        except TimeoutError:
            return


@given(frames, st.lists(st.integers(1, 60_000), max_size=30))
def test_cut_anywhere(sent: list[Frame], cuts: list[int]) -> None:
    """Frames are the same wherever what came was cut, also where nothing came for a while amid one."""
    text, pieces = b"".join(map(octets, sent)), list[bytes]()
    for cut in cuts:
        pieces.append(text[:cut])
        text = text[cut:]
    transport, wire = reading()
    found = list[Frame]()
    for piece in [*pieces, text]:
        wire.pieces += [piece] if piece else []
        found += read(transport)
    assert found == sent
    assert not transport.has_frame


def test_all_that_is_there_in_one_call() -> None:
    """Of the socket all is taken at once; it is not asked again before that is used up."""
    transport, wire = reading(octets(HEARTBEAT) * 100)
    for number in range(100):
        assert transport.read_frame() == HEARTBEAT
        assert transport.has_frame == (number < 99)
    assert wire.calls == 1


def test_lost() -> None:
    """A connection that the broker has closed is not connected any more, and what has come of a frame is none."""
    transport, wire = reading(octets(HEARTBEAT) + octets((1, 1, b"half"))[:-2])
    wire.closed = True
    assert transport.read_frame() == HEARTBEAT
    with pytest.raises(OSError, match="closed"):
        transport.read_frame()
    assert not transport.connected


def test_no_frame() -> None:
    """What does not end as a frame ends is none."""
    transport, _ = reading(octets((1, 1, b"abc"), end=b"\x00"))
    with pytest.raises(UnexpectedFrame):
        transport.read_frame()


class Looping:
    """A connection that is read in an event loop; each heartbeat is seen as if it were for somebody."""

    def __init__(self, *pieces: bytes, heard: Callable[[Frame], None] = lambda frame: None) -> None:
        self.connection: Any = Connection()
        transport, self.wire = reading(*pieces)
        self.connection._transport = transport
        self.connection.on_inbound_frame = self.take
        self.heard = heard
        self.seen: list[Frame] = []
        self.soon: list[Callable[[], object]] = []
        self.loop = SimpleNamespace(
            call_soon=self.soon.append,
            add_reader=lambda _, reader: setattr(self, "readable", reader),
        )
        self.readable: Callable[[], None] = lambda: None

    def take(self, frame: Frame) -> bool:
        self.seen.append(frame)
        self.heard(frame)
        return True

    def tick(self) -> None:
        soon = self.soon.copy()
        self.soon.clear()
        for call in soon:
            call()


def test_in_a_loop() -> None:
    """What was read before the loop begins is dealt with in it, though the socket says nothing any more."""
    looping = Looping(octets(HEARTBEAT) * 40)
    looping.connection.drain_events()
    assert len(looping.seen) == 1
    looping.connection.read_in(looping.loop)
    while looping.soon:
        looping.tick()
    assert len(looping.seen) == 40


def test_a_few_in_a_turn() -> None:
    """A loop does something else between a few messages and the next."""
    looping = Looping(octets(HEARTBEAT) * 40)
    looping.connection.read_in(looping.loop)
    looping.tick()
    assert 1 <= len(looping.seen) <= 20
    assert len(looping.soon) == 1


def test_waiting_amid_a_message() -> None:
    """Who waits for an answer of the broker's amid a message, and reads ahead, leaves nothing lying."""

    def answered(frame: Frame) -> None:
        if frame[1] == 7:
            looping.connection.drain_events()  # as a channel does for its answer

    looping = Looping(octets((8, 7, b"")) + octets(HEARTBEAT) * 3, heard=answered)
    looping.connection.read_in(looping.loop)
    looping.soon.clear()
    looping.readable()
    while looping.soon:
        looping.tick()
    assert len(looping.seen) == 4


def test_lost_in_a_loop() -> None:
    """That a connection is lost is told once, where its socket is looked at; what was to be done soon is nothing then."""
    looping = Looping(octets(HEARTBEAT) * 2)
    looping.connection.read_in(looping.loop)
    looping.connection._transport.connected = False
    looping.tick()
    assert looping.seen == []
    with pytest.raises(RecoverableConnectionError):
        looping.readable()


def test_over_a_socket() -> None:
    """In Kombu's own loop, over a socket of the system's: all that comes is read, at once or bit by bit."""
    here, there = socket.socketpair()
    looping = Looping()
    looping.connection._transport.sock = here
    hub: Any = Hub()
    try:
        looping.connection.read_in(hub)
        loop, sent = hub.create_loop(), octets((8, 0, b"abc")) * 50
        for at in range(0, len(sent), 37):
            there.sendall(sent[at : at + 37])
            next(loop)
        hub.call_later(20, lambda: pytest.fail("something was left lying"))
        while len(looping.seen) < 50:
            next(loop)
    finally:
        hub.close()
        here.close()
        there.close()
    assert not has_frame(looping.connection)
