"""Moved time: what Redis takes the time to be where a test has moved it, and how long its keys have left then."""

from __future__ import annotations

from datetime import datetime, timedelta

from redis import Redis

from handoffs.config import clock as host
from handoffs.coordinator.store import clock, scripts
from handoffs.coordinator.store.asking import Call

_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class MovedTime:
    """The time of a Redis that one process has to itself.

    Raises :class:`~handoffs.coordinator.errors.ServerError` where Redis cannot be used.
    """

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix

    def move(self, by: timedelta) -> None:
        """Have scripts take it to be what it is for this process, and let each key have ``by`` less to live: all but what is
        known of runs, and of who is at work."""
        ahead, held = host.moved()
        arguments: dict[str, str | int] = {
            "by": clock.ms(by),
            "ahead": clock.ms(ahead),
            "held": "" if held is None else clock.ms(held - _EPOCH),
            "prefix": self._prefix,
        }
        scripts.run(self._redis, Call("move", {"moved": clock.MOVED}, arguments))
