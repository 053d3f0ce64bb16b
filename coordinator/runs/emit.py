"""Emit: a story begins with an event that comes from outside."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from handoffs.contracts import strictjson
from handoffs.contracts.contract import Contract
from handoffs.contracts.envelope import run_id as derived_run_id
from handoffs.contracts.searchable import marks
from handoffs.coordinator.continuation import advance
from handoffs.coordinator.continuation.path import story_of
from handoffs.coordinator.dispatch.outgoing import Outgoing
from handoffs.coordinator.dispatch.requests import Asking, Publish
from handoffs.coordinator.dispatch.route import Route
from handoffs.coordinator.dispatch.routing import Router
from handoffs.coordinator.dispatch.sender import written
from handoffs.coordinator.history import Entry, EntryKind, now
from handoffs.coordinator.messaging.envelopes import Sending
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.messaging.trace_context import current
from handoffs.coordinator.runs.acceptance import accepting, publishing, recording
from handoffs.coordinator.runs.lives import alive
from handoffs.coordinator.runs.spans import Accepted, starting
from handoffs.coordinator.runs.start import Marks, checked_key, content_of, older_content_of
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
        shown = event.redacted()
        return Entry(
            EntryKind.EMITTED,
            run_id,
            story_of(event.ref().name),
            now(),
            wrote=str(event.ref()),
            emitted=self.route.emissions(run_id),
            input=shown,
            marks=marks((type(event), shown)),
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
        outgoing = Outgoing.of(go, route.sent[go.send.step])
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

        Raises :class:`~handoffs.contracts.errors.InvalidInput` where it cannot be written for those who hear it
        (:class:`TooLarge` where its message would be more than they can read),
        :class:`~handoffs.coordinator.errors.Conflict` where the key stands for another event,
        :class:`~handoffs.coordinator.errors.Unpublished` where it was accepted and goes out later,
        :class:`~handoffs.coordinator.errors.Unanswered` where that is not known, and another
        :class:`~handoffs.coordinator.errors.ServerError` where it was not accepted.
        """
        self._services.versions.know(type(event))  # who hears a pattern here reads it by that
        story = story_of(event.ref().name)
        key = checked_key(idempotency_key if idempotency_key is not None else event.key())
        run_id = derived_run_id(story, key) if key else str(uuid.uuid4())
        data = self._services.room.check_payload(event)
        asking = self._asking(event, key, data, deadline, run_id)
        return self._services.perform(starting(asking, story, event=event.ref().name))

    def _asking(
        self, event: Contract, key: str | None, data: dict[str, Any], deadline: timedelta | None, run_id: str
    ) -> Asking[Accepted]:
        acceptance, expiry = self._services.runs.acceptance, None
        if deadline:
            with accepting():
                expiry = (yield from acceptance.now(run_id)) + deadline

        def accept(run_id: str, life: int) -> Asking[Accepted | None]:
            return self._accept(event, key, data, expiry, run_id, life)

        return (yield from alive(acceptance, run_id, accept))

    def _accept(
        self,
        event: Contract,
        key: str | None,
        data: dict[str, Any],
        expiry: datetime | None,
        run_id: str,
        life: int,
    ) -> Asking[Accepted | None]:
        """Accept a life of a story; None where that is over."""
        story = story_of(event.ref().name)
        with accepting():
            emission = self._emitter.emission(event, run_id, expiry)
            self._services.room.check(emission.message)
            self._services.publisher.declare(())
        with recording(run_id):
            found = yield from self._services.runs.acceptance.start(
                StepRef(run_id, story, ""),
                key=key or "",
                content=content_of(event),
                older=older_content_of(event, data),
                first=emission.stored(),
                entry=emission.entry(event, run_id).fields(),
                sends=emission.sends(),
                life=life,
                trace=current().parent,
            )
        if found == "over":
            return None
        if found == "created" or (found == "unpublished" and run_id not in self._marks):
            with publishing(run_id):
                yield Publish((emission.message,), new=False)
                self._marks.add(run_id)
        return Accepted(run_id, created=found == "created")
