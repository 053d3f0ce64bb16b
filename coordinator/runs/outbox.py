"""The outbox: runs that are accepted and not yet published. Their first messages are published as they were kept."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from typing import Protocol

from handoffs.coordinator.continuation.signature import TIMER
from handoffs.coordinator.dispatch.negotiation import Negotiator
from handoffs.coordinator.dispatch.route import emission
from handoffs.coordinator.dispatch.sender import Sent, publish
from handoffs.coordinator.errors import QueueFull, passes
from handoffs.coordinator.history import Entry, EntryKind, now
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.runs.first_messages import Starter, delays, restored
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.performing import answered
from handoffs.coordinator.store.record import StepRef
from handoffs.coordinator.store.scheduled import ScheduledRuns

_log = logging.getLogger(__name__)

_REMEMBERED = 100_000  # runs
_TRIES = 3
"""After so many, a run that cannot be published for what it is is told of; it is tried on, for that may be mended."""
_BEGINNING = "begin"
"""The step at which such a run is parked: none of its own has begun."""


class Stranded(Protocol):
    """Where a run is kept in the open of which there is no message yet."""

    def strand(self, place: StepRef, error: Exception) -> None:
        """Park it, for ``error``. Doing it again changes nothing."""

    def freed(self, place: StepRef) -> None:
        """It goes on."""


class Outbox:
    """Publishes what was accepted. Publishing twice changes nothing: the messages' ids are derived.

    Raises :class:`~handoffs.coordinator.errors.ServerError` where a server fails; what was not published then is published by the
    sweep of a coordinator process. A run for which a queue has no room, or that cannot be read, keeps no other from beginning.
    """

    def __init__(self, services: Services, stranded: Stranded | None = None) -> None:
        """``stranded`` keeps what cannot be published for what it is."""
        self._services = services = services.impatient()
        self._stranded = stranded
        self._failed: dict[str, int] = {}
        self._timed: dict[str, None] = {}
        self._scheduled = ScheduledRuns(services.store.redis, services.settings)
        self._starter = Starter(services.router)

    def begin(self) -> int:
        """Begin the runs whose time has come; gives how many."""
        begun = self._scheduled.begin()
        try:
            for run in begun:
                self._note_events(run.run, run.flow, run.first)
            if begun:
                self._publish(one for run in begun for one in self._restored(run.run, run.flow, run.first))
                self._services.runs.published(*(run.run for run in begun))
        except Exception as error:  # one of them has to wait, or is none of ours, and not the others
            if passes(error) and not isinstance(error, QueueFull):
                raise
            self._each((run.run, run.first) for run in begun)
        return len(begun)

    def sweep(self) -> None:
        """Publish what was accepted some time ago and not published: its starter died in between, or there was no room."""
        after = self._services.settings.unpublished_after
        for run in self._each(self._services.runs.unpublished(older_than=after)):
            _log.warning("run=%s was accepted but not published: published now", run)

    def _each(self, runs: Iterable[tuple[str, str]]) -> list[str]:
        """Publish what was kept of several runs, as far as there is room; gives those that were published."""
        full: set[str] = set()
        published = []
        for run_id, first in runs:
            try:
                messages = restored(first)
                agents = {message.event or message.agent for message, _ in messages} - {TIMER}
                if full & agents:
                    self._time(run_id, messages)
                    continue
                try:
                    self.publish(run_id, first)
                    published.append(run_id)
                except QueueFull as error:
                    full |= agents
                    if run_id not in self._timed:
                        _log.warning("run=%s is accepted, and waits for room: %s", run_id, error.cause)
                    self._time(run_id, messages, sent=True)
            except (
                Exception
            ) as error:  # one that we cannot read must not hold up the others, and must be seen
                if passes(error):
                    raise
                self._fail(run_id, error)
        return published

    def _fail(self, run_id: str, error: Exception) -> None:
        """Tell of a run that cannot be published for what it is: at first in the log, and then, parked, to whoever looks."""
        count = self._failed[run_id] = self._failed.get(run_id, 0) + 1
        if count == 1:
            _log.exception("run=%s is accepted and cannot be published", run_id)
        if count == _TRIES and self._stranded is not None:
            self._stranded.strand(self._beginning(run_id), error)
        while len(self._failed) > _REMEMBERED:
            del self._failed[next(iter(self._failed))]

    def _beginning(self, run_id: str) -> StepRef:
        state = self._services.runs.state(run_id)
        return StepRef(run_id, state.flow if state else "", _BEGINNING)

    def _time(self, run_id: str, messages: Iterable[Sent], *, sent: bool = False) -> None:
        """Let a run's budgets begin, once, though its steps have to wait for room."""
        if run_id in self._timed:
            return
        if not sent:
            self._publish(one for one in messages if one[0].agent == TIMER)
        self._timed[run_id] = None
        while len(self._timed) > _REMEMBERED:
            del self._timed[next(iter(self._timed))]

    def publish(self, run_id: str, first: str) -> None:
        """Publish what was kept of one run: ``first``, as :meth:`~handoffs.coordinator.runs.first_messages.First.stored` wrote it."""
        record = self._services.runs.state(run_id)
        flow = record.flow if record else ""
        sent = self._restored(run_id, flow, first)
        if run_id in self._timed:
            sent = [one for one in sent if one[0].agent != TIMER]
        self._publish(sent)
        if (
            record is not None and record.due is not None
        ):  # perhaps its process died before the history had it
            self._note_events(run_id, flow, first)
        self._services.runs.published(run_id)
        if self._failed.pop(run_id, 0) >= _TRIES and self._stranded is not None:
            self._stranded.freed(StepRef(run_id, flow, _BEGINNING))

    def again(self, run_id: str, flow: str, first: str) -> None:
        """Publish the first messages of a run once more: Redis has lost what came of them."""
        self._publish(self._restored(run_id, flow, first))

    def _restored(self, run_id: str, flow: str, first: str) -> list[Sent]:
        return answered(self._services.store.redis, self._starter.restored(first, StepRef(run_id, flow, "")))

    def _note_events(self, run_id: str, flow: str, first: str) -> None:
        """A run that was accepted for later emits its first events when it begins."""
        messages = [message for message, _ in restored(first)]
        entry = first_events(run_id, flow, messages, self._services.negotiator)
        if entry is not None:
            self._services.store.note(run_id, entry.fields())

    def _publish(self, sent: Iterable[Sent]) -> None:
        ordered = sorted(sent, key=lambda one: one[1])  # what is sooner is sent sooner
        agents = {message.agent for message, _ in ordered if not message.event}
        for step, wait in delays(ordered):
            self._services.store.delayed(step, wait)
        self._services.perform(publish(ordered, declare=agents, new=False))


def first_events(run_id: str, flow: str, first: Iterable[Message], negotiator: Negotiator) -> Entry | None:
    """What the history says of the events among the first messages of a run, once it begins; None where there are none."""
    emitted = []
    for sent in first:
        if sent.event:
            [[text], *_] = json.loads(sent.body)
            step, schema = str(sent.headers["handoff_step"]), str(json.loads(text)["dataschema"])
            emitted.append(
                emission(run_id, step, schema, negotiator.subscribers(sent.event)) | {"step": step}
            )
    return Entry(EntryKind.EMITTED, run_id, flow, now(), emitted=emitted) if emitted else None
