"""QueueReader: takes the messages of one of our own queues as they come, without a Celery worker."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kombu import Connection, Consumer, Queue

from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.messaging.lines import opened
from handoffs.coordinator.services import Services

_HEARTBEAT = 20  # seconds
_PREFETCH = 100  # messages
_LOOK_AGAIN = 0.2  # seconds, for whether it is to stop
_MOMENT = 0.005  # seconds, in which the next of several messages comes
_SERVER_PAUSE = 1.0  # seconds
_TOGETHER = 8_388_608  # bytes, from which on no further message is held in memory beside those that are


@dataclass(frozen=True, slots=True)
class QueueReader:
    """Gives the messages of ``queue`` to ``take``, which acknowledges or rejects each: up to ``at_once`` of those that are
    there. With ``anything`` it gives also those that cannot be read; without, they are rejected, and it hears nothing of them.

    Where a server that ``take`` needs is away, the messages are kept in hand and given to it again: to let them go would count
    as deliveries, of which the broker allows a few.
    """

    services: Services
    queue: Queue
    take: Callable[[list[Any]], None]
    at_once: int = 1
    anything: bool = False

    def read(
        self,
        stop: threading.Event,
        consuming: Callable[[], None],
        waiting: Callable[[ServerError], None],
    ) -> None:
        """Read until ``stop`` is set; ``consuming`` is called once the broker gives messages, and when what was kept in hand is
        done; ``waiting`` where it is kept because a server is away.

        What else ``take`` raises ends it, and the messages that were not acknowledged come again. Raises
        :class:`kombu.exceptions.OperationalError` and :class:`OSError` where the broker cannot be reached.
        """
        came: list[Any] = []
        self.services.publisher.declare((), again=True)  # the broker may be another than before
        seconds = self.services.settings.server_timeout.total_seconds()
        to_read = opened(
            self.services.app, seconds, heartbeat=_HEARTBEAT, reading=True, anything=self.anything
        )
        with to_read as connection, self._consumer(connection, came):
            consuming()
            held = False
            while not stop.is_set():
                self._collect(connection, came)
                if came and self._taken(came, waiting):
                    if held:
                        consuming()
                    held = False
                elif came:
                    held = True
                    stop.wait(_SERVER_PAUSE)
                connection.heartbeat_check()

    def _taken(self, came: list[Any], waiting: Callable[[ServerError], None]) -> bool:
        """Whether what came is dealt with; what is not stays in the list."""
        try:
            self.take(came[:])
        except ServerError as error:
            came[:] = [message for message in came if not message.acknowledged]
            waiting(error)
            return False
        came.clear()
        return True

    def _consumer(self, connection: Connection, came: list[Any]) -> Consumer:
        return Consumer(
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
            while 0 < len(came) < self.at_once and sum(len(message.body) for message in came) < _TOGETHER:
                connection.drain_events(timeout=_MOMENT)
