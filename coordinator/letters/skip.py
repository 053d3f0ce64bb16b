"""Skipping: a parked step gets its outcome from a person, and the run goes on as if its agent had made it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from handoffs.contracts import strictjson
from handoffs.contracts.contract import Contract
from handoffs.contracts.envelope import Envelope
from handoffs.contracts.errors import CoordinationError
from handoffs.contracts.event import Nothing
from handoffs.coordinator.continuation import advance as course
from handoffs.coordinator.continuation.advance import Cursor, Go, Move, Value
from handoffs.coordinator.dispatch.routing import Passing
from handoffs.coordinator.history import Entry, now
from handoffs.coordinator.journal.journal import Journal, LetterRow
from handoffs.coordinator.messaging.envelopes import compose, emissions
from handoffs.coordinator.messaging.message import message
from handoffs.coordinator.runtime.engine import Engine
from handoffs.coordinator.runtime.task import read_body
from handoffs.coordinator.store.record import Place, Record

_ABOVE_ALL = 2**53
"""A fence above every lease's: whoever still holds one comes too late."""


def skip(
    engine: Engine,
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
        row.message["body"], "application/json", engine.settings.message_limits
    )
    envelope = Envelope.decode(text, engine.settings.message_limits)
    place = Place(row.run, row.flow, row.step)
    heard = "event" in kwargs
    if heard and not isinstance(output, Nothing):
        events = (output, *events)
    emitted = [(event.ref().uri, event.to_data()) for event in events]
    record = Record(
        output.ref().uri, strictjson.dumps(output.to_data()), strictjson.dumps(emitted) if emitted else ""
    )
    moves: list[Move] = list(course.emitted(place.step, place.flow, emitted))
    typed = {go.send.step: event for go, event in zip(moves, events, strict=True) if isinstance(go, Go)}
    if not heard:
        cursor = Cursor(str(kwargs["step"]), continuation.get("chain") or [], continuation.get("chord"))
        moves = [*course.after(cursor, Value(record.schema, json.loads(record.data))), *moves]
    passing = Passing(engine.store, engine.negotiator)
    onward = passing.onward(moves, record, output, typed)
    entry = Entry(
        "skipped", row.run, row.flow, now(), step=row.step, agent=row.agent, message=row.id, by=by, error=why,
        wrote=str(output.ref()), output=output.redacted(), event=envelope.id if heard else "",
        emitted=emissions(row.run, onward),
    )  # fmt: skip
    undo = kwargs.get("undo")
    advance = replace(onward.advance(), undo=json.dumps({"step": row.step, **undo}) if undo else "")
    settled = engine.store.settle_known(
        place, fence=_ABOVE_ALL, record=record, entry=entry.fields(), onward=advance
    )
    if settled.verdict not in {"settled", "again"}:
        raise CoordinationError(
            f"step {row.step} of run {row.run} has an outcome, or its run has ended ({settled.verdict})",
            "it was not skipped",
        )
    for out in chain.from_iterable(passing.outgoing(place, onward, settled)):
        engine.publisher.declare([out.send.agent])
        key = (typed.get(out.send.step) or output).key() if out.own else None
        sent = compose(
            run=row.run, step=out.send.step, written=out.written, key=key, source="/coordinator", cause=envelope,
            join_schemas=out.parts, fallback=out.fallback,
        )  # fmt: skip
        engine.publisher.publish([message(out.send, sent)], delay=out.wait or None, exact=True)
    journal.mark(row.id, "settled")
    journal.act("skip", who=by, run=row.run, letter=row.id, note=why)
