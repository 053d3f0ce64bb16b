"""Close: the fourth step of a handoff. An outcome, checked, and where it goes, written for those who read it there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from handoffs.contracts import strictjson
from handoffs.contracts.contract import Contract, ContractRef
from handoffs.contracts.errors import InvalidData, InvalidInput
from handoffs.contracts.event import Nothing
from handoffs.coordinator.continuation import advance
from handoffs.coordinator.continuation.moves import Move, Value
from handoffs.coordinator.continuation.path import event_of
from handoffs.coordinator.dispatch.negotiation import Negotiator
from handoffs.coordinator.dispatch.requests import Asking, Invoke
from handoffs.coordinator.dispatch.route import Route
from handoffs.coordinator.dispatch.routing import Router
from handoffs.coordinator.dispatch.sender import prepared
from handoffs.coordinator.errors import ServerError, passes
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.handoff.failure import FailureKind, kind_of
from handoffs.coordinator.handoff.interruption import UsersCode
from handoffs.coordinator.handoff.open import Opened
from handoffs.coordinator.handoff.outcome import refuse
from handoffs.coordinator.handoff.secrets import secrets_of
from handoffs.coordinator.handoff.subresults import StepSubresults
from handoffs.coordinator.handoff.undo import check_undo, outcome_ref
from handoffs.coordinator.messaging.envelopes import Sending
from handoffs.coordinator.store.claim import Claim, ClaimVerdict
from handoffs.coordinator.store.record import Record, StepRef
from handoffs.coordinator.store.store import Store

_MOST_EVENTS = 10_000


@dataclass(frozen=True, slots=True)
class Returned:
    """What the agent's function gave back, what it emitted meanwhile, what its calls have given, and how long it took, in
    milliseconds."""

    value: Any
    emitted: tuple[Contract, ...]
    subresults: StepSubresults
    took_ms: float


@dataclass(frozen=True, slots=True)
class Closed:
    """An outcome that is known to be good: as it is recorded, where it goes and how it is written there, as people may see
    it, and how long it took, in milliseconds; None where it was known."""

    record: Record
    route: Route
    sending: Sending
    """What all messages say that it is passed on with, and those that are sent at once: each can be read where it goes."""
    shown: Any
    took_ms: float | None


class Closer:
    """Closes the handoffs of one agent. Safe for threads."""

    def __init__(self, agent: Agent, store: Store, router: Router, negotiator: Negotiator) -> None:
        self._agent = agent
        self._store = store
        self._router = router
        self._negotiator = negotiator
        self._versions = negotiator.versions
        self._room = router.room

    def close(self, opened: Opened, claim: Claim, returned: Returned) -> Asking[Closed]:
        """Validate the output: exactly the contract that the agent declares, checked once more as it will be read.

        Raises :class:`~handoffs.coordinator.handoff.outcome.Leave` where it is something else: the lease is given back.
        """
        try:
            with UsersCode():
                output, events = self._checked(opened, returned)
                data = output.to_data()
                self._agent.emits.from_data(data)
                text = strictjson.dumps([(one.ref().uri, one.to_data()) for one in events]) if events else ""
            written = strictjson.dumps(data)
            value = self._room.read(written, "the output")
            record = Record(self._agent.emits.ref().uri, written, text, value)
            outcome = outcome_ref(self._agent.name, opened.key, claim.fence)
            check_undo(opened.place, opened.delivery.kwargs, record, self._room, outcome)
            route = yield from self._route(opened, record, output, events)
            with UsersCode():
                key, shown, keys = output.key(), output.redacted(), _keys(opened.place, events)
            route, sending = self._prepared(opened, route, key, keys)
            return Closed(record, route, sending, shown, round(returned.took_ms, 3))
        except ServerError:
            raise
        except Exception as error:
            yield from self._store.handoffs.release(self._agent.name, opened.key, fence=claim.fence)
            kind = kind_of(error, FailureKind.INVALID_OUTPUT)
            raise refuse(kind, error, secrets_of(returned.value, *returned.emitted)) from error

    def known(self, opened: Opened, claim: Claim) -> Asking[Closed]:
        """An outcome that was recorded before: by this step, or by another under the same key.

        Where a newer build wrote it, so that it cannot be read here, it is passed on as it is: its reader validates it.
        Raises :class:`~handoffs.coordinator.handoff.outcome.Leave` where it can be read, and does not fit what follows.
        """
        record = claim.record
        assert record is not None
        if opened.event and record.events and claim.verdict is ClaimVerdict.DONE:
            once = yield from self._store.handoffs.emits_once(opened.place, self._agent.name, opened.key)
            if not once:  # or events in a circle would go on for ever
                record = replace(record, events="")
        output, events = self._read(record)
        try:
            route = yield from self._route(opened, record, output, events)
            key, shown, keys = None, None, {}
            if output is not None:
                key, shown, keys = output.key(), output.redacted(), _keys(opened.place, events)
            route, sending = self._prepared(opened, route, key, keys)
            return Closed(record, route, sending, shown, None)
        except Exception as error:
            if passes(error):
                raise
            kind = FailureKind.NOT_PASSED_ON
            if claim.verdict is ClaimVerdict.DONE:
                kind = kind_of(error, FailureKind.INVALID_OUTPUT)
            raise refuse(kind, error) from error

    def _prepared(
        self, opened: Opened, route: Route, key: str | None, keys: Mapping[str, str | None]
    ) -> tuple[Route, Sending]:
        """With the messages of the next steps; ``keys`` are the idempotency keys of the events, by the step that they are sent as.
        Raises :class:`~handoffs.contracts.errors.TooLarge`."""
        source = f"/agents/{self._agent.name}"
        sending = Sending(opened.place.run, source, opened.envelope, key=key, keys=keys)
        return prepared(route, sending, self._room)

    def _checked(self, opened: Opened, returned: Returned) -> tuple[Any, list[Any]]:
        """The output, and the events that are emitted with it: those that the agent declares."""
        agent = self._agent
        output, found = agent.outcome(returned.value)
        if type(output) is not agent.emits:
            raise InvalidData(f"it returned {type(output).__name__}, and declares {agent.emits.__name__}")
        if opened.event and agent.emits is not Nothing:
            found = (output,)
        events = [*found, *returned.emitted]
        for event in events:
            if type(event) not in (agent.emits, *agent.events):
                raise InvalidData(f"it emitted {type(event).__name__}, which it does not declare")
        if len(events) > _MOST_EVENTS:
            raise InvalidData(f"it emitted {len(events)} events, and {_MOST_EVENTS} are the most")
        return output, events

    def _read(self, record: Record) -> tuple[Contract | None, list[Contract | None]]:
        """A recorded outcome and its events, as far as this build reads them: all, or none of them."""
        try:
            ref = ContractRef.from_uri(record.schema)
            output = self._versions.read(self._agent.emits, ref, record.parsed())
            return output, self._emitted(record)
        except InvalidInput:
            return None, [None for _ in json.loads(record.events or "[]")]

    def _emitted(self, record: Record) -> list[Contract | None]:
        """The events of an outcome that was recorded before; None for one that this build does not emit."""
        known = {one.ref().name: one for one in (self._agent.emits, *self._agent.events)}
        events: list[Contract | None] = []
        for uri, data in json.loads(record.events or "[]"):
            ref = ContractRef.from_uri(uri)
            contract = known.get(ref.name)
            events.append(self._versions.read(contract, ref, data) if contract else None)
        return events

    def _route(
        self, opened: Opened, record: Record, output: Contract | None, events: Sequence[Contract | None]
    ) -> Asking[Route]:
        """Where the output and the events go, each written in the newest version that every live consumer of it accepts."""
        place = opened.place
        emitted = advance.emitted(place.step, place.flow, json.loads(record.events or "[]"))
        typed = {go.send.step: event for go, event in zip(emitted, events, strict=True)}
        moves: list[Move] = [*emitted] if opened.event else [*_after(opened, record), *emitted]
        agents, heard = self._router.writer.readers(moves, output, typed)
        if not self._negotiator.fresh(agents, heard):
            yield Invoke(lambda: self._negotiator.look(agents, heard))
        with UsersCode():  # migrations to what older readers read
            return self._router.writer.route(moves, record, output, typed)


def _after(opened: Opened, record: Record) -> list[Move]:
    """Where the output goes, by the continuation of its message. Raises :class:`InvalidData` where that is malformed."""
    try:
        return advance.after(opened.cursor, Value(record.schema, record.parsed()))
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise InvalidData("the continuation of the message is malformed") from error


def _keys(place: StepRef, events: Sequence[Contract | None]) -> dict[str, str | None]:
    return {
        event_of(place.step, number): event.key() if event else None for number, event in enumerate(events)
    }
