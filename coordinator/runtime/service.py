"""The coordinator process: drains dead letters and history into the journal, spends budgets, begins what is due, and publishes
what a crash left behind."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from kombu import Queue

from handoffs.config import clock
from handoffs.contracts.errors import InvalidInput, InvalidManifest
from handoffs.contracts.text import printable
from handoffs.coordinator.continuation.path import is_onward
from handoffs.coordinator.continuation.signature import TIMER
from handoffs.coordinator.deployment.deployments import Deployments
from handoffs.coordinator.errors import QueueFull, Refused, ServerError, passes
from handoffs.coordinator.handoff.failure import describe
from handoffs.coordinator.history import ENGINE
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.journal.retention import Policy
from handoffs.coordinator.letters.desk import Desk
from handoffs.coordinator.letters.raw import RawLetter
from handoffs.coordinator.letters.unfit import as_it_came
from handoffs.coordinator.messaging.far_off import is_far_off
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.observe.tally import Tally
from handoffs.coordinator.runs.compensation import Compensation
from handoffs.coordinator.runs.far_off import Stages
from handoffs.coordinator.runs.outbox import Outbox
from handoffs.coordinator.runtime.drain import Drain
from handoffs.coordinator.runtime.engine import Engine
from handoffs.coordinator.runtime.jobs import Job, Jobs
from handoffs.coordinator.runtime.losses import Losses
from handoffs.coordinator.runtime.payload_sweep import PayloadSweep
from handoffs.coordinator.runtime.preflight import PROBE_WITHIN
from handoffs.coordinator.runtime.queue_reader import QueueReader
from handoffs.coordinator.runtime.upkeep import Upkeep
from handoffs.coordinator.runtime.watch import PROBE_EVERY
from handoffs.coordinator.store.event_sets import EventSets
from handoffs.coordinator.store.record import StepRef

_log = logging.getLogger(__name__)

_TOUCH_EVERY = 3600.0  # seconds
_PRUNE_EVERY = 60.0  # seconds
_LATER = timedelta(seconds=2)
_AT_ONCE = 100  # events that were not heard, in one transaction
_UNDOING = "undo"  # the step at which a run is parked of which nothing can be undone
# Several, for budgets end together, and each waits for servers a few times.
_TIMERS = ("timers", "timers-2", "timers-3", "timers-4")


class Service:
    """The coordinator process as a few threads. Any number of processes may run it at once."""

    def __init__(self, engine: Engine, journal: Journal) -> None:
        self._services = engine.services
        self._journal = journal
        self._desk = Desk(engine.services, journal)
        self._timers = engine.timers()
        hasty = engine.services.impatient()
        self._stages = Stages(hasty, self._timers)
        self._compensation = Compensation(hasty)
        self._outbox = Outbox(engine.services, self._desk)
        self._upkeep = Upkeep(engine.services, journal)
        self.tally = Tally()
        """What the history has told since this process began."""
        self._drain = Drain(
            engine.services,
            journal,
            self._desk,
            self._upkeep.tell,
            lambda found: self.tally.hear(found, clock.now()),
        )
        self._losses = Losses(engine.services, journal, self._outbox)
        settings = engine.services.settings
        self._payloads = PayloadSweep(engine.services, journal)
        self._policy = Policy(settings.journal_retention, settings.journal_retention_by_flow)
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
                self._reading(
                    "letters", topology.dead_letters, self._take_letters, self._ready.set, anything=True
                ),
                self._reading(
                    "unheard", topology.unheard_events, self._take_unheard, at_once=_AT_ONCE, anything=True
                ),
                *(self._reading(name, topology.timers, self._take_timers) for name in _TIMERS),
                Job("history", self.drain_history, 0.2),
                Job("sweep", self.sweep, 2.0),
                Job("touch", self.touch, 2.0),
                Job("upkeep", self.look_after, self._upkeep.pause(2.0)),
                Job("broker", self.probe, PROBE_EVERY),
                Job("journal", self.ping, PROBE_EVERY),
                Job("begin", self.begin, 0.2),
                *([Job("retention", self.prune, _PRUNE_EVERY)] if self._policy else ()),
                *(
                    [Job("payloads", self.sweep_payloads, self._payloads.pause)]
                    if self._payloads.pause
                    else ()
                ),
            ]
        )
        if not self._ready.wait(timeout):
            _log.warning("dead letters are not drained yet: the broker does not answer")

    def stop(self, timeout: float = 10.0) -> None:
        """Stop, and put what there is of the history into the journal; ``timeout`` in seconds for its threads."""
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
        self._drain.run()

    def sweep(self) -> None:
        """Publish the first messages of runs that were accepted and not published, and begin to undo those that were cancelled and
        are not undone: their client died in between."""
        self._outbox.sweep()
        for run_id in self._services.runs.not_begun_to_undo(self._services.settings.unpublished_after):
            try:
                self._begin_to_undo(run_id)
            except (
                Exception
            ) as error:  # a run that cannot be undone must not hold up the others, and must be seen
                if passes(error):
                    raise
                why = ": ".join(describe(error))
                _log.error("run=%s cannot be undone: %s", printable(run_id, 200), why)
                self._strand(run_id, error)

    def _begin_to_undo(self, run_id: str) -> None:
        state = self._services.runs.state(run_id)
        self._compensation.cancel(run_id, state.flow if state else "", None)
        self._journal.letters.cancel_run(run_id)
        _log.warning("run=%s was cancelled but not undone: undone now", run_id)

    def _strand(self, run_id: str, error: Exception) -> None:
        """Park a run that cannot be undone; where Redis holds something else in its place, the log has said so."""
        state = self._services.runs.state(run_id)
        self._desk.strand(StepRef(run_id, state.flow if state else "", _UNDOING), error)
        with contextlib.suppress(Refused):
            self._services.runs.published(run_id)

    def look_after(self) -> None:
        """Keep the runs that live from expiring, write down which have ended, and mend what Redis has lost of them: a page of them."""
        self._losses.look(self._upkeep.look())

    def probe(self) -> None:
        """Find out whether the broker takes messages: under an alarm it takes none, and nobody else would notice."""
        self._services.publisher.probe(PROBE_WITHIN)

    def ping(self) -> None:
        """Find out whether the journal answers: where there is nothing to write, nobody else would notice."""
        self._journal.ping()

    def begin(self) -> None:
        """Publish the first messages of runs that were accepted for later, and whose time has come."""
        while not self._jobs.stopping.is_set() and self._outbox.begin():
            pass

    def prune(self) -> None:
        """Remove the runs that are older than they are to be kept, some at a time: what else is written has its turn in between."""
        removed = 0
        while not self._jobs.stopping.is_set():
            some = self._journal.retention.prune(self._policy, self._services.server.now(), by=ENGINE)
            if not some:
                break
            removed += len(some)
        if removed:
            _log.info(
                "%d runs were removed from the journal: they ended longer ago than it keeps them", removed
            )

    def sweep_payloads(self) -> None:
        """Remove payloads that are kept elsewhere, and of which nothing has need any more."""
        if removed := self._payloads.run(self._jobs.stopping):
            _log.info("%d payloads were removed: their runs and letters have ended", removed)

    def touch(self) -> None:
        """Once an hour keep in Redis what letters need for a replay, and remind of deployments."""
        if time.monotonic() - self._touched <= _TOUCH_EVERY:
            return
        for runs in self._journal.letters.waiting_runs():
            self._services.runs.touch(runs)
        sets = EventSets(self._services.store.redis, self._services.settings)
        sets.touch(self._desk.sets(self._journal.letters.waiting_sets()))
        try:
            Deployments(self._journal, self._services.announcements, self._services.outstanding).remind()
        except (InvalidManifest, Refused) as error:
            _log.warning("the deployments that are recorded could not be told: %s", error)
        self._touched = time.monotonic()

    def _reading(
        self,
        name: str,
        queue: Queue,
        take: Callable[[list[Any]], None],
        ready: Callable[[], None] | None = None,
        *,
        at_once: int = 1,
        anything: bool = False,
    ) -> Job:
        """The job of taking what comes from a queue; ``ready`` is called once it does. Many parameters because there are as many ways
        to take."""
        reader = QueueReader(self._services, queue, take, at_once, anything)

        def consuming() -> None:
            self._jobs.works(name)
            if ready is not None:
                ready()

        return Job(
            name, partial(reader.read, self._jobs.stopping, consuming, partial(self._jobs.fails, name)), 1.0
        )

    def _take_timers(self, messages: list[Any]) -> None:
        for message in messages:
            try:
                _log.info("%s", self._fired(message))
            except QueueFull as error:
                _log.warning("a timer is put off: %s", error)
                self._put_off(message)
                message.ack()
            except Exception as error:  # a message that always fails must not keep the others from being read
                if passes(error):
                    raise  # the reader keeps it in hand until the server is there again
                if isinstance(error, InvalidInput):
                    _log.warning("the message of a timer was parked: %s", error)
                else:
                    _log.exception("the message of a timer was parked")
                self._mark(message, error)
                message.reject()
            else:
                message.ack()

    def _fired(self, message: Any) -> str:
        """What came of a message among the timers, in a line."""
        headers = message.headers or {}
        if is_far_off(headers):
            return self._stages.take(headers, message.body)
        if headers.get("task") != TIMER:
            raise InvalidInput("it came among the timers, and is for something else")
        return self._timers.fire(message.body, message.content_type or "")

    def _mark(self, message: Any, error: Exception) -> None:
        """Write down why a timer is given up. Where that fails as well, its letter says what the message tells."""
        try:
            self._desk.mark(_raw(message), error)
        except Exception as failed:  # or it would come again, and hold up the others
            if passes(failed):
                raise
            _log.warning("a timer is parked without its mark: %s", ": ".join(describe(failed)))

    def _put_off(self, message: Any) -> None:
        """Have a timer come again a little later, so that it does not hold up the others. Raises :class:`ServerError`."""
        raw = _raw(message)
        later = Message.received(TIMER, raw.headers, raw.body.decode())
        run, flow, step = (str(raw.headers.get(f"handoff_{name}") or "") for name in ("run", "flow", "step"))
        if is_onward(step):  # of its run perhaps nothing else is on its way
            self._services.store.delayed(StepRef(run, flow, step), _LATER)
        self._services.publisher.publish([later], delay=_LATER, exact=True)

    def _take_letters(self, messages: list[Any]) -> None:
        for message in messages:
            self._keep(message, self._desk.receive)

    def _take_unheard(self, messages: list[Any]) -> None:
        try:
            self._desk.unheard(*map(_raw, messages))
        except Exception as error:
            if passes(error):
                raise
            for message in messages:
                self._keep(message, self._desk.unheard)
            return
        for message in messages:
            message.ack()

    def _keep(self, message: Any, keep: Callable[[RawLetter], object]) -> None:
        """Keep one message, and take it from the broker. What the desk cannot make out is kept as it came: it must not stop the desk."""
        try:
            keep(_raw(message))
        except Exception as error:
            if passes(error):
                raise
            why = ": ".join(describe(error))
            _log.error("a dead letter is kept as it came, for it cannot be made out: %s", why)
            self._journal.letters.add(as_it_came(message, why))
        message.ack()


def _raw(message: Any) -> RawLetter:
    body = message.body if isinstance(message.body, bytes) else str(message.body).encode()
    return RawLetter(
        dict(message.headers or {}),
        body,
        message.content_type or "",
        message.content_encoding or "",
        getattr(message, "fault", ""),
        getattr(message, "octets", b""),
    )
