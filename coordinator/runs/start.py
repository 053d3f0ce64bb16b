"""Start: a run is accepted, and its first messages are published."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeAlias

from handoffs.config import clock
from handoffs.contracts.contract import Contract
from handoffs.contracts.envelope import run_id as derived_run_id
from handoffs.contracts.errors import InvalidData
from handoffs.contracts.searchable import marks
from handoffs.contracts.strictjson import digest
from handoffs.contracts.text import is_plain
from handoffs.coordinator.dispatch.requests import Asking
from handoffs.coordinator.dispatch.sender import publish
from handoffs.coordinator.errors import Unpublished
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.middle import Middle
from handoffs.coordinator.flow.trigger import agents_of
from handoffs.coordinator.handoff.secrets import hidden_in, masked
from handoffs.coordinator.history import Entry, EntryKind, now
from handoffs.coordinator.runs import due
from handoffs.coordinator.runs.acceptance import accepting, publishing, recording
from handoffs.coordinator.runs.first_messages import First, Starter, delays
from handoffs.coordinator.runs.lives import alive
from handoffs.coordinator.runs.outbox import first_events
from handoffs.coordinator.runs.spans import Accepted, starting
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.acceptance import Verdict
from handoffs.coordinator.store.record import StepRef

_log = logging.getLogger(__name__)

Payload: TypeAlias = Contract | Mapping[str, Any]
"""A contract, or its fields."""


class Marks(Protocol):
    """Where it is written down which runs are published: at once, or many together some time later."""

    def add(self, run: str) -> None: ...

    def __contains__(self, run: str) -> bool: ...


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
    middle: Middle | None = None
    given: Contract | None = None
    """What the step is given at which the run begins, where that is not the first one."""

    @property
    def first_input(self) -> Contract:
        """What the step is given at which it begins."""
        return self.given or self.payload

    @property
    def path(self) -> str:
        """The step at which it begins; empty for the first."""
        return self.middle.path if self.middle is not None else ""

    @property
    def place(self) -> StepRef:
        return StepRef(self.run_id, self.flow.name, "")

    @property
    def content(self) -> str:
        """Names the input: the same key with another is a conflict."""
        content = content_of(self.payload)
        return (
            digest([content, self.path, content_of(self.first_input)]) if self.middle is not None else content
        )


class Starts:
    """Accepts runs of flows. Safe for threads.

    Every method raises :class:`~handoffs.coordinator.errors.Conflict` where the key stands for another input,
    :class:`~handoffs.contracts.errors.InvalidInput` where the payload cannot be written for its consumers
    (:class:`TooLarge` where its messages would be more than anybody can read),
    :class:`~handoffs.coordinator.errors.Unpublished` where the run was accepted and is published later,
    :class:`~handoffs.coordinator.errors.Unanswered` where it is not known whether it was accepted, and another
    :class:`~handoffs.coordinator.errors.ServerError` where nothing was accepted.
    """

    def __init__(self, services: Services, marks: Marks | None = None) -> None:
        self._services = services
        self._marks = marks if marks is not None else _AtOnce(services)
        self._starter = Starter(services.router)

    def start(
        self,
        flow: Flow | Middle,
        payload: Payload | None,
        *,
        idempotency_key: str | None = None,
        deadline: timedelta | None = None,
        at: datetime | timedelta | None = None,
        given: Payload | None = None,
    ) -> Accepted:
        """Accept a run of ``flow`` with ``payload``, now or to begin ``at`` a moment, and publish its first messages.

        The same ``idempotency_key`` gives the same run; by default it is the payload's. ``deadline`` counts from when the
        run is to begin. In the middle of a flow it begins there, with what is ``given`` to the step; without a ``payload`` that is the run's
        own. Raises :class:`~handoffs.contracts.errors.InvalidData` where the payload does not fit the flow, or ``at`` is no such time.

        Many parameters because each is one of what :meth:`Coordinator.start` takes.
        """
        asking = self.asking(
            flow, payload, idempotency_key=idempotency_key, deadline=deadline, at=at, given=given
        )
        return self._services.perform(asking)

    def asking(
        self,
        flow: Flow | Middle,
        payload: Payload | None,
        *,
        idempotency_key: str | None = None,
        deadline: timedelta | None = None,
        at: datetime | timedelta | None = None,
        now: datetime | None = None,
        given: Payload | None = None,
    ) -> Asking[Accepted]:
        """The same, asked for. ``now`` is what time it is by the clock of Redis, where that is known.

        Many parameters because each is one of what :meth:`Coordinator.start` takes.
        """
        begins = due.checked(at) if at is not None else None
        middle, whole = (flow, flow.flow) if isinstance(flow, Middle) else (None, flow)
        step_input = _given_to(middle, given) if middle is not None else None
        typed = payload_of(whole, payload) if payload is not None or step_input is None else step_input
        key = checked_key(idempotency_key if idempotency_key is not None else typed.key())
        run_id = derived_run_id(whole.name, key) if key else str(uuid.uuid4())
        expiry = None
        if deadline:
            if now is None:
                with accepting():
                    now = yield from self._services.runs.acceptance.now(run_id)
            expiry = max(now, due.moment(at or timedelta(), now)) + deadline
        start = _Start(whole, typed, run_id, key, expiry, begins, middle=middle, given=step_input)
        return (yield from starting(self._alive(start), whole.name))

    def start_on_event(
        self, flow: Flow, payload: Contract, key: str, *, story: str, event: str, deadline: datetime | None
    ) -> Accepted:
        """Accept the run that an event starts: of the ``story``, with the message id ``event``. Where the broker does not take
        its messages now, the coordinator process publishes them."""
        start = _Start(flow, payload, derived_run_id(flow.name, key), key, deadline, story=story, event=event)
        try:
            return self._services.perform(starting(self._alive(start), flow.name))
        except Unpublished as error:
            _log.warning("%s", error)
            return Accepted(error.run_id, created=True)

    def _alive(self, start: _Start) -> Asking[Accepted]:
        def accept(run_id: str, life: int) -> Asking[Accepted | None]:
            return self._accept(replace(start, run_id=run_id) if life else start, life)

        return alive(self._services.runs.acceptance, start.run_id, accept)

    def _accept(self, start: _Start, life: int) -> Asking[Accepted | None]:
        """Accept a life of a run; None where that is over."""
        services = self._services
        data = services.room.check_payload(start.payload)
        with accepting():
            first = self._first(start, data)
            first.check(start.run_id, services.room)
            services.publisher.declare(
                agents_of(start.flow)
            )  # all queues, so that no later step is without one
        later = None if services.settings.eager and not clock.is_held() else start.at
        with recording(start.run_id):
            found = yield from services.runs.acceptance.start(
                start.place,
                key=start.key or "",
                content=start.content,
                older=older_content_of(start.payload, data) if start.middle is None else "",
                first=first.stored(),
                entry=_entry(start, first, data, told_later=later is not None).fields(),
                sends=first.named(),
                due=later,
                life=life,
                limits=start.flow.spending.amounts() if start.flow.spending else {},
                trace=first.origin.trace.parent,
            )
        if found == "over":
            return None
        if found in {"scheduled", "waiting"}:
            return Accepted(start.run_id, created=found == "scheduled")
        with publishing(start.run_id):
            if later is not None and found == "created":  # its time is past
                events = first_events(start.run_id, start.flow.name, first.messages, services.negotiator)
                if events is not None:
                    yield from services.store.steps.note(start.run_id, events.fields())
            yield from self._publish(start.place, first, found)
        return Accepted(start.run_id, created=found == "created")

    def _first(self, start: _Start, data: dict[str, Any]) -> First:
        if start.middle is None:
            return self._starter.first(start.flow, start.payload, start.run_id, start.deadline, data)
        begins, path = start.first_input, start.path
        written = self._services.room.check_payload(begins)
        return self._starter.first(start.flow, begins, start.run_id, start.deadline, written, path)

    def _publish(self, place: StepRef, first: First, found: Verdict) -> Asking[None]:
        services, sent = self._services, list(first.sent)
        if not first.whole and (yield from services.runs.acceptance.is_there(place.run)):
            sent += yield from self._starter.rest(first, place)
        unpublished = found == "created" or (found == "unpublished" and place.run not in self._marks)
        if first.whole and not unpublished:
            return
        for step, wait in delays(sent):
            yield from services.store.steps.delayed(step, wait)
        # what is sooner is sent sooner
        yield from publish(sorted(sent, key=lambda one: one[1]), new=not first.whole)
        self._marks.add(place.run)


class _AtOnce:
    """Marks each run as published as soon as it is."""

    def __init__(self, services: Services) -> None:
        self._runs = services.runs

    def add(self, run: str) -> None:
        self._runs.published(run)

    def __contains__(self, run: str) -> bool:
        return False


def payload_of(flow: Flow, payload: object) -> Contract:
    """What a run of ``flow`` starts with, as its contract. Raises :class:`~handoffs.contracts.errors.InvalidData`."""
    remedy = "give it what the flow starts with, or start the flow of that payload"
    return _read_as(flow.accepts, payload, f"flow {flow.name} starts with", remedy)


def _given_to(middle: Middle, given: object) -> Contract:
    """What the step is given at which a run begins, as its contract. Raises :class:`~handoffs.contracts.errors.InvalidData`."""
    where = f"step {middle.path} of flow {middle.flow.name} is given"
    return _read_as(
        middle.accepts, given, where, "give it that, or begin at the step which takes what you have"
    )


def _read_as(accepts: type[Contract], payload: object, where: str, remedy: str) -> Contract:
    if isinstance(payload, accepts):
        return payload
    if isinstance(payload, Contract):
        raise InvalidData(f"{where} {accepts.ref()}, not {payload.ref()}", "nothing was started", remedy)
    if not isinstance(payload, Mapping):
        shown = (
            f"the class {payload.__name__}" if isinstance(payload, type) else f"a {type(payload).__name__}"
        )
        raise InvalidData(
            f"{where} {accepts.ref()}, and is given {shown}",
            "nothing was started",
            f"give it a contract, {accepts.__name__}(...), or its fields as a mapping",
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
    """Names what a payload says: the SHA-256 of its version and its content, 64 hexadecimal digits. The same for equal values, in
    every process."""
    return digest([payload.ref().uri, payload.to_comparable()])


def older_content_of(payload: Contract, data: dict[str, Any]) -> str:
    """What the release before called that; ``data`` is what the payload was written as."""
    return digest([payload.ref().uri, data])


def shown_key(key: str | None, data: Any, redacted: Any) -> str:
    """The idempotency key of a run as people may see it: a caller may have made it of what its payload keeps secret. ``data`` is the
    payload as it travels, ``redacted`` the same for people."""
    return masked(key, hidden_in(data, redacted)) if key else ""


def _entry(start: _Start, first: First, data: dict[str, Any], *, told_later: bool) -> Entry:
    redacted = start.payload.redacted()
    return Entry(
        EntryKind.STARTED,
        start.run_id,
        start.flow.name,
        now(),
        wrote=str(start.payload.ref()),
        sent=first.route.sent_otherwise(),
        emitted=None if told_later else first.route.emissions(start.run_id),
        input=redacted,
        begins=start.path,
        key=shown_key(start.key, data, redacted),
        due=due.moment(start.at).isoformat(timespec="milliseconds") if start.at is not None else "",
        story=start.story,
        event=start.event,
        marks=marks((type(start.payload), redacted)),
    )
