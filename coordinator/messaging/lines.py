"""Lines: the connections of a process to the broker. None is waited for longer than a server may take to answer."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import amqp
from amqp.exceptions import MessageNacked
from celery import Celery
from kombu import Connection, Producer

from handoffs.config.forks import after_fork, leave
from handoffs.coordinator.messaging.confirms import Parcel, Pipeline
from handoffs.coordinator.messaging.frames import ANYTHING
from handoffs.coordinator.patience import within

_MOST = 64
"""Connections over which one process publishes at a time."""
_FAREWELL = 0.5  # seconds, for which the broker is waited for when a connection ends


class Line(Protocol):
    """A connection, over which messages are sent."""

    def send(self, parcels: Iterable[Parcel], within: float) -> list[Parcel]:
        """Send all, and return when the broker has answered for each: those that it has no room for. ``within`` in seconds.

        Raises :class:`TimeoutError`, and what the connection raises; after that it is of no use any more.
        """

    @property
    def together(self) -> bool:
        """Whether several messages are on their way at once."""


class Lines:
    """The connections over which a process publishes. Safe for threads, and after a fork: a child has its own."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._idle: list[_Open] = []
        self._places = threading.BoundedSemaphore(_MOST)
        self._lock = threading.Lock()
        after_fork(self, Lines._renew)

    @contextlib.contextmanager
    def take(self, until: float) -> Iterator[Line]:
        """A line for the block; where the block raises, it is cut. ``until`` in the seconds of :func:`time.monotonic`.

        Raises :class:`TimeoutError`, and what the broker's client raises where it cannot be reached.
        """
        places = self._places
        if not places.acquire(timeout=max(until - time.monotonic(), 0)):
            raise TimeoutError("all connections to the broker are in use")
        try:
            with self._lock:
                line = self._idle.pop() if self._idle else None
            line = line or _Open(connected(self._app, max(until - time.monotonic(), 0)))
            try:
                yield line.line
            except BaseException:
                line.cut()
                raise
            with self._lock:
                self._idle.append(line)
        finally:
            places.release()

    def cut(self) -> None:
        """End the connections that are not in use, without a word: perhaps the broker is another than before."""
        with self._lock:
            idle, self._idle = self._idle, []
        for line in idle:
            line.cut()

    def close(self) -> None:
        """End the connections that are not in use; one that does not answer is cut."""
        with self._lock:
            idle, self._idle = self._idle, []
        answers = True
        for line in idle:
            answers = answers and line.close()
            line.cut()

    def _renew(self) -> None:
        """A parent's connections stay with the parent."""
        leave(*self._idle)
        self._idle, self._lock = [], threading.Lock()
        self._places = threading.BoundedSemaphore(_MOST)


class _Open:
    """An open connection, and how it sends."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        bare: Any = connection.connection
        self.line: Line = Pipeline(bare) if isinstance(bare, amqp.Connection) else Direct(connection)

    def close(self) -> bool:
        """End it; gives whether the broker has answered."""
        try:
            wait_at_most(self._connection, _FAREWELL)
            self._connection.release()
        except Exception:  # noqa: BLE001 - whatever it is, the connection ends
            return False
        return True

    def cut(self) -> None:
        cut(self._connection)


class Direct:
    """A line of a transport that has no confirmations to wait for: what is sent is there."""

    together = False

    def __init__(self, connection: Connection) -> None:
        self._producer = Producer(connection, auto_declare=False)

    def send(self, parcels: Iterable[Parcel], within: float) -> list[Parcel]:
        refused = []
        for parcel in parcels:
            message = parcel.message
            try:
                self._producer.publish(
                    message.body,
                    exchange=parcel.exchange,
                    routing_key=parcel.routing_key,
                    content_type="application/json",
                    content_encoding="utf-8",
                    headers=message.headers,
                    correlation_id=message.id,
                    message_id=message.id,
                    delivery_mode=2,
                    confirm_timeout=within,
                )
            except MessageNacked:
                refused.append(parcel)
        return refused


def connected(
    app: Celery,
    seconds: float,
    *,
    heartbeat: float | None = None,
    reading: bool = False,
    anything: bool = False,
) -> Connection:
    """A connection to the broker that was made within ``seconds``, and of which no answer is waited for longer. ``anything``: its
    consumers keep whatever comes, also what cannot be read.

    Raises :class:`TimeoutError`, and what the broker's client raises where it cannot be reached.
    """
    make = app.connection_for_read if reading else app.connection_for_write
    connection = make(heartbeat=heartbeat)
    if anything:
        connection.transport_options = {**connection.transport_options, ANYTHING: True}
    servers = max(len(connection.alt or ()), 1)  # they are tried in turn
    connection.connect_timeout = max(seconds, 0.01) / servers

    def connect() -> Any:
        connection.ensure_connection(max_retries=servers, interval_start=0.05, interval_step=0)
        return connection

    found: Connection = within(seconds, connect, leave=cut)
    wait_at_most(found, max(seconds, 0.01))
    return found


@contextlib.contextmanager
def opened(
    app: Celery,
    seconds: float,
    *,
    heartbeat: float | None = None,
    reading: bool = False,
    anything: bool = False,
) -> Iterator[Connection]:
    """The same for a block; where the block raises, or the broker does not listen any more, the connection is cut."""
    connection = connected(app, seconds, heartbeat=heartbeat, reading=reading, anything=anything)
    try:
        yield connection
        wait_at_most(connection, _FAREWELL)
        with contextlib.suppress(Exception):
            connection.release()
    finally:
        cut(connection)


def wait_at_most(connection: Connection, seconds: float) -> None:
    """Have every answer of the broker waited for so long at most, also that it takes what is sent."""
    sock = _socket(connection)
    if sock is not None:
        sock.settimeout(seconds)


def cut(connection: Connection) -> None:
    """End a connection without a word to the broker, which may not listen any more."""
    with contextlib.suppress(Exception):
        sock = _socket(connection)
        if sock is not None:
            sock.settimeout(_FAREWELL)
            connection.collect()
        else:
            connection.release()


def _socket(connection: Connection) -> Any:
    # not .transport, which connects anew where there is none
    transport = getattr(getattr(connection, "_connection", None), "_transport", None)
    return getattr(transport, "sock", None)
