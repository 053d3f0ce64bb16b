"""Replay: a parked message is sent on its way again, from where its run stands."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from handoffs.config.user import current_user
from handoffs.contracts.dataref import Fetch
from handoffs.contracts.envelope import Envelope
from handoffs.contracts.errors import CoordinationError, InvalidInput, TooLarge
from handoffs.contracts.strictjson import Limits
from handoffs.coordinator.continuation.path import follows_event, is_undo
from handoffs.coordinator.errors import LetterClosed, RunCancelled
from handoffs.coordinator.handoff.edit import Edit, number_of, shown_as
from handoffs.coordinator.handoff.failure import REMEDIES, Failure, FailureKind, remedy_of
from handoffs.coordinator.history import Entry, EntryKind, now
from handoffs.coordinator.journal.edits import EditRow
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.journal.letter_row import LetterRow
from handoffs.coordinator.letters.ended import ended_as
from handoffs.coordinator.messaging.content import agrees
from handoffs.coordinator.messaging.message import Message, rewritten
from handoffs.coordinator.messaging.spans import linked
from handoffs.coordinator.messaging.wire import read_body, read_message
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.record import StepRef


class Replays:
    """Replays the letters of one installation."""

    def __init__(self, services: Services, journal: Journal) -> None:
        self._services = services
        self._journal = journal

    def refusal(self, row: LetterRow) -> str:
        """Why a replay of a letter would be refused, in words; empty where nothing speaks against it. Nothing is changed."""
        if closed := self._closed(row):
            return closed
        row = revived(row, self._services.settings.message_limits)
        if "body" not in row.message:
            return f"it cannot be replayed: {row.text}"
        record = self._services.runs.state(row.run) if row.run else None
        if record and (
            record.status == "cancelled" or (record.status == "compensating" and not is_undo(row.step))
        ):
            return f"its run is {record.status}"
        return ""

    def replay(self, row: LetterRow, by: str = "", why: str = "", after: int | None = None) -> None:
        """Send the step of a letter on its way again. Doing it twice has one effect. ``by`` and ``why`` are kept. Of two who send the replay
        that comes ``after`` so many, each sends the same one.

        Raises :class:`~handoffs.coordinator.errors.RunCancelled` where its run was cancelled, :class:`CoordinationError` where the
        letter has no message of ours, :class:`~handoffs.contracts.errors.TooLarge` where it is one that nobody could read, and :class:`~handoffs.coordinator.errors.ServerError`: then it waits as before.
        """
        row = self.edited(revived(row, self._services.settings.message_limits))
        if "body" not in row.message:
            raise CoordinationError(
                f"dead letter {row.id} cannot be replayed: {row.text}",
                "it stays where it is",
                remedy_of(row.kind, row.id),
            )
        if row.kind in {FailureKind.TOO_LARGE, FailureKind.UNDECODABLE}:
            self._refuse_too_large(Message.restored(row.message))
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
            why=why,
        )
        failed = _span_of(self._services.runs.parked(place) if row.run else None)
        status = self._services.runs.unpark(place, entry.fields()) if row.run else ""
        if status == "cancelled" or (status == "compensating" and not is_undo(row.step)):
            self._journal.letters.cancel_run(row.run)
            raise RunCancelled(
                f"run {row.run} was cancelled", "its dead letters are not replayed", "start a new run"
            )
        self._send(row, self._journal.letters.count_replay(row.id, after), failed)
        self._journal.actions.record("replay", who=who, run=row.run, letter=row.id, note=why)

    def finish(self, row: LetterRow, by: str = "", why: str = "") -> None:
        """Send a letter whose replay was counted, and of which nobody knows whether it was sent: under the number that it was counted
        with, so that it is a copy of what may be on its way, and no replay of its own. Raises what :meth:`replay` raises."""
        row = self.edited(revived(row, self._services.settings.message_limits))
        place = StepRef(row.run, row.flow, row.step)
        reason = self._services.runs.parked(place) if row.run else None
        marked = Failure.read(reason).replays if reason is not None else -1
        if marked < row.replays:  # else it was sent, and has failed again
            if reason is not None:  # it could not be sent, and was marked as before
                self._services.runs.unpark(place, {})
            self._send(row, row.replays, _span_of(reason))
        self._journal.actions.record("replay", who=by or current_user(), run=row.run, letter=row.id, note=why)

    def _send(self, row: LetterRow, number: int, failed: str = "") -> None:
        """Publish a letter as its replay of that number, with a link to the span of what has ``failed``; where that fails, it waits as
        before."""
        message = linked(Message.restored(row.message).replayed(number), [failed])
        try:
            self._services.payloads.renew(message.body)  # from now on no letter says that it is needed
            self._services.publisher.declare(
                [] if follows_event(row.step) or message.event else [message.agent], again=True
            )
            self._services.publisher.publish([message])
        except Exception:  # a server that fails, or a message that it does not take
            failure = _failure(row)
            if row.run:
                place = StepRef(row.run, row.flow, row.step)
                self._services.store.park(place, failure.fields(), None, settled=failure.settled)
            raise
        self._journal.letters.mark_replayed(row)

    def refuse_closed(self, row: LetterRow) -> None:
        """Raise :class:`~handoffs.coordinator.errors.LetterClosed` where a letter that somebody names does not wait any more."""
        if closed := self._closed(row):
            raise LetterClosed(
                f"dead letter {row.id} does not wait any more: {closed}",
                "nothing was replayed",
                f"look at its run: coordinator runs show {row.run}"
                if row.run
                else "list what waits: coordinator dead-letters list",
            )

    def _closed(self, row: LetterRow) -> str:
        """Why a letter waits no more, in words; empty where it does, where its step is parked again and the journal does not say so yet,
        and where it was replayed and its step is still on its way: then it does no harm."""
        place = StepRef(row.run, row.flow, row.step)
        if row.state not in {"replayed", "settled"} or (
            row.run and self._services.runs.parked(place) is not None
        ):
            return ""
        if row.state == "settled":
            return "its step has its outcome"
        if row.run and (status := ended_as(self._services, place)):
            return f"it was replayed, and its run is {status}"
        settled = row.run and row.kind != FailureKind.NOT_PASSED_ON and self._services.store.settled(place)
        return "it was replayed, and its step has its outcome" if settled else ""

    def _refuse_too_large(self, message: Message) -> None:
        """Raise :class:`~handoffs.contracts.errors.TooLarge` where the message would come back unread."""
        room = self._services.room
        room.check(message)
        try:
            text = read_body(message.body, "application/json", room.message).envelope
            Envelope.decode(text, room.envelope, self._services.payloads.fetch)
        except TooLarge as error:
            raise TooLarge(error.cause, "it stays where it is", REMEDIES[FailureKind.TOO_LARGE]) from None
        except InvalidInput:  # its agent says why
            return

    def edited(self, row: LetterRow) -> LetterRow:
        """The letter with the input that a person gave to its step, if the run has one that is newer than the message's."""
        edited, edit = self.applied(row)
        if edit is not None:
            sent = self._services.payloads.lighten(
                edited.message["body"]
            )  # so that a copy that comes back is known
            edited = replace(edited, message={**edited.message, "body": sent})
            before = EditRow(row.id, edit.number, edit.at, edit.by, edit.why, row.message)
            self._journal.edits.keep(before, edited.message)
        return edited

    def applied(self, row: LetterRow) -> tuple[LetterRow, Edit | None]:
        """The same, and that edit; nothing is written down."""
        if not row.run or not row.step:
            return row, None
        try:
            edit = Edit.parse(self._services.store.edit_of(StepRef(row.run, row.flow, row.step)))
            if edit is None:
                return row, None
            envelope, kwargs, continuation = read_letter(row, self._services.settings.message_limits)
            if number_of(kwargs) >= edit.number:
                return row, None
            envelope, kwargs = edit.applied(envelope, kwargs)
        except InvalidInput:
            return row, None  # a replay says why
        message = rewritten(Message.restored(row.message), envelope.encode(), kwargs, continuation)
        stored = replace(message, headers=shown_as(message.headers, envelope)).stored()
        return replace(row, message=stored), edit


def revived(row: LetterRow, limits: Limits) -> LetterRow:
    """A letter that was kept as bytes because nobody could read it, as the message that it is where that can be read by now: a limit
    was raised, or it is read by a newer release. Otherwise the letter as it is."""
    if "body" in row.message or "fault" in row.message or not isinstance(row.message.get("body_base64"), str):
        return row
    headers = row.message.get("headers") or {}
    try:
        body = base64.b64decode(row.message["body_base64"])
        read = read_message(headers, body, "application/json", "utf-8", limits)
        message = Message(headers["id"], headers["task"], headers, body.decode())
    except (InvalidInput, ValueError):
        return row
    run, flow, step = (headers[f"handoff_{name}"] for name in ("run", "flow", "step"))
    if row.run or not agrees(message.id, run, step, read.envelope, read.kwargs):
        return replace(row, message=message.stored())
    return replace(row, message=message.stored(), run=run, flow=flow, step=step)


def read_letter(
    row: LetterRow, limits: Limits, fetch: Fetch | None = None
) -> tuple[Envelope, dict[str, Any], dict[str, Any]]:
    """The envelope, the arguments and the continuation of a letter's message. ``fetch`` brings data that is kept elsewhere; without it, such an
    envelope is :meth:`~handoffs.contracts.envelope.Envelope.bare`. Raises :class:`InvalidInput` where it has none of them."""
    row = revived(row, limits)
    if "body" not in row.message:
        raise InvalidInput(f"dead letter {row.id} is no message of this system")
    text, kwargs, continuation = read_body(row.message["body"], "application/json", limits)
    envelope = Envelope.decode(text, limits, fetch) if fetch else Envelope.bare(text, limits)
    return envelope, kwargs, continuation


def _span_of(reason: Mapping[str, Any] | None) -> str:
    """The span of the handoff that parked a step, where one was recorded."""
    return Failure.read(reason).span if reason is not None else ""


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
        trace=row.trace,
        replays=row.replays,
    )
