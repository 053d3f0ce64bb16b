"""Skipping: a parked step gets its outcome from a person, and the run goes on as if its agent had made it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from handoffs.contracts import strictjson
from handoffs.contracts.contract import Contract, ContractRef
from handoffs.contracts.envelope import Envelope
from handoffs.contracts.errors import CoordinationError
from handoffs.contracts.event import Nothing
from handoffs.contracts.searchable import marks
from handoffs.coordinator.continuation import advance
from handoffs.coordinator.continuation.moves import Cursor, Move, Value
from handoffs.coordinator.continuation.path import is_timer, timed
from handoffs.coordinator.continuation.signature import ONWARD
from handoffs.coordinator.dispatch.route import too_large_for_join
from handoffs.coordinator.dispatch.sender import prepared, send
from handoffs.coordinator.errors import RunCancelled
from handoffs.coordinator.handoff.failure import FailureKind
from handoffs.coordinator.handoff.undo import check_undo, with_undo
from handoffs.coordinator.history import Entry, EntryKind, now
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.journal.letter_row import LetterRow
from handoffs.coordinator.letters.ended import ended_as
from handoffs.coordinator.letters.replay import revived
from handoffs.coordinator.messaging.envelopes import Sending
from handoffs.coordinator.messaging.trace_context import carried, current, goes_on
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

        Raises :class:`~handoffs.contracts.errors.TooLarge` where what follows would be too large for a message;
        :class:`CoordinationError` where the letter cannot be read or its step has an outcome by now,
        :class:`~handoffs.coordinator.errors.RunCancelled`, and
        :class:`~handoffs.coordinator.errors.ServerError`.
        """
        services = self._services
        row = revived(row, services.settings.message_limits)
        body, envelope = self._read(row)
        place = StepRef(row.run, row.flow, row.step)
        self._refuse_spent(place)
        called_by_event = "event" in body.kwargs
        if called_by_event and not isinstance(output, Nothing):
            events = (output, *events)
        for given in (output, *events):
            services.room.check_payload(given)
        outcome = _made(place, body, output, events)
        route = services.router.writer.route(outcome.moves, outcome.record, output, outcome.events)
        keys = {step: event.key() for step, event in outcome.events.items()}
        sending = Sending(row.run, cause=envelope, key=output.key(), keys=keys)
        route, sending = prepared(route, sending, services.room)
        check_undo(place, body.kwargs, outcome.record, services.room)
        services.perform(services.router.foreseen(place, route.moves, sending))
        shown = output.redacted()
        entry = Entry(
            EntryKind.SKIPPED, row.run, row.flow, now(), step=row.step, agent=row.agent, message=row.id, by=by,
            error=why, wrote=str(output.ref()), output=shown, marks=marks((type(output), shown)),
            event=envelope.id if called_by_event else "", emitted=route.emissions(row.run),
        )  # fmt: skip
        onward = with_undo(route.advance(), row.step, body.kwargs)
        settled = services.store.settle_known(
            place, fence=_ABOVE_ALL, record=outcome.record, entry=entry.fields(), onward=onward
        )
        if settled.verdict is SettleVerdict.TOO_LARGE:
            raise too_large_for_join(settled, route.most)
        if settled.undo and settled.verdict is SettleVerdict.UNDO:  # its run was cancelled right now
            services.perform(
                send(
                    services.router.undone(place, settled.undo),
                    Sending(row.run, trace=goes_on(current(), carried(envelope))),
                    declare=True,
                )
            )
        if settled.verdict not in {SettleVerdict.SETTLED, SettleVerdict.AGAIN}:
            raise _refused(place, ended_as(services, place))
        services.perform(send(services.router.outgoing(place, route, settled), sending, declare=True))
        self._journal.letters.mark(row.id, "settled")
        self._journal.actions.record("skip", who=by, run=row.run, letter=row.id, note=why)

    def refuse(self, row: LetterRow) -> None:
        """Raise :class:`CoordinationError` where nobody can give the step of a letter an outcome, whichever it is
        (:class:`~handoffs.coordinator.errors.RunCancelled` for that): to be asked before one is looked at."""
        place = StepRef(row.run, row.flow, row.step)
        status = ended_as(self._services, place) if row.run else ""
        if status in {"cancelled", "compensating"}:
            raise _refused(place, status)
        if row.kind == FailureKind.NOT_PASSED_ON and not is_timer(row.step):
            raise CoordinationError(
                f"step {row.step} of run {row.run} has an outcome already, and only what follows cannot be sent: {row.text}",
                "it was not skipped: an outcome stands, and no other takes its place",
                "mend what keeps the next message from being sent, then replay it; or cancel the run, or give it up",
            )

    def given_by_timer(self, row: LetterRow) -> ContractRef:
        """The contract version of what a timer gives, by its letter: what stands in for a step, or what goes on after a delay.

        Raises :class:`CoordinationError` where no person can give it.
        """
        body, envelope = self._read(row)
        fallback = body.kwargs.get("fallback") or {}
        while "key" in fallback:
            fallback = fallback["otherwise"]
        schema = (
            envelope.data_schema if body.kwargs.get(ONWARD) in {"own", "item"} else fallback.get("schema")
        )
        if not isinstance(schema, str):
            raise CoordinationError(
                f"what step {row.step} of run {row.run} gives was put together of several, or an agent makes it",
                "it was not skipped",
                "skip the steps before it, or replay it when what keeps it is mended",
            )
        return ContractRef.from_uri(schema)

    def _refuse_spent(self, place: StepRef) -> None:
        """Raise where the place of a timer is taken: only what follows is still to be sent."""
        if is_timer(place.step) and self._services.store.stood_in(place, timed(place.step)):
            raise CoordinationError(
                f"something has come out of step {timed(place.step)} of run {place.run} already",
                "its timer was not skipped",
                "replay it when what keeps the next message from being sent is mended",
            )

    def _read(self, row: LetterRow) -> tuple[Body, Envelope]:
        row = revived(row, self._services.settings.message_limits)
        if "body" not in row.message or not row.run:
            raise CoordinationError(
                f"dead letter {row.id} cannot be read, so what follows its step is not known",
                "it stays where it is",
                f"look at what is there: coordinator dead-letters show {row.id}",
            )
        limits = self._services.settings.message_limits
        body = read_body(row.message["body"], "application/json", limits)
        return body, Envelope.bare(body.envelope, limits)


def _refused(place: StepRef, status: str) -> CoordinationError:
    """The error for a step that has an outcome, or whose run has ended as ``status`` says."""
    what, look = (
        f"step {place.step} of run {place.run} cannot be skipped",
        "look at the run: coordinator runs show RUN",
    )
    if status in {"cancelled", "compensating"}:
        return RunCancelled(f"{what}: its run is {status}", "nothing was changed", look)
    also = f", and its run is {status}" if status else ""
    return CoordinationError(f"{what}: it has an outcome already{also}", "nothing was changed", look)


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
