"""Skipping: a parked step gets its outcome from a person, and the run goes on as if its agent had made it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from handoffs.contracts import strictjson
from handoffs.contracts.contract import Contract
from handoffs.contracts.envelope import Envelope
from handoffs.contracts.errors import CoordinationError
from handoffs.contracts.event import Nothing
from handoffs.coordinator.continuation import advance
from handoffs.coordinator.continuation.moves import Cursor, Move, Value
from handoffs.coordinator.dispatch.sender import send
from handoffs.coordinator.history import Entry, EntryKind, now
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.journal.letters import LetterRow
from handoffs.coordinator.messaging.envelopes import Sending
from handoffs.coordinator.messaging.wire import Body, read_body
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.record import Record, StepRef
from handoffs.coordinator.store.settlement import SettleVerdict

_ABOVE_ALL = 2**53
"""A fence above every lease's: whoever still holds one comes too late."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a person gives a step: as it is recorded, the events among what follows it, and what comes next."""

    record: Record
    events: dict[str, Contract]
    moves: tuple[Move, ...]


class Skips:
    """Gives parked steps their outcome, for the operators of one installation."""

    def __init__(self, services: Services, journal: Journal) -> None:
        self._services = services
        self._journal = journal

    def skip(
        self, row: LetterRow, output: Contract, events: Sequence[Contract] = (), *, by: str, why: str
    ) -> None:
        """Settle the step of a letter with ``output``, and send what follows it, and the ``events`` that its agent would have
        emitted; where it was called by an event, ``output`` is one of them.

        Raises :class:`CoordinationError` where the letter cannot be read or its step has an outcome by now, and
        :class:`~handoffs.coordinator.errors.ServerError`.
        """
        services, place = self._services, StepRef(row.run, row.flow, row.step)
        body, envelope = self._read(row)
        called_by_event = "event" in body.kwargs
        if called_by_event and not isinstance(output, Nothing):
            events = (output, *events)
        made = _made(place, body, output, events)
        route = services.router.writer.route(made.moves, made.record, output, made.events)
        entry = Entry(
            EntryKind.SKIPPED, row.run, row.flow, now(), step=row.step, agent=row.agent, message=row.id, by=by,
            error=why, wrote=str(output.ref()), output=output.redacted(),
            event=envelope.id if called_by_event else "", emitted=route.emissions(row.run),
        )  # fmt: skip
        undo = body.kwargs.get("undo")
        onward = replace(route.advance(), undo=json.dumps({"step": row.step, **undo}) if undo else "")
        settled = services.store.settle_known(
            place, fence=_ABOVE_ALL, record=made.record, entry=entry.fields(), onward=onward
        )
        if settled.verdict not in {SettleVerdict.SETTLED, SettleVerdict.AGAIN}:
            raise CoordinationError(
                f"step {row.step} of run {row.run} has an outcome, or its run has ended ({settled.verdict})",
                "it was not skipped",
            )
        keys = {step: event.key() for step, event in made.events.items()}
        sending = Sending(row.run, cause=envelope, key=output.key(), keys=keys)
        services.perform(send(services.router.outgoing(place, route, settled), sending, declare=True))
        self._journal.letters.mark(row.id, "settled")
        self._journal.actions.record("skip", who=by, run=row.run, letter=row.id, note=why)

    def _read(self, row: LetterRow) -> tuple[Body, Envelope]:
        if "body" not in row.message:
            raise CoordinationError(
                f"dead letter {row.id} cannot be read, so what follows its step is not known",
                "it stays where it is",
            )
        limits = self._services.settings.message_limits
        body = read_body(row.message["body"], "application/json", limits)
        return body, Envelope.decode(body.envelope, limits)


def _made(place: StepRef, body: Body, output: Contract, events: Sequence[Contract]) -> _Outcome:
    emitted = [(event.ref().uri, event.to_data()) for event in events]
    text = strictjson.dumps(emitted) if emitted else ""
    record = Record(output.ref().uri, strictjson.dumps(output.to_data()), text)
    goes = advance.emitted(place.step, place.flow, emitted)
    moves: list[Move] = [*goes]
    if "event" not in body.kwargs:
        rest = body.continuation
        cursor = Cursor(str(body.kwargs["step"]), rest.get("chain") or [], rest.get("chord"))
        moves = [*advance.after(cursor, Value(record.schema, json.loads(record.data))), *goes]
    return _Outcome(
        record, {go.send.step: event for go, event in zip(goes, events, strict=True)}, tuple(moves)
    )
