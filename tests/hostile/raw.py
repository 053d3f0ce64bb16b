"""Raw: a publisher that writes frames to a socket, and takes any octets."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from struct import pack, unpack_from
from typing import Self
from urllib.parse import unquote, urlsplit

from tests.hostile.octets import long, short, table

_METHOD, _HEADER, _BODY, _HEARTBEAT = 1, 2, 3, 8
_BASIC = 60
_ACK, _NACK = (60, 80), (60, 120)
_CLOSED = {(20, 40), (10, 50)}
_FRAME = 131_072 - 8


class Refused(Exception):
    """The broker ends the channel, or the connection."""


@dataclass(frozen=True, slots=True)
class Raw:
    """A message for an exchange, in octets."""

    exchange: bytes
    key: bytes
    properties: bytes
    body: bytes

    def frames(self) -> bytes:
        """As it goes over the socket, on channel 1."""
        publish = pack(">HHH", _BASIC, 40, 0) + short(self.exchange) + short(self.key) + b"\0"
        header = pack(">HHQ", _BASIC, 0, len(self.body)) + self.properties
        bodies = [self.body[first : first + _FRAME] for first in range(0, len(self.body), _FRAME)]
        return b"".join(
            [_frame(_METHOD, publish), _frame(_HEADER, header), *(_frame(_BODY, part) for part in bodies)]
        )


class RawPublisher:
    """A connection to the broker at ``url``, made anew after a refusal."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self._open: _Line | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def publish(self, messages: Sequence[Raw]) -> list[int]:
        """Publish all; gives the numbers of those that the broker has not taken: it reads messages itself, and refuses some."""
        return self._refused(list(enumerate(messages)))

    def _refused(self, numbered: list[tuple[int, Raw]]) -> list[int]:
        """Those behind one that is refused are sent once more, in halves: some had been taken, and are the same message again."""
        taken = self._sent([message for _, message in numbered])
        left = [one for place, one in enumerate(numbered) if place not in taken]
        if len(left) < 2:
            return [number for number, _ in left] if len(numbered) == 1 or not left else self._refused(left)
        half = len(left) // 2
        return self._refused(left[:half]) + self._refused(left[half:])

    def close(self) -> None:
        """End the connection."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _sent(self, messages: Sequence[Raw]) -> set[int]:
        """The numbers of those that are confirmed."""
        if self._open is None:
            self._open = _Line(self._url.hostname or "", self._url.port, self._url.scheme == "amqps")
            user, password = unquote(self._url.username or ""), unquote(self._url.password or "")
            self._open.begin(user, password, unquote(self._url.path[1:]) or "/")
        confirmed: set[int] = set()
        try:
            self._open.send(messages, confirmed)
        except (Refused, OSError):
            self.close()
        return confirmed


class _Line:
    """A socket on which AMQP is spoken, with one channel in confirm mode."""

    def __init__(self, host: str, port: int | None, secure: bool) -> None:
        self._socket = socket.create_connection((host, port or (5671 if secure else 5672)), timeout=30)
        if secure:
            self._socket = ssl.create_default_context().wrap_socket(self._socket, server_hostname=host)
        self._buffer = b""
        self._sent = 0

    def begin(self, user: str, password: str, vhost: str) -> None:
        """Log in, and open channel 1."""
        self._socket.sendall(b"AMQP\0\0\x09\x01")
        self._until((10, 10))
        login = f"\0{user}\0{password}".encode()
        self._call((10, 11), table([]) + short(b"PLAIN") + long(login) + short(b"en_US"), channel=0)
        self._until((10, 30))
        self._call((10, 31), pack(">HIH", 10, 131_072, 0), channel=0)
        self._call((10, 40), short(vhost.encode()) + b"\0\0", channel=0)
        self._until((10, 41))
        self._call((20, 10), b"\0")
        self._until((20, 11))
        self._call((85, 10), b"\0")
        self._until((85, 11))

    def send(self, messages: Sequence[Raw], confirmed: set[int]) -> None:
        """Send all, and note each that the broker confirms, until it has answered for all. Raises :class:`Refused`."""
        first = self._sent + 1
        self._sent += len(messages)
        self._socket.sendall(b"".join(message.frames() for message in messages))
        waiting = set(range(first, self._sent + 1))
        while waiting:
            method, payload = self._read()
            if method in _CLOSED:
                raise Refused(method)
            if method in {_ACK, _NACK}:
                tag, flags = unpack_from(">QB", payload)
                answered = {number for number in waiting if number <= tag} if flags & 1 else {tag}
                waiting -= answered
                if method == _ACK:
                    confirmed.update(number - first for number in answered)

    def close(self) -> None:
        """End it without a word."""
        self._socket.close()

    def _call(self, method: tuple[int, int], arguments: bytes, *, channel: int = 1) -> None:
        self._socket.sendall(_frame(_METHOD, pack(">HH", *method) + arguments, channel))

    def _until(self, wanted: tuple[int, int]) -> None:
        while (found := self._read()[0]) != wanted:
            if found in _CLOSED:
                raise Refused(found)

    def _read(self) -> tuple[tuple[int, int], bytes]:
        """The next method and its arguments."""
        while True:
            kind, _, size = unpack_from(">BHI", self._take(7))
            payload = self._take(size + 1)[:-1]
            if kind == _METHOD:
                number, method = unpack_from(">HH", payload)
                return (number, method), payload[4:]

    def _take(self, octets: int) -> bytes:
        while len(self._buffer) < octets:
            came = self._socket.recv(65_536)
            if not came:
                raise Refused("it has ended the connection")
            self._buffer += came
        taken, self._buffer = self._buffer[:octets], self._buffer[octets:]
        return taken


def _frame(kind: int, payload: bytes, channel: int = 1) -> bytes:
    return pack(">BHI", kind, channel, len(payload)) + payload + b"\xce"
