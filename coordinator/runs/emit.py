"""Emit: a story begins with an event that comes from outside."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from handoffs.contracts import strictjson
from handoffs.contracts.contract import Contract
from handoffs.contracts.envelope import run_id as derived_run_id
from handoffs.coordinator.continuation import advance
from handoffs.coordinator.continuation.path import story_of
from handoffs.coordinator.dispatch.outgoing import Outgoing
from handoffs.coordinator.dispatch.route import Route
from handoffs.coordinator.dispatch.routing import Router
from handoffs.coordinator.dispatch.sender import written
from handoffs.coordinator.history import Entry, EntryKind, now
from handoffs.coordinator.messaging.envelopes import Sending
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.runs.start import Accepted, Marks, checked_key, content_of
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.record import Record, StepRef


@dataclass(frozen=True, slots=True)
class Emission:
    """An event on its way: its message, and to whom it goes."""

    message: Message
    route: Route

    def sends(self) -> tuple[tuple[str, str, str], ...]:
        """Those who are known to hear it, as (step, agent, ``contract/version``)."""
        return self.route.advance().sends

    def stored(self) -> str:
        """The message as JSON text for :func:`~handoffs.coordinator.runs.first_messages.restored`."""
        return json.dumps([self.message.stored()])

    def entry(self, event: Contract, run_id: str) -> Entry:
        """What the history says of it."""
        return Entry(
            EntryKind.EMITTED,
            run_id,
            story_of(event.ref().name),
            now(),
            wrote=str(event.ref()),
            emitted=self.route.emissions(run_id),
            input=event.redacted(),
        )


class Emitter:
    """Makes the message of an event."""

    def __init__(self, router: Router) -> None:
        self._router = router

    def emission(self, event: Contract, run_id: str, expiry: datetime | None = None) -> Emission:
        """``event`` as the first of the story ``run_id``, in the version that all who hear it accept.

        Raises :class:`~handoffs.contracts.errors.InvalidInput` where it cannot be written for them.
        """
        record = Record(event.ref().uri, strictjson.dumps(event.to_data()))
        [go] = advance.emitted("", story_of(event.ref().name), [(record.schema, json.loads(record.data))])
        route = self._router.writer.route([go], record, event, {go.send.step: event})
        outgoing = Outgoing(go.send, route.sent[go.send.step], None, go.wait, own=True)
        [(message, _)] = written([outgoing], Sending(run_id, deadline=expiry, key=event.key()))
        return Emission(message, route)


class Emits:
    """Accepts events from outside, and publishes them. Safe for threads."""

    def __init__(self, services: Services, marks: Marks) -> None:
        self._services = services
        self._marks = marks
        self._emitter = Emitter(services.router)

    def emit(
        self, event: Contract, *, idempotency_key: str | None = None, deadline: timedelta | None = None
    ) -> Accepted:
        """Accept the story that ``event`` begins, and hand the event to the broker.

        Raises :class:`~handoffs.contracts.errors.InvalidInput` where it cannot be written for those who hear it,
        :class:`~handoffs.coordinator.errors.Conflict` where the key stands for another event, and
        :class:`~handoffs.coordinator.errors.ServerError` where it was not accepted.
        """
        story = story_of(event.ref().name)
        key = checked_key(idempotency_key if idempotency_key is not None else event.key())
        run_id = derived_run_id(story, key) if key else str(uuid.uuid4())
        expiry = datetime.now(UTC) + deadline if deadline else None
        emission = self._emitter.emission(event, run_id, expiry)
        found = self._services.runs.start(
            StepRef(run_id, story, ""),
            key=key or "",
            content=content_of(event),
            first=emission.stored(),
            entry=emission.entry(event, run_id).fields(),
            sends=emission.sends(),
        )
        if found == "created" or (found == "unpublished" and run_id not in self._marks):
            self._services.publisher.publish([emission.message])
            self._marks.add(run_id)
        return Accepted(run_id, created=found == "created")
