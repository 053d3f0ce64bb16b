"""Onward: what goes on by itself, without an agent: after a delay that nothing follows which could be sent, or once more where a run
could not go on. Its message comes to the coordinator process among the timers."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from handoffs.contracts import strictjson
from handoffs.contracts.contract import Contract, ContractRef
from handoffs.contracts.envelope import Envelope
from handoffs.contracts.errors import InvalidData, InvalidInput
from handoffs.contracts.versions import Versions
from handoffs.coordinator.continuation import advance
from handoffs.coordinator.continuation.arrival import budgets_of
from handoffs.coordinator.continuation.moves import Cursor, Value
from handoffs.coordinator.continuation.path import after_which
from handoffs.coordinator.continuation.signature import ONWARD
from handoffs.coordinator.dispatch.driver import Driver
from handoffs.coordinator.dispatch.routing import Router
from handoffs.coordinator.dispatch.sender import prepared, send
from handoffs.coordinator.messaging.envelopes import Sending
from handoffs.coordinator.store.record import Record, StepRef
from handoffs.coordinator.store.store import Store

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Coming:
    """What is to go on: the step that its message is, its place in the flow, the value, and the envelope that it came in."""

    step: StepRef
    cursor: Cursor
    value: Value
    envelope: Envelope

    @property
    def record(self) -> Record:
        return Record(self.value.schema or self.value.parts, strictjson.dumps(self.value.data))


class Onward:
    """Lets what comes go on. Safe for threads."""

    def __init__(self, store: Store, router: Router, driver: Driver, versions: Versions) -> None:
        self._store = store
        self._router = router
        self._driver = driver
        self._versions = versions

    def go_on(self, envelope: Envelope, kwargs: Mapping[str, Any], continuation: Mapping[str, Any]) -> str:
        """Handle such a message; gives a line on what came of it. Doing it again changes nothing.

        Raises :class:`~handoffs.contracts.errors.InvalidInput` where it is none, or what follows cannot be sent: then nothing has
        gone on; and :class:`~handoffs.coordinator.errors.ServerError`.
        """
        coming = self._read(envelope, kwargs, continuation)
        step = coming.step
        said = f"run={step.run} step={step.step}"
        if self._is_over(coming):
            return f"not needed any more {said}"
        moves = tuple(advance.after(coming.cursor, coming.value))
        route = self._router.writer.route(moves, coming.record, self._payload(coming))
        sending = Sending(step.run, cause=envelope, key=envelope.subject)
        route, sending = prepared(route, sending, self._router.room)
        self._driver.perform(self._router.foreseen(step, moves, sending))
        self._driver.perform(send(self._router.came(step, route), sending))
        self._driver.perform(self._store.controls.come(step))
        return f"went on {said}"

    def is_over(self, envelope: Envelope, kwargs: Mapping[str, Any], continuation: Mapping[str, Any]) -> bool:
        """Whether nobody needs such a message any more. Raises what :meth:`go_on` raises."""
        return self._is_over(self._read(envelope, kwargs, continuation))

    def _is_over(self, coming: _Coming) -> bool:
        """Its run does not go on, a budget that it is in is spent, or a person has given what goes on in its place."""
        budgets = budgets_of(coming.cursor)
        return self._store.closed(coming.step, *budgets) or self._store.settled(coming.step)

    def _payload(self, coming: _Coming) -> Contract | None:
        """What goes on, as far as it is known here, to be written for whoever reads it next; nothing where nobody writes it anew."""
        value = coming.value
        contract = self._versions.class_of(ContractRef.from_uri(value.schema)) if value.own else None
        try:
            return contract.from_data(value.data) if contract else None
        except InvalidInput:
            return None

    @staticmethod
    def _read(envelope: Envelope, kwargs: Mapping[str, Any], continuation: Mapping[str, Any]) -> _Coming:
        try:
            step, kind = str(kwargs["step"]), kwargs[ONWARD]
            place = StepRef(envelope.correlation_id, str(kwargs["flow"]), step)
            value = value_in(envelope, joined=kind == "joined", item=kind == "item")
            cursor = Cursor(after_which(step), continuation.get("chain") or [], continuation.get("chord"))
            return _Coming(place, advance.checked(cursor), value, envelope)
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
            raise InvalidData("the message of what goes on is malformed", "nothing has gone on") from error


def value_in(envelope: Envelope, *, joined: bool, item: bool) -> Value:
    """The value that an envelope carries: the message beside it says whether joins put it together, or it is an item."""
    schema = "" if joined else envelope.data_schema
    return Value(schema, envelope.data, envelope.join_schemas or "", joined=joined, item=item)
