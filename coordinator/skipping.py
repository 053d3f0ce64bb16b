"""Skipping: a parked step gets its outcome from a person, and the run goes on as if its agent had made it."""

from __future__ import annotations

import json

from contracts import strictjson
from contracts.contract import Contract
from contracts.envelope import Envelope
from contracts.errors import CoordinationError
from contracts.strictjson import Limits
from coordinator import course
from coordinator.course import Cursor, Value
from coordinator.engine import Engine
from coordinator.handoff import compose
from coordinator.history import Entry, now
from coordinator.journal.journal import Journal, LetterRow
from coordinator.message import message
from coordinator.passing import Passing
from coordinator.store.store import Place, Record
from coordinator.task import read_body

_ABOVE_ALL = 2**53
"""A fence above every lease's: whoever still holds one comes too late."""


def skip(engine: Engine, journal: Journal, row: LetterRow, output: Contract, *, by: str, why: str) -> None:
    """Settle the step of a letter with ``output``, and send what follows it.

    Raises :class:`CoordinationError` where the letter cannot be read or its step has an outcome by now, and
    :class:`~coordinator.errors.ServerError`.
    """
    if "body" not in row.message:
        raise CoordinationError(
            f"dead letter {row.id} cannot be read, so what follows its step is not known",
            "it stays where it is",
        )
    text, kwargs, continuation = read_body(row.message["body"], "application/json", _limits(engine))
    envelope = Envelope.decode(text, _limits(engine))
    place = Place(row.run, row.flow, row.step)
    record = Record(output.ref().uri, strictjson.dumps(output.to_data()))
    cursor = Cursor(str(kwargs["step"]), continuation.get("chain") or [], continuation.get("chord"))
    passing = Passing(engine.store, engine.negotiator)
    onward = passing.onward(
        course.after(cursor, Value(record.schema, json.loads(record.data))), record, output
    )
    entry = Entry(
        "skipped", row.run, row.flow, now(), step=row.step, agent=row.agent, message=row.id, by=by, error=why,
        wrote=str(output.ref()), output=output.redacted(),
    )  # fmt: skip
    settled = engine.store.settle_known(
        place, fence=_ABOVE_ALL, record=record, entry=entry.fields(), onward=onward.advance()
    )
    if settled.verdict not in {"settled", "again"}:
        raise CoordinationError(
            f"step {row.step} of run {row.run} has an outcome, or its run has ended ({settled.verdict})",
            "it was not skipped",
        )
    for out in passing.outgoing(place, onward, settled):
        engine.publisher.declare([out.send.agent])
        key = output.key() if out.own else None
        sent = compose(
            run=row.run, step=out.send.step, written=out.written, key=key, source="/coordinator", cause=envelope,
            join_schemas=out.parts, fallback=out.fallback,
        )  # fmt: skip
        engine.publisher.publish([message(out.send, sent)], delay=out.wait or None, exact=True)
    journal.mark_settled(row.id)
    journal.act("skip", who=by, run=row.run, letter=row.id, note=why)


def _limits(engine: Engine) -> Limits:
    size = engine.settings.max_message_bytes
    return Limits(octets=size * 2 + 65_536, text_length=size)
