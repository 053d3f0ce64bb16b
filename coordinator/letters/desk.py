"""The desk: what cannot go on is kept here, looked at, and sent on its way again."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Unpack

from handoffs.contracts.errors import InvalidInput
from handoffs.contracts.text import is_plain, printable
from handoffs.coordinator.continuation.path import budgets_around, follows_event, is_set, is_undo
from handoffs.coordinator.continuation.signature import EVENT
from handoffs.coordinator.errors import UnknownLetter
from handoffs.coordinator.handoff.failure import Failure, FailureKind, parked_entry
from handoffs.coordinator.journal.edits import EditRow
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.journal.letters import LetterFilter, LetterRow
from handoffs.coordinator.letters.diagnosis import Diagnosis
from handoffs.coordinator.letters.letter import Letter
from handoffs.coordinator.letters.raw import RawLetter
from handoffs.coordinator.letters.replay import Replays, read_letter
from handoffs.coordinator.messaging.message import Message, addressed
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.record import StepRef

_OUTCOME = frozenset({"settled", "deduplicated", "skipped", "fallback"})
"""The kinds of entries that say that a step has its outcome."""

_SET = re.compile(r"[a-z0-9.-]+/[0-9a-f]{40}\Z")

_PASSED_ON = "handoff_passed_on"
"""The header of a message that was sent once more because its step was settled: that is done once."""


class Desk:
    """Receives dead letters, keeps them in the journal, and replays them."""

    def __init__(self, services: Services, journal: Journal) -> None:
        self._services = services
        self._journal = journal
        self._limits = services.settings.message_limits
        self._diagnosis = Diagnosis(self._limits)
        self._replays = Replays(services, journal)

    def receive(self, raw: RawLetter) -> LetterRow:
        """Keep a letter, and mark its run as parked. Returns when it is committed; receiving it again changes nothing."""
        raw = self._addressed(raw)
        recorded = self._recorded(raw)
        failure = recorded or self._diagnosis.failure(raw)
        row = self._replays.edited(self._diagnosis.row(raw, failure))
        self._journal.letters.add(row)  # first: whatever settles its step from now on finds it
        if row.run and row.step:
            place = StepRef(row.run, row.flow, row.step)
            entry = parked_entry(place, failure, raw.event)
            status = self._services.store.park(place, failure.fields(), entry, marked=recorded is not None)
            if status == "settled":
                self._pass_on(row)
            if status not in {"parked", "gone"}:
                row = replace(
                    row, state="cancelled" if status in {"cancelled", "compensating"} else "settled"
                )
                self._journal.letters.mark(row.id, row.state)
        return row

    def close(self, entries: Iterable[dict[str, Any]]) -> None:
        """Letters that wait for an outcome which their step has by now, as these entries of the history tell, wait no more:
        an old copy of its message may have been parked after the step was sent on its way again."""
        had = [entry for entry in entries if entry.get("step") and entry.get("kind") in _OUTCOME]
        steps = {(entry.get("run", ""), entry["step"]) for entry in had}
        if not steps:
            return
        for row in self._journal.letters.waiting({run for run, _ in steps}):
            if (row.run, row.step) in steps or self._stood_in(row, steps):
                self._journal.letters.mark(row.id, "settled")

    def _stood_in(self, row: LetterRow, steps: set[tuple[str, str]]) -> bool:
        """Whether something else has come out of a budget in which a letter's step is: a fallback, or what it was to stand in
        for. One of the steps that have an outcome by now tells when to look."""
        if is_undo(row.step) or follows_event(row.step):  # goes on by itself
            return False
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

    def edits(self, letter_id: str) -> list[EditRow]:
        """The edits of a letter, oldest first."""
        return self._journal.edits.of(letter_id)

    def sets(self, rows: Iterable[LetterRow]) -> Iterator[str]:
        """The names of the sets for which letters stand: what is replayed are the events that Redis has."""
        for row in rows:
            if is_set(row.step) and "body" in row.message:
                with contextlib.suppress(InvalidInput):
                    _, kwargs, _ = read_letter(row, self._limits)
                    if _SET.match(str(kwargs.get("set", ""))):
                        yield kwargs["set"]

    def unheard(self, *raws: RawLetter) -> list[LetterRow]:
        """Keep events without a subscriber, all of them or none. Their stories go on without them. Returns when they are
        committed; keeping them again changes nothing, unless they were replayed meanwhile."""
        rows = [self._unheard(raw) for raw in raws]
        known = self._journal.letters.messages(row.id for row in rows)
        self._journal.letters.add_all(
            [row for row in rows if row.id not in known or _replays(row.message) > _replays(known[row.id])]
        )
        return rows

    def _unheard(self, raw: RawLetter) -> LetterRow:
        failure = self._diagnosis.failure(raw)
        if failure.kind != FailureKind.UNDECODABLE:
            text = f"nobody subscribes to {printable(raw.headers.get('handoff_event'), 120)}"
            failure = replace(failure, kind=FailureKind.UNHEARD, error="Unheard", text=text, agent="")
        row = self._diagnosis.row(raw, failure)
        return replace(row, state="unheard") if failure.kind == FailureKind.UNHEARD else row

    def _addressed(self, raw: RawLetter) -> RawLetter:
        """An event that an agent's queue has given up, as the message of that agent."""
        queue = raw.death.get("queue")
        if raw.headers.get("task") != EVENT or not isinstance(queue, str):
            return raw
        try:
            agent = self._services.topology.agent_of(queue)
            headers, body = addressed(raw.headers, raw.body, agent)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return raw
        return replace(raw, headers=headers, body=body.encode("utf-8", "surrogatepass"))

    def letters(self, *, limit: int | None = None, **chosen: Unpack[LetterFilter]) -> list[Letter]:
        """The letters that wait (``state=None``: all), filtered by ``flow``, ``run``, ``agent``, ``kind`` or ``contract``, the
        oldest first: all of them, or the first ``limit``."""
        return [self._letter(row) for row in self._journal.letters.find(limit=limit, **chosen)]

    def waiting(self, runs: Iterable[str]) -> list[Letter]:
        """The letters of these runs that wait, the oldest first."""
        return [self._letter(row) for row in self._journal.letters.waiting(runs)]

    def letter(self, letter_id: str) -> Letter:
        """The letter of that id. Raises :class:`UnknownLetter`."""
        row = self._journal.letters.get(letter_id) if is_plain(letter_id) else None
        if row is None:
            raise UnknownLetter(
                f"there is no dead letter {printable(letter_id, 80)!r}",
                remedy="list them: coordinator dead-letters list",
            )
        return self._letter(row)

    def _letter(self, row: LetterRow) -> Letter:
        return Letter.of(row, self.replay, self.edits)

    def replay(self, letter_id: str, by: str = "") -> None:
        """Send the step of a letter on its way again. Raises :class:`UnknownLetter`, and what :meth:`Replays.replay` raises."""
        self._replays.replay(self.letter(letter_id), by)

    def _recorded(self, raw: RawLetter) -> Failure | None:
        """The reason that the worker left in the run's record before it rejected the message."""
        place = raw.place
        if not place.run or not place.step:
            return None
        reason = self._services.runs.parked(place)
        return Failure(**reason) if reason and reason.get("message") in (raw.id, raw.digest) else None


def _replays(message: dict[str, Any]) -> int:
    """How often a message had been replayed when it was sent."""
    replays = message["headers"].get("handoff_replays")
    return replays if type(replays) is int else 0
