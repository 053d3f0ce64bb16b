"""Open: the first step of a handoff. What it lets through is known to be good."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

from handoffs.contracts.contract import Contract
from handoffs.contracts.dataref import Fetch, is_by_reference
from handoffs.contracts.envelope import Envelope
from handoffs.contracts.errors import InvalidData, InvalidInput
from handoffs.contracts.event import Event
from handoffs.contracts.strictjson import Limits, digest
from handoffs.contracts.versions import Versions
from handoffs.coordinator.continuation import advance
from handoffs.coordinator.continuation.arrival import budgets_of
from handoffs.coordinator.continuation.moves import Cursor
from handoffs.coordinator.dispatch.negotiation import Negotiator
from handoffs.coordinator.dispatch.requests import Asking, Invoke
from handoffs.coordinator.errors import Incomplete, ServerError
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.retry import Retry
from handoffs.coordinator.handoff.edit import Edit, number_of, superseded
from handoffs.coordinator.handoff.events import Events
from handoffs.coordinator.handoff.failure import FailureKind
from handoffs.coordinator.handoff.interruption import Escaped, UsersCode
from handoffs.coordinator.handoff.joins import upcast_parts
from handoffs.coordinator.handoff.outcome import Done, Leave, Postpone, Reason, Refusal, refuse
from handoffs.coordinator.messaging.content import is_number
from handoffs.coordinator.messaging.delivery import Delivery
from handoffs.coordinator.store.record import StepRef
from handoffs.coordinator.store.store import Store

_FIRST_LOOK = timedelta(milliseconds=50)
_LONGEST_LOOK = timedelta(seconds=5)
_MOST_LOOKS = 1_000
_LIKE_A_TURN = re.compile(r"#[0-9]+\Z")


@dataclass(frozen=True, slots=True)
class Opened:
    """A delivery whose input is known to be good.

    came
        The delivery as it came, where a person has edited the step's input since.
    content
        Names what the input says, whichever version it came in, and however that is spelt.
    budgets
        The paths of the budgets that the step is in, innermost first.
    edit, supersedes
        The number of the edit that the input is, from 1, and the digests of the inputs whose place it has taken.
    event
        The contract's name where it was called by an event, and not by the step before it in a flow.
    set_of
        The key of the set of events that it is.
    generation
        How many outcomes of its key were undone before, as its claim says.
    older
        What the release before called the content: the digest of the data as it came. Empty where that is the same.
    """

    delivery: Delivery
    came: Delivery
    envelope: Envelope
    payload: Contract
    migrated: list[str]
    place: StepRef
    key: str
    content: str
    cursor: Cursor
    budgets: tuple[str, ...]
    retry: Retry
    edit: int
    supersedes: tuple[str, ...]
    event: str = ""
    set_of: str = ""
    generation: int = 0
    older: str = ""

    def where(self, agent: str) -> dict[str, str]:
        """Where ``agent`` is at work, for its log (:mod:`handoffs.config.at_work`)."""
        place, attempt, trace = self.place, str(self.delivery.attempt), self.envelope.trace_parent[3:35]
        return {
            "run": place.run, "flow": place.flow, "step": place.step, "agent": agent, "attempt": attempt, "trace": trace,
        }  # fmt: skip

    @property
    def shown_key(self) -> str:
        """The key that its agent knows it by. That of a set does not say which events are in it."""
        return self.key.rpartition("@")[0] if self.set_of else self.key


class Opener:
    """Opens what comes to one agent. Safe for threads. Methods that ask are generators (dispatch/requests.py)."""

    def __init__(
        self,
        agent: Agent,
        store: Store,
        events: Events,
        negotiator: Negotiator,
        limits: Limits,
        fetch: Fetch | None = None,
    ) -> None:
        """``fetch`` brings data that is kept elsewhere."""
        self._agent = agent
        self._store = store
        self._events = events
        self._negotiator = negotiator
        self._versions: Versions = negotiator.versions
        self._limits = limits
        self._fetch = fetch

    def open(self, delivery: Delivery) -> Asking[Opened]:
        """Open a delivery. Raises :class:`Leave`: for an input that no agent may get, and for an event to which this build does
        not subscribe."""
        yield from self._leave_to_others(delivery)
        return (yield from self.read(delivery))

    def read(self, delivery: Delivery) -> Asking[Opened]:
        """Read a delivery; where a person has given its step another input because this one is none, with that.

        Raises :class:`Leave` for an input that no agent may get.
        """
        try:
            return (yield from self._opening(delivery))
        except Leave as leave:
            if not (
                isinstance(leave.ending, Refusal)
                and leave.ending.kind == FailureKind.INVALID_INPUT
                and delivery.run
            ):
                raise
            text = yield from self._store.steps.edit_of(StepRef(delivery.run, delivery.flow, delivery.step))
            edited = self._with(delivery, text) if text else delivery
            if edited is delivery:
                raise
            return (yield from self._opening(edited, delivery))

    def _opening(self, delivery: Delivery, came: Delivery | None = None) -> Asking[Opened]:
        """Open a delivery. Where its data is elsewhere, one who may wait does it."""
        if is_by_reference(delivery.envelope):
            opened: Opened = yield Invoke(partial(self._opened, delivery, came))
            return opened
        return self._opened(delivery, came)

    def edited(self, delivery: Delivery, text: str) -> Opened:
        """Open a delivery with the input that a person gave to its step since it was made, as its run has that.

        Raises :class:`Leave` where that cannot be read.
        """
        return self._opened(self._with(delivery, text), delivery)

    def hear(self, opened: Opened) -> Asking[Opened]:
        """Of an event: whether the agent wants it, and whether it waits for others; the set that it stands for.

        Raises :class:`Leave` where there is nothing to do now, or nothing at all.
        """
        if not opened.event:
            return opened
        delivery, place, payload = opened.delivery, opened.place, opened.payload
        try:
            done = yield from self._events.unwanted(opened.event, payload, place)
            done = done or (yield from self._events.takes_part(delivery, payload, opened.envelope, place))
            if not done and "gathered" in delivery.kwargs:
                done = yield from self._events.handed_on(delivery, payload, opened.envelope, place)
            if not done and "gathered" in delivery.kwargs:
                whole = yield from self._events.whole(delivery, payload, place)
                if whole is not None:
                    key = self._agent.idempotency_key(whole.payload, whole.key)
                    return replace(
                        opened,
                        payload=whole.payload,
                        set_of=whole.key,
                        key=f"{key}@{whole.content[:16]}",
                        content=whole.content,
                    )
                done = f"complete before run={place.run} step={place.step}"
        except (ServerError, Leave):
            raise
        except Incomplete as error:
            raise refuse(FailureKind.INCOMPLETE, error) from error
        except InvalidInput as error:
            raise refuse(FailureKind.INVALID_INPUT, error) from error
        except Exception as error:  # of a predicate that the agent brings
            raise refuse(FailureKind.ERROR, error) from error
        if done:
            raise Leave(Done(done))
        return opened

    def finish(self, opened: Opened) -> Asking[None]:
        """What was opened has its outcome, and what follows is on its way."""
        if opened.set_of:
            yield from self._events.finish(opened.delivery, opened.set_of, opened.place)

    def _leave_to_others(self, delivery: Delivery) -> Asking[None]:
        """An event to which this build does not subscribe is left to one that does, as long as there is one."""
        if not self._events.unsubscribed(delivery):
            return
        name, event = self._agent.name, str(delivery.kwargs["event"])
        if not (yield Invoke(lambda: self._negotiator.subscribes(name, event))):
            raise Leave(Done((yield from self._events.discard(delivery))))
        raise Leave(look_again(delivery, delivery, _LONGEST_LOOK, Reason.OTHER_BUILD))

    def _with(self, delivery: Delivery, text: str) -> Delivery:
        """The delivery with the input that a person gave to the step, as its run has it."""
        try:
            envelope, edit = Envelope.bare(delivery.envelope, self._limits), Edit.parse(text)
            if edit is None or number_of(delivery.kwargs) >= edit.number:
                return delivery
            envelope, kwargs = edit.applied(envelope, delivery.kwargs)
        except InvalidInput as error:
            raise refuse(FailureKind.INVALID_INPUT, error) from error
        return replace(delivery, envelope=envelope.encode(), kwargs=kwargs)

    def _opened(self, delivery: Delivery, came: Delivery | None = None) -> Opened:
        """Validate the envelope, validate and upcast its data, and derive the idempotency key. Invalid input parks."""
        try:
            with UsersCode():
                return self._understood(delivery, came)
        except InvalidInput as error:
            raise refuse(FailureKind.INVALID_INPUT, error) from error
        except Escaped as error:
            raise refuse(FailureKind.ERROR, error) from error
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
            fault = InvalidData("the continuation of the message is malformed")
            raise refuse(FailureKind.INVALID_INPUT, fault) from error

    def _understood(self, delivery: Delivery, came: Delivery | None) -> Opened:
        envelope = Envelope.decode(delivery.envelope, self._limits, self._fetch)
        if not delivery.flow or not delivery.step:
            raise InvalidData("the message does not say to which step of which flow it belongs")
        event = self._events.name_of(delivery)
        _refuse_disagreement(envelope, delivery)
        if event and envelope.contract.name != event:
            raise InvalidData("the message says that it is another event than its envelope has")
        payload, migrated = self._read(envelope, event)
        key = self._key(payload, envelope, delivery)
        cursor = advance.checked(Cursor(delivery.step, delivery.chain, delivery.chord))
        retry = self._policy(delivery)
        edit, before = number_of(delivery.kwargs), superseded(delivery.kwargs)
        return Opened(
            delivery,
            came or delivery,
            envelope,
            payload,
            migrated,
            place=StepRef(envelope.correlation_id, delivery.flow, delivery.step),
            key=key,
            content=envelope.original_digest
            or self._versions.content(envelope.contract, envelope.data, payload),
            older="" if envelope.original_digest else digest(envelope.data),
            cursor=cursor,
            budgets=budgets_of(cursor),
            retry=retry,
            edit=edit,
            supersedes=before,
            event=event,
        )

    def _policy(self, delivery: Delivery) -> Retry:
        """How failures are treated: as the flow of this run says at this step, or as the agent does."""
        if "retry" not in delivery.kwargs:
            return self._agent.retry
        return Retry.from_json(delivery.kwargs["retry"])

    def _read(self, envelope: Envelope, event: str) -> tuple[Contract, list[str]]:
        """The data as this agent accepts it, and the migrations that it went through."""
        accepts, ref, data = self._events.reads(event), envelope.contract, envelope.data
        if accepts is Event and event:
            return self._events.any(envelope), []
        own = accepts.ref()
        older = ref.name == own.name and ref.version < own.version
        way = self._versions.way(accepts, ref.version, own.version) if older else ()
        if envelope.join_schemas and way == ():  # a join has no writer: it is what its parts are
            data = upcast_parts(accepts, envelope.join_schemas, data, self._versions)
            ref = own if older else ref
        return self._versions.read(accepts, ref, data), [str(step) for step in way or ()]

    def _key(self, payload: Contract, envelope: Envelope, delivery: Delivery) -> str:
        """The agent's key for this input; where it stands in the flow a second time, that is other work, and so are events of
        different contracts that have one key."""
        if type(payload) is not self._agent.accepts:  # a part of a set, which has a key of its own
            return envelope.idempotency_key
        try:
            key = self._agent.idempotency_key(payload, envelope.idempotency_key)
        except Exception as error:
            raise refuse(FailureKind.ERROR, error) from error
        if isinstance(payload, Event):
            key = of_contract(payload, key)
        return turned(key, delivery.kwargs)


def _refuse_disagreement(envelope: Envelope, delivery: Delivery) -> None:
    """Raise where the headers of a message name another message, run or step than it carries."""
    same = envelope.correlation_id == delivery.run and (
        envelope.id == delivery.id or "event" in delivery.kwargs
    )
    if not same or not is_number(delivery.id, delivery.run, delivery.step):
        raise InvalidData("the headers of the message name another message, run or step than its envelope")


def of_contract(event: Event, key: str) -> str:
    """The key of an agent that hears events of several contracts: the contract's name, a colon, and the event's key."""
    return f"{event.contract}:{key}"


def turned(key: str, kwargs: dict[str, Any]) -> str:
    """The key of an agent at a place in a flow: where it stands there a second time, that is other work.

    No two pairs of key and turn give the same: what already ends like a turn (a customer's ``17#2``) gets the number of its
    own, also at the first place (``17#2#1``), which no other key has.
    """
    turn = kwargs.get("turn")
    if not turn and not _LIKE_A_TURN.search(key):
        return key
    return f"{key}#{turn or 1}"


def look_again(delivery: Delivery, came: Delivery, longest: timedelta, reason: Reason) -> Postpone:
    """The message as it ``came``, soon once more, and ever later, but never later than ``longest`` (50 ms at least)."""
    wait = min(_FIRST_LOOK * 2 ** min(delivery.looks, 10), max(longest, _FIRST_LOOK))
    return again(came, wait, reason, attempt=delivery.attempt, looks=delivery.looks + 1)


def again(
    came: Delivery,
    wait: timedelta,
    reason: Reason,
    *,
    attempt: int,
    looks: int = 0,
    waited: int | None = None,
) -> Postpone:
    """The message as it ``came``, after ``wait``; ``waited`` is what it has used up of its allowance by then, where that is more."""
    looks = min(looks, _MOST_LOOKS)  # it says how long to wait, and waiting has no end
    waited = came.waited if waited is None else waited
    message = came.again(attempt=attempt, looks=looks, waited=waited)
    return Postpone(wait, message, reason, str(reason), attempt=attempt, looks=looks, waited=waited)
