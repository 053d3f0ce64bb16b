"""Replay: a parked message is sent on its way again, from where its run stands."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from handoffs.config.user import current_user
from handoffs.contracts.envelope import Envelope
from handoffs.contracts.errors import CoordinationError, InvalidInput
from handoffs.contracts.strictjson import Limits
from handoffs.coordinator.continuation.path import follows_event, is_undo
from handoffs.coordinator.errors import RunCancelled, ServerError
from handoffs.coordinator.handoff.edit import Edit, number_of, shown_as
from handoffs.coordinator.handoff.failure import REMEDIES, Failure
from handoffs.coordinator.history import Entry, EntryKind, now
from handoffs.coordinator.journal.edits import EditRow
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.journal.letters import LetterRow
from handoffs.coordinator.messaging.message import Message, rewritten
from handoffs.coordinator.messaging.wire import read_body
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.record import StepRef


class Replays:
    """Replays the letters of one installation."""

    def __init__(self, services: Services, journal: Journal) -> None:
        self._services = services
        self._journal = journal

    def replay(self, row: LetterRow, by: str = "") -> None:
        """Send the step of a letter on its way again. Doing it twice has one effect.

        Raises :class:`~handoffs.coordinator.errors.RunCancelled` where its run was cancelled, :class:`CoordinationError` where the
        letter has no message of ours, and :class:`~handoffs.coordinator.errors.ServerError`: then it waits as before.
        """
        row = self.edited(row)
        if "body" not in row.message:
            raise CoordinationError(
                f"dead letter {row.id} cannot be replayed: {row.text}",
                "it stays where it is",
                REMEDIES[row.kind],
            )
        who = by or current_user()
        place = StepRef(row.run, row.flow, row.step)
        entry = Entry(
            EntryKind.REPLAYED,
            row.run,
            row.flow,
            now(),
            step=row.step,
            agent=row.agent,
            message=row.id,
            by=who,
        )
        status = self._services.runs.unpark(place, entry.fields())
        if status == "cancelled" or (status == "compensating" and not is_undo(row.step)):
            self._journal.letters.cancel_run(row.run)
            raise RunCancelled(
                f"run {row.run} was cancelled", "its dead letters are not replayed", "start a new run"
            )
        message = Message.restored(row.message).replayed(self._journal.letters.count_replay(row.id))
        try:
            self._services.publisher.declare(
                [] if follows_event(row.step) or message.event else [message.agent], again=True
            )
            self._services.publisher.publish([message])
        except ServerError:
            self._services.store.park(place, _failure(row).fields(), None)  # it waits as before
            raise
        self._journal.letters.mark_replayed(row)
        self._journal.actions.record("replay", who=who, run=row.run, letter=row.id)

    def edited(self, row: LetterRow) -> LetterRow:
        """The letter with the input that a person gave to its step, if the run has one that is newer than the message's."""
        try:
            edit = Edit.parse(self._services.store.edit_of(StepRef(row.run, row.flow, row.step)))
            if edit is None:
                return row
            envelope, kwargs, continuation = read_letter(row, self._services.settings.message_limits)
            if number_of(kwargs) >= edit.number:
                return row
            envelope, kwargs = edit.applied(envelope, kwargs)
        except InvalidInput:
            return row  # a replay says why
        message = rewritten(Message.restored(row.message), envelope.encode(), kwargs, continuation)
        stored = replace(message, headers=shown_as(message.headers, envelope)).stored()
        before = EditRow(row.id, edit.number, edit.at, edit.by, edit.why, row.message)
        self._journal.edits.keep(before, stored)
        return replace(row, message=stored)


def read_letter(row: LetterRow, limits: Limits) -> tuple[Envelope, dict[str, Any], dict[str, Any]]:
    """The envelope, the arguments and the continuation of a letter's message. Raises :class:`InvalidInput` where it has
    none of them."""
    if "body" not in row.message:
        raise InvalidInput(f"dead letter {row.id} is no message of this system")
    text, kwargs, continuation = read_body(row.message["body"], "application/json", limits)
    return Envelope.decode(text, limits), kwargs, continuation


def _failure(row: LetterRow) -> Failure:
    """Why a letter waits, as it was marked at its run."""
    kind: Any = row.kind
    return Failure(
        kind=kind,
        error=row.error,
        text=row.text,
        message=row.id,
        agent=row.agent,
        attempt=row.attempt,
        at=row.last_failed_at,
        contract=row.contract,
        worker=row.worker,
        payload=row.payload,
    )
