"""Skipping: a parked step gets its outcome from a person, and the run goes on as if its agent had made it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from handoffs.contracts import strictjson
from handoffs.contracts.contract import Contract
from handoffs.contracts.envelope import Envelope
from handoffs.contracts.errors import CoordinationError
from handoffs.contracts.event import Nothing
from handoffs.coordinator.continuation import advance
from handoffs.coordinator.continuation.moves import Cursor, Go, Move, Value
from handoffs.coordinator.dispatch.sender import send
from handoffs.coordinator.history import Entry, EntryKind, now
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.journal.letters import LetterRow
from handoffs.coordinator.messaging.envelopes import Sending
from handoffs.coordinator.messaging.wire import read_body
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.record import Record, StepRef

_ABOVE_ALL = 2**53
"""A fence above every lease's: whoever still holds one comes too late."""


def skip(
    services: Services,
    journal: Journal,
    row: LetterRow,
    output: Contract,
    events: Sequence[Contract] = (),
    *,
    by: str,
    why: str,
) -> None:
    """Settle the step of a letter with ``output``, and send what follows it, and the ``events`` that its agent would have
    emitted; where it was called by an event, ``output`` is one of them.

    Raises :class:`CoordinationError` where the letter cannot be read or its step has an outcome by now, and
    :class:`~handoffs.coordinator.errors.ServerError`.
    """
    if "body" not in row.message:
        raise CoordinationError(
            f"dead letter {row.id} cannot be read, so what follows its step is not known",
            "it stays where it is",
        )
    text, kwargs, continuation = read_body(
        row.message["body"], "application/json", services.settings.message_limits
    )
    envelope = Envelope.decode(text, services.settings.message_limits)
    place = StepRef(row.run, row.flow, row.step)
    heard = "event" in kwargs
    if heard and not isinstance(output, Nothing):
        events = (output, *events)
    emitted = [(event.ref().uri, event.to_data()) for event in events]
    record = Record(
        output.ref().uri, strictjson.dumps(output.to_data()), strictjson.dumps(emitted) if emitted else ""
    )
    moves: list[Move] = list(advance.emitted(place.step, place.flow, emitted))
    typed = {go.send.step: event for go, event in zip(moves, events, strict=True) if isinstance(go, Go)}
    if not heard:
        cursor = Cursor(str(kwargs["step"]), continuation.get("chain") or [], continuation.get("chord"))
        moves = [*advance.after(cursor, Value(record.schema, json.loads(record.data))), *moves]
    route = services.router.route(moves, record, output, typed)
    entry = Entry(
        EntryKind.SKIPPED, row.run, row.flow, now(), step=row.step, agent=row.agent, message=row.id, by=by, error=why,
        wrote=str(output.ref()), output=output.redacted(), event=envelope.id if heard else "",
        emitted=route.emissions(row.run),
    )  # fmt: skip
    undo = kwargs.get("undo")
    settling = replace(route.advance(), undo=json.dumps({"step": row.step, **undo}) if undo else "")
    settled = services.store.settle_known(
        place, fence=_ABOVE_ALL, record=record, entry=entry.fields(), onward=settling
    )
    if settled.verdict not in {"settled", "again"}:
        raise CoordinationError(
            f"step {row.step} of run {row.run} has an outcome, or its run has ended ({settled.verdict})",
            "it was not skipped",
        )
    keys = {step: event.key() for step, event in typed.items()}
    sending = Sending(row.run, cause=envelope, key=output.key(), keys=keys)
    services.perform(send(services.router.outgoing(place, route, settled), sending, declare=True))
    journal.letters.mark(row.id, "settled")
    journal.actions.record("skip", who=by, run=row.run, letter=row.id, note=why)
