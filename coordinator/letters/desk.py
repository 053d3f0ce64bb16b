"""The desk: what cannot go on is kept here, looked at, and sent on its way again."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Unpack

from handoffs.contracts.errors import InvalidInput
from handoffs.contracts.text import is_plain, printable, quoted
from handoffs.coordinator.cases.case import ExportedCase
from handoffs.coordinator.continuation.path import (
    budgets_around,
    follows_event,
    is_onward,
    is_set,
    is_timer,
    is_undo,
    timed,
)
from handoffs.coordinator.continuation.signature import EVENT, TIMER
from handoffs.coordinator.errors import ExportRefused, Refused, SealBroken, UnknownLetter
from handoffs.coordinator.handoff.failure import (
    NOWHERE,
    Failure,
    FailureKind,
    describe,
    kind_of,
    parked_entry,
)
from handoffs.coordinator.history import EntryKind, now
from handoffs.coordinator.journal.edits import EditNote, EditRow
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.journal.letter_row import LetterDetails, LetterRow, LetterSummary
from handoffs.coordinator.journal.letters import LetterFilter
from handoffs.coordinator.letters.apart import Apart
from handoffs.coordinator.letters.diagnosis import Diagnosis, Finding
from handoffs.coordinator.letters.letter import Letter
from handoffs.coordinator.letters.raw import RawLetter
from handoffs.coordinator.letters.replay import Replays, read_letter
from handoffs.coordinator.letters.returns import Returns
from handoffs.coordinator.letters.unfit import bare_letter
from handoffs.coordinator.messaging.address import addressed
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.messaging.wire import read_message
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.record import StepRef

_log = logging.getLogger(__name__)

_OUTCOME = frozenset({"settled", "deduplicated", "skipped", "fallback"})
"""The kinds of entries that say that a step has its outcome."""

_SET = re.compile(r"[a-z0-9.-]+/[0-9a-f]{40}\Z")

_PASSED_ON = "handoff_passed_on"
"""The header of a message that was sent once more because its step was settled: that is done once."""


class Desk:
    """Receives dead letters, keeps them in the journal, and replays them."""

    def __init__(
        self, services: Services, journal: Journal, exporter: Callable[[Letter], ExportedCase] | None = None
    ) -> None:
        """``exporter`` writes a letter as a test, where agents are loaded."""
        self._services = services
        self._journal = journal
        self._limits = services.settings.message_limits
        self._diagnosis = Diagnosis(self._limits)
        self._replays = Replays(services, journal)
        self._returns = Returns(services)
        self._apart = Apart(journal, self._diagnosis, self._replays)
        self._access = _Access(journal, self._replays, exporter)

    def receive(self, raw: RawLetter) -> LetterRow:
        """Keep a letter, and mark its run as parked; what the broker has given up on and was only waiting is sent back, and is no
        letter. Returns when it is committed; receiving it again changes nothing.

        A letter of its own it is in every case: it takes the place of no other, whatever it says of itself. One that does not carry
        the envelope of the step that it names parks nothing, and closes nothing."""
        found = self._diagnosis.of(self._addressed(raw))
        try:
            return self._received(found)
        except Refused as error:  # for what it is, or for what Redis has in the place of its run
            _log.warning("letter=%s is kept, and its run is not marked: %s", found.id, error)
            row, _ = self._apart.named(found, found.failure)
            self._journal.letters.add(row)
            return row

    def _received(self, found: Finding) -> LetterRow:
        reason = self._services.runs.parked(found.place) if found.agrees else None
        recorded = _recorded(found, reason)
        failure = recorded or found.failure
        row, known = self._apart.named(found, failure)
        if known is not None and recorded is None:
            if known.state == "waiting" and reason is not None:
                return known  # a copy of what waits already says no more than that
            if known.state == "replayed" and found.raw.replays < known.replays:
                return known  # a copy from before the replay, which is on its way, says nothing of that
            if (
                failure.kind == FailureKind.UNKNOWN_AGENT
            ):  # which is a guess, and why it waited before is known
                failure = replace(failure, kind=FailureKind(known.kind), error=known.error, text=known.text)
                row = replace(row, kind=known.kind, error=known.error, text=known.text)
        row = self._replays.edited(row)
        if recorded is None and found.agrees and self._returns.was_waiting(row):
            self._returns.send_back(row)
            return replace(row, state="returned")
        self._journal.letters.add(row)  # first: whatever settles its step from now on finds it
        if not found.agrees:
            _log.warning("letter=%s parks no run: %s", row.id, row.text)
        elif reason is None or recorded is not None:  # what is parked for another message stays so
            marked = recorded is not None and row.id == failure.message
            row = self._parked(found, replace(failure, message=row.id), row, marked=marked)
        return row

    def _parked(self, found: Finding, failure: Failure, row: LetterRow, *, marked: bool) -> LetterRow:
        """Mark the step of a letter as parked; gives the letter as it is then."""
        entry = parked_entry(found.place, failure, found.raw.event)
        status = self._services.store.park(
            found.place, failure.fields(), entry, marked=marked, settled=failure.settled
        )
        if status == "settled":
            self._pass_on(row)
        if status not in {"parked", "gone"}:
            row = replace(row, state="cancelled" if status in {"cancelled", "compensating"} else "settled")
            self._journal.letters.mark(row.id, row.state)
        return row

    def mark(self, raw: RawLetter, error: Exception) -> None:
        """Write down why a message of the coordinator process' own is given up, before it is rejected."""
        found, kind = self._diagnosis.of(raw), FailureKind.ERROR
        if not found.agrees:  # no run hears of it
            return
        place = found.place
        if self._has_stood_in(place):
            kind = FailureKind.NOT_PASSED_ON
        elif isinstance(error, InvalidInput):
            kind = kind_of(error, FailureKind.INVALID_INPUT)
        failure = Failure(
            kind,
            *describe(error),
            message=raw.id,
            agent=printable(raw.headers.get("task") or TIMER, 200),
            attempt=raw.attempt,
            at=now(),
            content=found.content,
            budgets=found.failure.budgets if is_onward(place.step) else "",
        )
        entry = parked_entry(place, failure)
        self._services.store.park(place, failure.fields(), entry, settled=failure.settled)

    def strand(self, place: StepRef, error: Exception) -> None:
        """Park a run at ``place`` of which there is no message that could be sent again, for ``error``."""
        failure = Failure(
            FailureKind.ERROR, *describe(error), message=_stranded(place), agent="", attempt=0, at=now()
        )
        self._journal.letters.add(bare_letter(place, failure))
        try:
            self._services.store.park(place, failure.fields(), parked_entry(place, failure))
        except Refused as refused:
            _log.warning(
                "run=%s has a letter, and is not marked as parked: %s", printable(place.run, 200), refused
            )

    def freed(self, place: StepRef) -> None:
        """A run that :meth:`strand` has parked goes on."""
        self._services.runs.unpark(place, {})
        self._journal.letters.mark(_stranded(place), "settled")

    def _has_stood_in(self, place: StepRef) -> bool:
        """Whether ``place`` is a timer whose fallback has come out of its budget already: only what follows it is still to be sent."""
        if not is_timer(place.step):
            return False
        stands = self._services.store.stood_in(place, timed(place.step))
        return stands is not None and stands[1] not in {"", "agent"}

    def close(self, entries: Iterable[dict[str, Any]]) -> None:
        """Letters that wait for an outcome which their step has by now, as these entries of the history tell, wait no more:
        an old copy of its message may have been parked after the step was sent on its way again."""
        entries = [entry for entry in entries if entry.get("step")]
        steps = {(entry.get("run", ""), entry["step"]) for entry in entries if entry.get("kind") in _OUTCOME}
        signalled = {entry.get("run", "") for entry in entries if entry.get("kind") == EntryKind.SIGNALLED}
        runs = {run for run, _ in steps} | signalled
        if not runs:
            return
        for row in self._journal.letters.waiting(runs):
            if row.kind == FailureKind.NOT_PASSED_ON:  # it has its outcome, and waits for what follows it
                continue
            if (
                row.step == NOWHERE and row.kind == FailureKind.LOST
            ):  # something of the run has come after all
                self._services.runs.unpark(StepRef(row.run, row.flow, row.step), {})
                self._journal.letters.mark(row.id, "settled")
            elif (row.run, row.step) in steps or self._stood_in(row, steps):
                self._journal.letters.mark(row.id, "settled")

    def _stood_in(self, row: LetterSummary, steps: set[tuple[str, str]]) -> bool:
        """Whether something else has come out of a budget in which a letter's step is: a fallback, or what it was to stand in
        for. One of the steps that have an outcome by now tells when to look."""
        if is_undo(row.step) or follows_event(row.step):  # goes on by itself
            return False
        if is_timer(row.step):  # a signal may have come, and no step of its name has an outcome then
            return self._services.runs.taken(row.run, timed(row.step))
        for budget in budgets_around(row.step):
            settled = any(run == row.run and f"{step}.".startswith(f"{budget}.") for run, step in steps)
            if settled and self._services.runs.taken(row.run, budget):
                return True
        return False

    def _pass_on(self, row: LetterRow) -> None:
        """Its step is settled, but perhaps its process died before what follows was published: send it once more, to find that out."""
        if "body" in row.message and not row.message["headers"].get(_PASSED_ON):
            again = Message.restored(row.message).replayed(row.replays)
            self._services.publisher.publish([replace(again, headers={**again.headers, _PASSED_ON: 1})])

    def sets(self, letters: Iterable[LetterSummary]) -> Iterator[str]:
        """The names of the sets for which letters stand: what is replayed are the events that Redis has. Their messages are
        read one at a time; one that cannot be read has none."""
        for one in letters:
            if is_set(one.step):
                with contextlib.suppress(InvalidInput, SealBroken):
                    row = self._journal.letters.get(one.id)
                    _, kwargs, _ = read_letter(row, self._limits) if row else (None, {}, None)
                    if _SET.match(str(kwargs.get("set", ""))):
                        yield kwargs["set"]

    def unheard(self, *raws: RawLetter) -> list[LetterRow]:
        """Keep events without a subscriber, all of them or none. Their stories go on without them. Returns when they are
        committed; keeping them again changes nothing, unless they were replayed meanwhile."""
        found = [self._of_nobody(raw) for raw in raws]
        known = self._journal.letters.failures(one.id for one in found)
        rows: dict[str, LetterRow] = {}
        kept: list[LetterRow] = []
        for one in found:
            row = one.row(one.failure)
            before = rows.get(row.id)
            if before is not None and not self._apart.is_same(one, row, before):
                row, before = one.row(one.failure, id=one.raw.digest), None
            elif before is None and row.id in known:
                row, before = self._apart.named(one, one.failure)
            row = replace(row, state="unheard") if row.kind == FailureKind.UNHEARD else row
            if before is None or _replays(row.message) > _replays(before.message):
                rows[row.id] = row
            kept.append(row)
        self._journal.letters.add_all(list(rows.values()))
        return kept

    def _of_nobody(self, raw: RawLetter) -> Finding:
        """What an event without a subscriber is."""
        found = self._diagnosis.of(raw)
        if not found.agrees or found.failure.kind == FailureKind.UNDECODABLE:
            return found
        text = f"nobody subscribes to {printable(raw.headers.get('handoff_event'), 120)}"
        failure = replace(found.failure, kind=FailureKind.UNHEARD, error="Unheard", text=text, agent="")
        return replace(found, failure=failure)

    def _addressed(self, raw: RawLetter) -> RawLetter:
        """An event that an agent's queue has given up, as the message of that agent."""
        queue = raw.death.get("queue")
        if raw.headers.get("task") != EVENT or not isinstance(queue, str):
            return raw
        agent = self._services.topology.agent_of(queue)
        try:
            read = read_message(raw.headers, raw.body, raw.content_type, raw.content_encoding, self._limits)
        except InvalidInput:
            return raw
        headers, body, _ = addressed(raw.headers, read, agent)
        return replace(raw, headers=headers, body=body.encode("utf-8", "surrogatepass"))

    def letters(self, *, limit: int | None = None, **chosen: Unpack[LetterFilter]) -> list[Letter]:
        """The letters that wait (``state=None``: all), filtered by ``flow``, ``run``, ``agent``, ``kind`` or ``contract``, the
        oldest first: all of them, or the first ``limit``."""
        return list(self.each(limit=limit, **chosen))

    def each(self, *, limit: int | None = None, **chosen: Unpack[LetterFilter]) -> Iterator[Letter]:
        """The same, one after the other: however many there are, no more than a page of them is held."""
        return (Letter.of(row, self._access) for row in self._journal.letters.each(limit=limit, **chosen))

    def waiting(self, runs: Iterable[str]) -> list[Letter]:
        """The letters of these runs that wait, the oldest first."""
        return [Letter.of(row, self._access) for row in self._journal.letters.waiting(runs)]

    def details(self, letters: Iterable[str]) -> dict[str, LetterDetails]:
        """Inputs and tracebacks of letters by their ids, as far as they are known."""
        return self._journal.letters.details(letters)

    def edit_notes(self, letters: Iterable[str]) -> dict[str, list[EditNote]]:
        """The edits of letters by their ids, oldest first, without the messages before them."""
        return self._journal.edits.notes(letters)

    def undrained(self, parked: Mapping[str, Mapping[str, Any]]) -> list[str]:
        """Of the steps of a run that are marked as ``parked``, for these reasons, those of which the journal does not have the
        letter yet."""
        marks = {step: (reason.get("message", ""), reason.get("at", "")) for step, reason in parked.items()}
        known = self._journal.letters.failures(message for message, _ in marks.values())
        return [step for step, (message, at) in marks.items() if known.get(message) != at]

    def letter(self, letter_id: str) -> Letter:
        """The letter of that id. Raises :class:`UnknownLetter`."""
        row = self._journal.letters.summary(letter_id) if is_plain(letter_id) else None
        if row is None:
            raise _unknown(letter_id)
        return Letter.of(row, self._access)

    def replay(self, letter_id: str, by: str = "", why: str = "", after: int | None = None) -> None:
        """Send the step of a letter on its way again, as the replay that comes ``after`` so many. Raises :class:`UnknownLetter`,
        :class:`~handoffs.coordinator.errors.LetterClosed` where it does not wait any more, and what :meth:`Replays.replay` raises."""
        self._replays.refuse_closed(self._access.row(letter_id))
        self._access.replay(letter_id, by, why, after)

    def finish_replay(self, letter_id: str, by: str = "", why: str = "") -> None:
        """End a replay of which nobody knows whether it was sent. Raises :class:`UnknownLetter`, and what :meth:`Replays.finish` raises."""
        self._replays.finish(self._access.row(letter_id), by, why)


class _Access:
    """What letters ask of the desk, by their ids."""

    def __init__(
        self, journal: Journal, replays: Replays, exporter: Callable[[Letter], ExportedCase] | None
    ) -> None:
        self._journal = journal
        self._replays = replays
        self._exporter = exporter

    def row(self, letter_id: str) -> LetterRow:
        row = self._journal.letters.get(letter_id) if is_plain(letter_id) else None
        if row is None:
            raise _unknown(letter_id)
        return row

    def details(self, letter_id: str) -> LetterDetails:
        found = self._journal.letters.details([letter_id])
        if letter_id not in found:
            raise _unknown(letter_id)
        return found[letter_id]

    def edits(self, letter_id: str) -> list[EditRow]:
        return self._journal.edits.of(letter_id)

    def refusal(self, letter_id: str) -> str:
        return self._replays.refusal(self.row(letter_id))

    def replay(self, letter_id: str, by: str = "", why: str = "", after: int | None = None) -> None:
        self._replays.replay(self.row(letter_id), by, why, after)

    def as_test(self, letter: Letter) -> ExportedCase:
        if self._exporter is None:
            raise ExportRefused(
                f"dead letter {letter.id} is looked at where no agents are loaded",
                "nothing was written",
                "take it from a coordinator: coordinator.find_letter(letter.id).as_test()",
            )
        return self._exporter(letter)


def _stranded(place: StepRef) -> str:
    """The id of the letter of a run that is parked without a message."""
    return (
        "stranded:"
        + hashlib.sha256(f"{place.run}\n{place.step}".encode("utf-8", "surrogatepass")).hexdigest()[:40]
    )


def _unknown(letter_id: str) -> UnknownLetter:
    return UnknownLetter(
        f"there is no dead letter {quoted(letter_id, 80)}",
        remedy="list them: coordinator dead-letters list",
    )


def _recorded(found: Finding, reason: Mapping[str, Any] | None) -> Failure | None:
    """The reason that the worker left in the run's record before it rejected this very message."""
    failure = Failure.read(reason) if reason else None
    if failure is None or failure.message not in (found.raw.id, found.raw.digest):
        return None
    # an older release did not write down what it carried
    return failure if failure.content in ("", found.content) else None


def _replays(message: dict[str, Any]) -> int:
    """How often a message had been replayed when it was sent."""
    replays = message["headers"].get("handoff_replays")
    return replays if type(replays) is int else 0
