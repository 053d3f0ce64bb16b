"""QueueReader: takes the messages of one of our own queues as they come, without a Celery worker."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kombu import Connection, Queue

from handoffs.coordinator.runtime.consumer import RawConsumer
from handoffs.coordinator.services import Services

_HEARTBEAT = 20  # seconds
_PREFETCH = 100  # messages
_LOOK_AGAIN = 0.2  # seconds, for whether it is to stop
_MOMENT = 0.005  # seconds, in which the next of several messages comes


@dataclass(frozen=True, slots=True)
class QueueReader:
    """Gives the messages of ``queue`` to ``take``, which acknowledges or rejects each: up to ``at_once`` of those that are
    there."""

    services: Services
    queue: Queue
    take: Callable[[list[Any]], None]
    at_once: int = 1

    def read(self, stop: threading.Event, consuming: Callable[[], None]) -> None:
        """Read until ``stop`` is set; ``consuming`` is called once the broker gives messages.

        What ``take`` raises ends it, and the messages that were not acknowledged come again. Raises
        :class:`kombu.exceptions.OperationalError` and :class:`OSError` where the broker cannot be reached.
        """
        came: list[Any] = []
        self.services.publisher.declare((), again=True)  # the broker may be another than before
        with self.services.app.connection_for_read(heartbeat=_HEARTBEAT) as connection:
            connection.ensure_connection(max_retries=3, timeout=5)
            with self._consumer(connection, came):
                consuming()
                while not stop.is_set():
                    self._collect(connection, came)
                    if came:
                        self.take(came[:])
                        came.clear()
                    connection.heartbeat_check()

    def _consumer(self, connection: Connection, came: list[Any]) -> RawConsumer:
        return RawConsumer(  # type: ignore[no-untyped-call]
            connection,
            [self.queue],
            on_message=came.append,
            on_decode_error=lambda message, _: came.append(message),  # it is kept as it came
            prefetch_count=_PREFETCH,
            auto_declare=False,
        )

    def _collect(self, connection: Connection, came: list[Any]) -> None:
        with contextlib.suppress(TimeoutError):
            connection.drain_events(timeout=_LOOK_AGAIN)
            while 0 < len(came) < self.at_once:
                connection.drain_events(timeout=_MOMENT)
