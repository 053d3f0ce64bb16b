"""The coordinator process: drains dead letters and history into the journal, spends budgets, begins what is due, and publishes
what a crash left behind."""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from kombu import Queue

from handoffs.contracts.errors import InvalidInput
from handoffs.coordinator.deployment.deployments import Deployments
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.letters.desk import Desk
from handoffs.coordinator.letters.raw import RawLetter
from handoffs.coordinator.runs.outbox import Outbox
from handoffs.coordinator.runtime.engine import Engine
from handoffs.coordinator.runtime.jobs import Job, Jobs
from handoffs.coordinator.runtime.queue_reader import QueueReader
from handoffs.coordinator.store.event_sets import EventSets

_log = logging.getLogger(__name__)

_TOUCH_EVERY = 3600.0  # seconds
_AT_ONCE = 100  # events that were not heard, in one transaction
# Several, for budgets end together, and each waits for servers a few times.
_TIMERS = ("timers", "timers-2", "timers-3", "timers-4")


class Service:
    """The coordinator process as a few threads. Any number of processes may run it at once."""

    def __init__(self, engine: Engine, journal: Journal) -> None:
        self._services = engine.services
        self._journal = journal
        self._desk = Desk(engine.services, journal)
        self._timers = engine.timers()
        self._outbox = Outbox(engine.services)
        self._jobs = Jobs("coordinator")
        self._ready = threading.Event()
        self._touched = -math.inf

    def start(self, timeout: float = 20.0) -> None:
        """Start, and return when dead letters are being drained; ``timeout`` in seconds.

        Raises :class:`~handoffs.coordinator.errors.ServerError` where the queues cannot be declared.
        """
        self._services.publisher.declare([])
        topology = self._services.topology
        self._jobs.start(
            [
                self._reading("letters", topology.dead_letters, self._take_letters, self._ready.set),
                self._reading("unheard", topology.unheard_events, self._take_unheard, at_once=_AT_ONCE),
                *(self._reading(name, topology.timers, self._take_timers) for name in _TIMERS),
                Job("history", self.drain_history, 0.2),
                Job("sweep", self.sweep, 2.0),
                Job("begin", self.begin, 0.2),
            ]
        )
        if not self._ready.wait(timeout):
            _log.warning("dead letters are not drained yet: the broker does not answer")

    def stop(self, timeout: float = 10.0) -> None:
        """Stop, and put what there is of the history into the journal; ``timeout`` in seconds for each thread."""
        self._jobs.stop(timeout)
        try:
            self.drain_history()
        except ServerError as error:
            _log.warning("the rest of the history stays in Redis: %s", error)

    def fault(self) -> str:
        """What keeps one of its jobs from its work now, in a line; empty where all do theirs."""
        return self._jobs.fault()

    def drain_history(self) -> None:
        """Move the history from Redis into the journal: written and committed first, then dropped.

        Raises :class:`~handoffs.coordinator.errors.ServerError`, as the others that are public do.
        """
        for shard in range(self._services.settings.shards):
            while entries := self._services.entries.oldest(shard):
                prefix = f"{self._services.settings.prefix}{shard}/"
                read = [(prefix + number, json.loads(text)) for number, text in entries]
                self._journal.history.record(read)
                self._desk.close(entry for _, entry in read)
                self._services.entries.forget(shard, [number for number, _ in entries])

    def sweep(self) -> None:
        """Publish the first messages of runs that were accepted and not published: their starter died in between."""
        for run, first in self._services.runs.unpublished(
            older_than=self._services.settings.unpublished_after
        ):
            self._outbox.publish(run, first)
            _log.warning("run=%s was accepted but not published: published now", run)
        if time.monotonic() - self._touched > _TOUCH_EVERY:
            self._touch()
            self._touched = time.monotonic()

    def begin(self) -> None:
        """Publish the first messages of runs that were accepted for later, and whose time has come."""
        while not self._jobs.stopping.is_set() and self._outbox.begin():
            pass

    def _touch(self) -> None:
        """Keep in Redis what letters need for a replay, and remind of deployments."""
        for runs in self._journal.letters.waiting_runs():
            self._services.runs.touch(runs)
        sets = EventSets(self._services.store.redis, self._services.settings)
        sets.touch(self._desk.sets(self._journal.letters.waiting_sets()))
        Deployments(self._journal, self._services.announcements, self._services.outstanding).remind()

    def _reading(
        self,
        name: str,
        queue: Queue,
        take: Callable[[list[Any]], None],
        ready: Callable[[], None] | None = None,
        *,
        at_once: int = 1,
    ) -> Job:
        """The job of taking what comes from a queue; ``ready`` is called once it does."""
        reader = QueueReader(self._services, queue, take, at_once)

        def consuming() -> None:
            self._jobs.works(name)
            if ready is not None:
                ready()

        return Job(name, partial(reader.read, self._jobs.stopping, consuming), 1.0)

    def _take_timers(self, messages: list[Any]) -> None:
        for message in messages:
            try:
                _log.info("%s", self._timers.fire(message.body, message.content_type or ""))
            except InvalidInput as error:
                _log.warning("the message of a timer was parked: %s", error)
                message.reject()
            else:
                message.ack()

    def _take_letters(self, messages: list[Any]) -> None:
        for message in messages:
            self._desk.receive(_raw(message))
            message.ack()

    def _take_unheard(self, messages: list[Any]) -> None:
        self._desk.unheard(*map(_raw, messages))
        for message in messages:
            message.ack()


def _raw(message: Any) -> RawLetter:
    body = message.body if isinstance(message.body, bytes) else str(message.body).encode()
    return RawLetter(
        dict(message.headers or {}), body, message.content_type or "", message.content_encoding or ""
    )
