"""Depths: how many messages wait in queues."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from celery import Celery


class Depths:
    """Asks the broker over one connection of its own, which is opened when it is first asked, and anew when it breaks. Not
    safe for threads."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._connection: Any = None

    def waiting(self, queues: Iterable[str]) -> dict[str, int]:
        """The messages that wait in each queue, without those that workers have in hand; 0 where there is no such queue.
        Nothing where the broker does not answer."""
        if self._connection is None:
            self._connection = self._app.connection_for_read(
                heartbeat=0
            )  # minutes may pass between two questions
        try:
            return {queue: self._count(queue) for queue in queues}
        except (OSError, *self._connection.connection_errors):
            self.close()
            return {}

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            with suppress(OSError, *self._connection.connection_errors):
                self._connection.close()
            self._connection = None

    def _count(self, queue: str) -> int:
        try:
            with self._connection.channel() as channel:
                return int(channel.queue_declare(queue, passive=True).message_count)
        except self._connection.channel_errors:
            return 0
