"""The coordinator process: drains dead letters and history into the journal, and publishes what a crash left behind."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from kombu import Queue
from kombu.exceptions import OperationalError

from handoffs.contracts.errors import CoordinationError, InvalidInput
from handoffs.coordinator.deployment.deployments import Deployments
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.letters.desk import Desk, RawLetter
from handoffs.coordinator.runs.outbox import Outbox
from handoffs.coordinator.runtime.consumer import RawConsumer
from handoffs.coordinator.runtime.engine import Engine
from handoffs.coordinator.store.event_sets import EventSets

_log = logging.getLogger(__name__)

_TOUCH_EVERY = 3600.0  # seconds
_HEARTBEAT = 20  # seconds
_AT_ONCE = 100
_MOMENT = 0.005  # seconds
_TIMERS = (
    "timers",
    "timers-2",
    "timers-3",
    "timers-4",
)  # budgets end together, and each waits for servers a few times


class Service:
    """The coordinator process as a few threads. Any number of processes may run it at once."""

    def __init__(self, engine: Engine, journal: Journal) -> None:
        self._engine = engine
        self._journal = journal
        self._desk = Desk(engine.services, journal)
        self._timers = engine.timers()
        self._outbox = Outbox(engine.services)
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._threads: list[threading.Thread] = []
        self._touched = -math.inf
        self._faults: dict[str, str] = {}

    def start(self, timeout: float = 20.0) -> None:
        """Start, and return when dead letters are being drained; ``timeout`` in seconds."""
        self._engine.publisher.declare([])
        jobs: list[tuple[str, Callable[[], None], float]] = [
            ("letters", self._drain_letters, 1.0),
            ("unheard", self._drain_unheard, 1.0),
            *((name, partial(self._take_timers, name), 1.0) for name in _TIMERS),
            ("history", self.drain_history, 0.2),
            ("sweep", self.sweep, 2.0),
            ("begin", self.begin, 0.2),
        ]
        for name, job, pause in jobs:
            thread = threading.Thread(
                target=self._repeat, args=(name, job, pause), name=f"coordinator-{name}", daemon=True
            )
            thread.start()
            self._threads.append(thread)
        if not self._ready.wait(timeout):
            _log.warning("dead letters are not drained yet: the broker does not answer")

    def stop(self, timeout: float = 10.0) -> None:
        """Stop, and put what there is of the history into the journal; ``timeout`` in seconds for each thread."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout)
        try:
            self.drain_history()
        except ServerError as error:
            _log.warning("the rest of the history stays in Redis: %s", error)

    def fault(self) -> str:
        """What keeps one of its jobs from its work now, in a line; empty where all do theirs."""
        dead = [f"{thread.name} has ended" for thread in self._threads if not thread.is_alive()]
        return "; ".join([*dict.fromkeys(self._faults.values()), *dead])

    def drain_history(self) -> None:
        """Move the history from Redis into the journal: written and committed first, then dropped."""
        for shard in range(self._engine.settings.shards):
            while entries := self._engine.entries.oldest(shard):
                prefix = f"{self._engine.settings.prefix}{shard}/"
                read = [(prefix + number, json.loads(text)) for number, text in entries]
                self._journal.history.record(read)
                self._desk.close(entry for _, entry in read)
                self._engine.entries.forget(shard, [number for number, _ in entries])

    def sweep(self) -> None:
        """Publish the first messages of runs that were accepted and not published: their starter died in between."""
        for run, first in self._engine.runs.unpublished(older_than=self._engine.settings.unpublished_after):
            self._outbox.publish(run, first)
            _log.warning("run=%s was accepted but not published: published now", run)
        if time.monotonic() - self._touched > _TOUCH_EVERY:
            for runs in self._journal.letters.waiting_runs():
                self._engine.runs.touch(runs)
            sets = EventSets(self._engine.store.redis, self._engine.settings)
            sets.touch(self._desk.sets(self._journal.letters.waiting_sets()))
            Deployments(self._journal, self._engine.announcements, self._engine.outstanding).remind()
            self._touched = time.monotonic()

    def begin(self) -> None:
        """Publish the first messages of runs that were accepted for later, and whose time has come."""
        while not self._stop.is_set() and self._outbox.begin():
            pass

    def _repeat(self, name: str, job: Callable[[], None], pause: float) -> None:
        while not self._stop.is_set():
            try:
                job()
                self._faults.pop(name, None)
            except (CoordinationError, OperationalError, OSError) as error:
                self._faults[name] = " ".join(str(error).split())
                _log.warning("%s; trying again", error)
            except Exception as error:  # noqa: BLE001 - a fault of ours must not end its other work, and must be seen
                self._faults[name] = f"{name}: {type(error).__name__}"
                _log.exception("the coordinator process had a fault; trying again")
            self._stop.wait(pause)

    def _drain_letters(self) -> None:
        self._consume("letters", self._engine.topology.dead_letters, self._letter, self._ready.set)

    def _drain_unheard(self) -> None:
        self._consume(
            "unheard", self._engine.topology.unheard_events, self._unheard, lambda: None, at_once=_AT_ONCE
        )

    def _take_timers(self, name: str) -> None:
        self._consume(name, self._engine.topology.timers, self._timer, lambda: None)

    def _consume(
        self,
        name: str,
        queue: Queue,
        take: Callable[[list[Any]], None],
        ready: Callable[[], None],
        *,
        at_once: int = 1,
    ) -> None:
        """Take what comes from a queue, up to ``at_once`` messages of those that are there, until this process is told to
        stop."""
        came: list[Any] = []
        self._engine.publisher.declare((), again=True)  # the broker may be another than before
        with self._engine.app.connection_for_read(heartbeat=_HEARTBEAT) as connection:
            connection.ensure_connection(max_retries=3, timeout=5)
            consumer = RawConsumer(  # type: ignore[no-untyped-call]
                connection,
                [queue],
                on_message=came.append,
                on_decode_error=lambda message, _: came.append(message),  # it is kept as it came
                prefetch_count=_AT_ONCE,
                auto_declare=False,
            )
            with consumer:
                ready()
                self._faults.pop(name, None)
                while not self._stop.is_set():
                    with contextlib.suppress(TimeoutError):
                        connection.drain_events(timeout=0.2)
                        while 0 < len(came) < at_once:
                            connection.drain_events(timeout=_MOMENT)
                    if came:
                        take(came[:])
                        came.clear()
                    connection.heartbeat_check()

    def _timer(self, messages: list[Any]) -> None:
        for message in messages:
            try:
                _log.info("%s", self._timers.fire(message.body, message.content_type or ""))
            except InvalidInput as error:
                _log.warning("the message of a timer was parked: %s", error)
                message.reject()
            else:
                message.ack()

    def _letter(self, messages: list[Any]) -> None:
        for message in messages:
            self._desk.receive(_raw(message))
            message.ack()

    def _unheard(self, messages: list[Any]) -> None:
        self._desk.unheard(*map(_raw, messages))
        for message in messages:
            message.ack()


def _raw(message: Any) -> RawLetter:
    body = message.body if isinstance(message.body, bytes) else str(message.body).encode()
    return RawLetter(
        dict(message.headers or {}), body, message.content_type or "", message.content_encoding or ""
    )
