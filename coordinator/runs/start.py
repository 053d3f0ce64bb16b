"""Start: a run is accepted, and its first messages are published."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from handoffs.contracts.contract import Contract
from handoffs.contracts.envelope import run_id as derived_run_id
from handoffs.contracts.errors import InvalidData
from handoffs.contracts.strictjson import digest
from handoffs.contracts.text import is_plain
from handoffs.coordinator.continuation.signature import TIMER
from handoffs.coordinator.dispatch.sender import publish
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.trigger import agents_of
from handoffs.coordinator.history import Entry, EntryKind, now
from handoffs.coordinator.runs import due
from handoffs.coordinator.runs.first_messages import First, Starter
from handoffs.coordinator.runs.outbox import first_events
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.record import StepRef


class Marks(Protocol):
    """Where it is written down which runs are published: at once, or many together some time later."""

    def add(self, run: str) -> None: ...

    def __contains__(self, run: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Accepted:
    """A run that was accepted. ``created`` is False where its key already had it."""

    run_id: str
    created: bool


@dataclass(frozen=True, slots=True)
class _Start:
    """A run that is to be accepted."""

    flow: Flow
    payload: Contract
    run_id: str
    key: str | None
    deadline: datetime | None = None
    at: datetime | timedelta | None = None
    story: str = ""
    event: str = ""

    @property
    def place(self) -> StepRef:
        return StepRef(self.run_id, self.flow.name, "")

    @property
    def content(self) -> str:
        """Names the input: the same key with another is a conflict."""
        return content_of(self.payload)


class Starts:
    """Accepts runs of flows. Safe for threads.

    Every method raises :class:`~handoffs.coordinator.errors.Conflict` where the key stands for another input,
    :class:`~handoffs.contracts.errors.InvalidInput` where the payload cannot be written for its consumers, and
    :class:`~handoffs.coordinator.errors.ServerError` where nothing was accepted.
    """

    def __init__(self, services: Services, marks: Marks | None = None) -> None:
        self._services = services
        self._marks = marks if marks is not None else _AtOnce(services)
        self._starter = Starter(services.router)

    def start(
        self,
        flow: Flow,
        payload: Contract | Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
        deadline: timedelta | None = None,
        at: datetime | timedelta | None = None,
    ) -> Accepted:
        """Accept a run of ``flow`` with ``payload``, now or to begin ``at`` a moment, and publish its first messages.

        The same ``idempotency_key`` gives the same run; by default it is the payload's. ``deadline`` counts from when the
        run is to begin. Raises :class:`~handoffs.contracts.errors.InvalidData` where the payload does not fit the flow, or
        ``at`` is no such time.
        """
        begins = due.checked(at) if at is not None else None
        typed = payload_of(flow, payload)
        key = checked_key(idempotency_key if idempotency_key is not None else typed.key())
        expiry = max(datetime.now(UTC), due.moment(at or timedelta())) + deadline if deadline else None
        run_id = derived_run_id(flow.name, key) if key else str(uuid.uuid4())
        return self._accept(_Start(flow, typed, run_id, key, expiry, begins))

    def start_on_event(
        self, flow: Flow, payload: Contract, key: str, *, story: str, event: str, deadline: datetime | None
    ) -> Accepted:
        """Accept the run that an event starts: of the ``story``, with the message id ``event``."""
        run_id = derived_run_id(flow.name, key)
        return self._accept(_Start(flow, payload, run_id, key, deadline, story=story, event=event))

    def _accept(self, start: _Start) -> Accepted:
        services = self._services
        first = self._starter.first(start.flow, start.payload, start.run_id, start.deadline)
        services.publisher.declare(agents_of(start.flow))  # all queues, so that no later step is without one
        later = None if services.settings.eager else start.at
        found = services.runs.start(
            start.place,
            key=start.key or "",
            content=start.content,
            first=first.stored(),
            entry=_entry(start, first, told_later=later is not None).fields(),
            sends=first.named(),
            due=later,
        )
        if found in {"scheduled", "waiting"}:
            return Accepted(start.run_id, created=found == "scheduled")
        if later is not None and found == "created":  # its time is past
            events = first_events(start.run_id, start.flow.name, first.messages, services.negotiator)
            if events is not None:
                services.store.note(start.run_id, events.fields())
        self._publish(start.place, first, found)
        return Accepted(start.run_id, created=found == "created")

    def _publish(self, place: StepRef, first: First, found: str) -> None:
        services, sent = self._services, list(first.sent)
        if not first.whole and services.runs.state(place.run) is not None:
            sent += self._starter.rest(first, place)
        unpublished = found == "created" or (found == "unpublished" and place.run not in self._marks)
        if first.whole and not unpublished:
            return
        for message, wait in sent:
            if wait and message.agent != TIMER:
                step = StepRef(place.run, place.flow, str(message.headers["handoff_step"]))
                services.store.delayed(step, wait)
        services.perform(publish(sorted(sent, key=lambda one: one[1])))  # what is sooner is sent sooner
        self._marks.add(place.run)


class _AtOnce:
    """Marks each run as published as soon as it is."""

    def __init__(self, services: Services) -> None:
        self._runs = services.runs

    def add(self, run: str) -> None:
        self._runs.published(run)

    def __contains__(self, run: str) -> bool:
        return False


def payload_of(flow: Flow, payload: Contract | Mapping[str, Any]) -> Contract:
    """What a run of ``flow`` starts with, as its contract. Raises :class:`~handoffs.contracts.errors.InvalidData`."""
    accepts = flow.accepts
    if isinstance(payload, accepts):
        return payload
    if isinstance(payload, Contract):
        raise InvalidData(
            f"flow {flow.name} starts with {accepts.ref()}, not {payload.ref()}", "nothing was started"
        )
    return accepts.from_data(payload)


def checked_key(key: Any) -> str | None:
    """An idempotency key that can be one; None for none. Raises :class:`~handoffs.contracts.errors.InvalidData`."""
    if key is None:
        return None
    if not isinstance(key, str) or not 0 < len(key) <= 200 or not is_plain(key):
        raise InvalidData(
            "the idempotency key is not usable", "nothing was started", "use 1 to 200 printable characters"
        )
    return key


def content_of(payload: Contract) -> str:
    """Names what a payload says: the SHA-256 of its version and its data, 64 hexadecimal digits."""
    return digest([payload.ref().uri, payload.to_data()])


def _entry(start: _Start, first: First, *, told_later: bool) -> Entry:
    return Entry(
        EntryKind.STARTED,
        start.run_id,
        start.flow.name,
        now(),
        wrote=str(start.payload.ref()),
        sent=first.route.sent_otherwise(),
        emitted=None if told_later else first.route.emissions(start.run_id),
        input=start.payload.redacted(),
        due=due.moment(start.at).isoformat(timespec="milliseconds") if start.at is not None else "",
        story=start.story,
        event=start.event,
    )
