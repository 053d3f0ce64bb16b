"""Endings: tells whoever waits for runs when Redis says that one has ended, or is parked.

The scripts that end or park a run publish that on a channel of its own, which has the name of its key. Nobody hears it where nobody
waits. All waits of a process share one connection, which lives while there are any. It is a hint and no more: what is published may
be lost, or not be allowed (Redis' ACL of channels), so who waits looks from time to time as well, and often where nobody would tell.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from redis import Redis

from handoffs.config.forks import after_fork, leave
from handoffs.coordinator.store import scripts
from handoffs.coordinator.store.keys import Keys

_log = logging.getLogger(__name__)

_GLANCE = 1.0  # seconds, after which it is looked whether anybody waits still
_IDLE = 10.0  # seconds, for which the connection is kept when nobody does
_AGAIN = 5.0  # seconds, after which a connection is tried again that failed


class Endings:
    """What is told of the ends of runs. Safe for threads, and after a fork."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis: Any = redis
        self._keys = keys
        self._pubsub: Any = None
        self._renew()
        after_fork(self, Endings._renew)

    def _renew(self) -> None:
        """In a child that was forked: the connection stays with the parent."""
        leave(self._pubsub)
        self._pubsub = None
        self._lock = threading.Lock()
        self._waits: dict[str, list[Wait]] = {}
        self._heard: set[str] = set()
        self._not_before = 0.0
        self._warned = False

    def wait(self, run_id: str, call: Callable[[], None]) -> Wait:
        """A wait for a run: once it is begun ``call`` is called, in another thread, each time that something is told of the run."""
        return Wait(self, self._keys.run(run_id), call)

    def begin(self, wait: Wait) -> None:
        """Ask for what is told of a run, unless nobody waits any more."""
        with self._lock:
            if wait.closed:
                return
            waits = self._waits.setdefault(wait.channel, [])
            waits.append(wait)
            if len(waits) == 1:
                self._subscribe(wait.channel)

    def close(self) -> None:
        """Give the connection back. Who waits still looks."""
        with self._lock:
            pubsub, self._pubsub = self._pubsub, None
            self._heard.clear()
            self._not_before = float("inf")
        _end(pubsub)

    def hears(self, channel: str) -> bool:
        """Whether what is published on a channel comes here. Tries to connect once more where it has been a while."""
        with self._lock:
            if self._pubsub is None:
                self._subscribe(*self._waits)
            return channel in self._heard

    def leave(self, wait: Wait) -> None:
        """Somebody does not wait any more."""
        with self._lock:
            wait.closed = True
            waits = self._waits.get(wait.channel, [])
            if wait in waits:
                waits.remove(wait)
            if not waits and self._waits.pop(wait.channel, None) is not None and self._pubsub is not None:
                with contextlib.suppress(*scripts.FAILURES):  # the reader finds out that it is gone
                    self._pubsub.unsubscribe(wait.channel)

    def _subscribe(self, *channels: str) -> None:
        """Ask for what is published on channels. The lock is held."""
        if not channels or (self._pubsub is None and time.monotonic() < self._not_before):
            return
        pubsub = self._pubsub
        try:
            if pubsub is None:
                pubsub = self._redis.pubsub()
                channels = tuple(self._waits)
            pubsub.subscribe(*channels)
        except scripts.FAILURES as error:
            self._lose(error)
            _end(pubsub)
            return
        if self._pubsub is None:
            self._pubsub = pubsub
            threading.Thread(target=self._read, args=(pubsub,), name="endings", daemon=True).start()

    def _read(self, pubsub: Any) -> None:
        """Take what comes, as long as anybody waits."""
        waited = time.monotonic()
        while True:
            with self._lock:
                if self._pubsub is not pubsub:
                    return
                waited = time.monotonic() if self._waits else waited
                if time.monotonic() - waited > _IDLE:
                    self._pubsub = None
                    break
            try:
                message = pubsub.get_message(timeout=_GLANCE)
            except Exception as error:  # noqa: BLE001 - whatever it is, who waits looks for itself
                with self._lock:
                    if self._pubsub is pubsub:
                        self._lose(error)
                break
            if message is not None:
                self._take(str(message["type"]), str(message["channel"]))
        _end(pubsub)

    def _take(self, kind: str, channel: str) -> None:
        with self._lock:
            waits = tuple(self._waits.get(channel, ()))
            if kind == "subscribe":
                self._heard.add(channel)  # who waits looks once more: it may have ended before
            elif kind == "unsubscribe":
                self._heard.discard(channel)
        for wait in waits:
            wait.call()

    def _lose(self, error: Exception) -> None:
        """Nothing is told any more, for a while. The lock is held."""
        self._pubsub = None
        self._heard.clear()
        self._not_before = time.monotonic() + _AGAIN
        if not self._warned:
            self._warned = True
            _log.info("nothing tells when runs end, so it is looked for: %s: %s", type(error).__name__, error)
        for waits in self._waits.values():
            for wait in waits:
                wait.call()


class Wait:
    """Somebody who waits for a run, until it is closed."""

    def __init__(self, endings: Endings, channel: str, call: Callable[[], None]) -> None:
        self._endings = endings
        self.channel = channel
        self.call = call
        self.closed = False

    def begin(self) -> None:
        """Have what is told of the run come here, from soon on. Does nothing where it was closed before."""
        self._endings.begin(self)

    def is_told(self) -> bool:
        """Whether the end of the run is told at once, as far as it is known."""
        return self._endings.hears(self.channel)

    def close(self) -> None:
        """Nobody waits any more."""
        self._endings.leave(self)


def _end(pubsub: Any) -> None:
    if pubsub is not None:
        with contextlib.suppress(Exception):
            pubsub.close()
