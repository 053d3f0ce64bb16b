"""The outbox: runs that are accepted and not yet published. Their first messages are published as they were kept."""

from __future__ import annotations

import json
from collections.abc import Iterable

from handoffs.coordinator.dispatch.negotiation import Negotiator
from handoffs.coordinator.dispatch.route import emission
from handoffs.coordinator.dispatch.sender import Sent, publish
from handoffs.coordinator.history import Entry, EntryKind, now
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.runs.first_messages import Starter, restored
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.record import StepRef
from handoffs.coordinator.store.scheduled import ScheduledRuns


class Outbox:
    """Publishes what was accepted. Publishing twice changes nothing: the messages' ids are derived.

    Raises :class:`~handoffs.coordinator.errors.ServerError` where a server fails; what was not published then is published by the
    sweep of a coordinator process.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._scheduled = ScheduledRuns(services.store.redis, services.settings)
        self._starter = Starter(services.router)

    def begin(self) -> int:
        """Begin the runs whose time has come; gives how many."""
        begun = self._scheduled.begin()
        sent = [
            one for run in begun for one in self._starter.restored(run.first, StepRef(run.run, run.flow, ""))
        ]
        for run in begun:
            self._note_events(run.run, run.flow, run.first)
        if begun:
            self._publish(sent)
            self._services.runs.published(*(run.run for run in begun))
        return len(begun)

    def publish(self, run_id: str, first: str) -> None:
        """Publish what was kept of one run: ``first``, as :meth:`~handoffs.coordinator.runs.first_messages.First.stored` wrote it."""
        record = self._services.runs.state(run_id)
        flow = record.flow if record else ""
        self._publish(self._starter.restored(first, StepRef(run_id, flow, "")))
        if (
            record is not None and record.due is not None
        ):  # perhaps its process died before the history had it
            self._note_events(run_id, flow, first)
        self._services.runs.published(run_id)

    def _note_events(self, run_id: str, flow: str, first: str) -> None:
        """A run that was accepted for later emits its first events when it begins."""
        messages = [message for message, _ in restored(first)]
        entry = first_events(run_id, flow, messages, self._services.negotiator)
        if entry is not None:
            self._services.store.note(run_id, entry.fields())

    def _publish(self, sent: Iterable[Sent]) -> None:
        ordered = sorted(sent, key=lambda one: one[1])  # what is sooner is sent sooner
        agents = {message.agent for message, _ in ordered if not message.event}
        self._services.perform(publish(ordered, declare=agents))


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
