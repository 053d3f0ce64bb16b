"""Opener: the first step of a handoff. What it lets through is known to be good."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from handoffs.contracts.contract import Contract
from handoffs.contracts.envelope import Envelope
from handoffs.contracts.errors import InvalidData, InvalidInput
from handoffs.contracts.event import Event
from handoffs.contracts.strictjson import Limits, digest
from handoffs.contracts.versions import Versions
from handoffs.coordinator.continuation import advance
from handoffs.coordinator.continuation.moves import Cursor
from handoffs.coordinator.errors import Incomplete, ServerError
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.retry import Retry
from handoffs.coordinator.handoff.edit import Edit, number_of, superseded
from handoffs.coordinator.handoff.events import Hearing
from handoffs.coordinator.handoff.failure import Kind
from handoffs.coordinator.handoff.joins import upcast_parts
from handoffs.coordinator.messaging.delivery import Delivery
from handoffs.coordinator.store.record import StepRef
from handoffs.coordinator.store.store import Store


class Parking(Exception):
    """Leaves the handoff from any depth with the reason to park."""

    def __init__(self, kind: Kind, error: BaseException) -> None:
        super().__init__(kind, error)
        self.kind = kind
        self.error = error


@dataclass(slots=True)
class Opened:
    """A delivery whose input is known to be good; ``came`` is the same as it came, where a person has edited it since."""

    delivery: Delivery
    came: Delivery
    envelope: Envelope
    payload: Contract
    migrated: list[str]
    place: StepRef
    key: str
    content: str
    cursor: Cursor
    retry: Retry
    edit: int
    supersedes: tuple[str, ...]
    event: str = ""
    """The contract's name where it was called by an event, and not by the step before it in a flow."""
    set_of: str = ""
    """The key of the set of events that it is."""
    emitted: list[Contract] = field(default_factory=list)
    """What the agent emits while it runs."""


class Opener:
    """Opens what comes to one agent. Safe for threads."""

    def __init__(
        self, agent: Agent, store: Store, hearing: Hearing, versions: Versions, limits: Limits
    ) -> None:
        self._agent = agent
        self._store = store
        self._hearing = hearing
        self._versions = versions
        self._limits = limits

    def open(self, delivery: Delivery) -> Opened:
        """Open a delivery; where a person has given its step another input because this one is none, with that.

        Raises :class:`Parking` for an input that no agent may get.
        """
        try:
            return self._open(delivery)
        except Parking as parking:
            place = StepRef(delivery.run, delivery.flow, delivery.step)
            text = self._store.edit_of(place) if parking.kind == "invalid-input" and place.run else ""
            if not text:
                raise
            edited = self._with(delivery, text)
            if edited is delivery:
                raise
            return self._open(edited, delivery)

    def deaf(self, delivery: Delivery) -> bool:
        """Whether it is an event to which this build of the agent does not subscribe."""
        return self._hearing.deaf(delivery)

    def forgone(self, delivery: Delivery) -> str:
        """Pass over an event to which nobody of the agent subscribes; gives a line on that."""
        return self._hearing.forgo(delivery)

    def finish(self, opened: Opened) -> None:
        """What was opened has its outcome, and what follows is on its way."""
        if opened.set_of:
            self._hearing.finish(opened.delivery, opened.set_of, opened.place)

    def edited(self, delivery: Delivery, text: str) -> Opened:
        """Open a delivery with the input that a person gave to its step since it was made, as its run has that."""
        return self._open(self._with(delivery, text), delivery)

    def _with(self, delivery: Delivery, text: str) -> Delivery:
        """The delivery with the input that a person gave to the step, as its run has it."""
        try:
            envelope, edit = Envelope.decode(delivery.envelope, self._limits), Edit.parse(text)
            if edit is None or number_of(delivery.kwargs) >= edit.number:
                return delivery
            envelope, kwargs = edit.applied(envelope, delivery.kwargs)
        except InvalidInput as error:
            raise Parking("invalid-input", error) from error
        return replace(delivery, envelope=envelope.encode(), kwargs=kwargs)

    def _open(self, delivery: Delivery, came: Delivery | None = None) -> Opened:
        """Validate the envelope, validate and upcast its data, and derive the idempotency key. Invalid input parks."""
        try:
            envelope = Envelope.decode(delivery.envelope, self._limits)
            if not delivery.flow or not delivery.step:
                raise InvalidData("the message does not say to which step of which flow it belongs")
            event = self._hearing.event(delivery)
            if event and envelope.contract.name != event:
                raise InvalidData("the message says that it is another event than its envelope has")
            payload, migrated = self._read(envelope, event)
            key = self._key(payload, envelope, delivery)
            cursor = advance.checked(Cursor(delivery.step, delivery.chain, delivery.chord))
            retry = self._policy(delivery)
            edit, before = number_of(delivery.kwargs), superseded(delivery.kwargs)
        except InvalidInput as error:
            raise Parking("invalid-input", error) from error
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
            fault = InvalidData("the continuation of the message is malformed")
            raise Parking("invalid-input", fault) from error
        content = envelope.original_digest or digest(envelope.data)
        place = StepRef(envelope.correlation_id, delivery.flow, delivery.step)
        return Opened(
            delivery,
            came or delivery,
            envelope,
            payload,
            migrated,
            place,
            key,
            content,
            cursor,
            retry,
            edit,
            before,
            event,
        )

    def _policy(self, delivery: Delivery) -> Retry:
        """How failures are treated: as the flow of this run says at this step, or as the agent does."""
        if "retry" not in delivery.kwargs:
            return self._agent.retry
        return Retry.from_json(delivery.kwargs["retry"])

    def _read(self, envelope: Envelope, event: str) -> tuple[Contract, list[str]]:
        """The data as this agent accepts it, and the migrations that it went through."""
        accepts, ref, data = self._hearing.reads(event), envelope.contract, envelope.data
        if accepts is Event and event:
            return self._hearing.any(envelope), []
        own = accepts.ref()
        older = ref.name == own.name and ref.version < own.version
        way = self._versions.way(accepts, ref.version, own.version) if older else ()
        if envelope.join_schemas and way == ():  # a join has no writer: it is what its parts are
            data = upcast_parts(accepts, envelope.join_schemas, data, self._versions)
            ref = own if older else ref
        return self._versions.read(accepts, ref, data), [str(step) for step in way or ()]

    def _key(self, payload: Contract, envelope: Envelope, delivery: Delivery) -> str:
        """The agent's key for this input; where it stands in the flow a second time, that is other work."""
        if type(payload) is not self._agent.accepts:  # a part of a set, which has a key of its own
            return envelope.idempotency_key
        try:
            key = self._agent.idempotency_key(payload, envelope.idempotency_key)
        except Exception as error:
            raise Parking("error", error) from error
        return turned(key, delivery.kwargs)

    def hear(self, opened: Opened) -> str:
        """Of an event: whether the agent wants it, and whether it waits for others. Says in a line why there is nothing to do
        now; empty where there is. Raises :class:`Parking`."""
        if not opened.event:
            return ""
        delivery, place = opened.delivery, opened.place
        try:
            heard = self._hearing.passes(opened.event, opened.payload, place)
            heard = heard or self._hearing.takes_part(delivery, opened.payload, opened.envelope, place)
            if heard or "gathered" not in delivery.kwargs:
                return heard
            whole = self._hearing.whole(delivery, opened.payload, place)
            if whole is None:
                return f"complete before run={place.run} step={place.step}"
            opened.payload, opened.set_of = whole
            opened.key = self._agent.idempotency_key(opened.payload, opened.set_of)
            opened.content = digest(opened.set_of)
        except (ServerError, Parking):
            raise
        except Incomplete as error:
            raise Parking("incomplete", error) from error
        except InvalidInput as error:
            raise Parking("invalid-input", error) from error
        except Exception as error:  # of a predicate that the agent brings
            raise Parking("error", error) from error
        return ""


def turned(key: str, kwargs: dict[str, Any]) -> str:
    """The key of an agent at a place in a flow: where it stands there a second time, that is other work."""
    turn = kwargs.get("turn")
    return f"{key}#{turn}" if turn else key
