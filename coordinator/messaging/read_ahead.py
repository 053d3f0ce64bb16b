"""Read ahead: a connection to the broker takes from its socket all that is there, and hands it on frame by frame.

py-amqp reads each frame in three calls of the system, with two more that set and reset a timeout, and a message is three frames.
Each of those calls lets another thread take the interpreter's lock. What was read ahead is not in the socket any more: who waits for
the socket alone must ask :attr:`ReadAhead.has_frame` first.
"""

from __future__ import annotations

from struct import Struct
from typing import Any

from amqp.exceptions import UnexpectedFrame
from amqp.transport import TCPTransport

_AT_ONCE = 65_536  # octets
_HEAD = Struct(">BHI").unpack_from
_AROUND = 8
"""The octets of a frame beside its payload: type, channel, size, and the one that ends it."""
_END = 0xCE


class ReadAhead(TCPTransport):
    """py-amqp's transport over TCP. For one thread at a time, as that is."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._octets = b""
        self._at = 0

    @property
    def has_frame(self) -> bool:
        """Whether a whole frame is here already, so that :meth:`read_frame` gives it without a look at the socket."""
        return self._missing() <= 0

    def read_frame(self, unpack: Any = None) -> tuple[int, int, bytes]:  # noqa: ARG002 - as py-amqp declares it
        """The next frame: its type, its channel and its payload.

        Raises :class:`TimeoutError` where it is not here within the socket's timeout; what has come of it is kept. Raises
        :class:`OSError` where the connection is lost, and :class:`~amqp.exceptions.UnexpectedFrame` where there is none.
        """
        while (missing := self._missing()) > 0:
            self._fill(missing)
        kind, channel, size = _HEAD(self._octets, self._at)
        begin = self._at + _AROUND - 1
        end = begin + size
        if self._octets[end] != _END:
            raise UnexpectedFrame(f"a frame ends with {self._octets[end]:#04x}, not {_END:#04x}")
        self._at = end + 1
        return kind, channel, self._octets[begin:end]

    def _missing(self) -> int:
        """How many octets have to come, at least, until the next frame is whole."""
        here = len(self._octets) - self._at
        if here < _AROUND:
            return _AROUND - here
        _, _, size = _HEAD(self._octets, self._at)
        return int(size) + _AROUND - here

    def _fill(self, missing: int) -> None:
        """Take what is there, of a large frame all that is left of it."""
        assert self.sock is not None
        try:
            more = self.sock.recv(max(missing, _AT_ONCE))
        except TimeoutError:
            raise
        except BlockingIOError:
            raise TimeoutError("nothing has come") from None
        except OSError:
            self.connected = False
            raise
        if not more:
            self.connected = False
            raise OSError("Server unexpectedly closed connection")
        self._octets = self._octets[self._at :] + more
        self._at = 0


def has_frame(connection: Any) -> bool:
    """Whether a connection of py-amqp has read a whole frame ahead, or TLS has decrypted more than was asked for."""
    transport = connection.transport
    if isinstance(transport, ReadAhead):
        return transport.has_frame
    pending = getattr(getattr(transport, "sock", None), "pending", None)
    return bool(pending and pending())
