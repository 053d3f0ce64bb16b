"""Operating: an operation is gone on with until it is over: its canary first, at its rate, until what it was to mend comes back."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from handoffs.config.user import current_user
from handoffs.coordinator.client import given
from handoffs.coordinator.client.chosen_letters import chosen
from handoffs.coordinator.client.operation import Pace
from handoffs.coordinator.client.replayed import Came, Followed
from handoffs.coordinator.errors import OperationOver
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.journal.operations import (
    DONE,
    GONE,
    REFUSED,
    RUNNING,
    STOPPED,
    OperationLetter,
    OperationRow,
    Order,
)
from handoffs.coordinator.letters.archive import Archive
from handoffs.coordinator.letters.desk import Desk
from handoffs.coordinator.letters.letter import Letter
from handoffs.coordinator.letters.operations import Operations

Progress = Callable[[OperationLetter], None]
"""Is told of each letter, as soon as it is concluded."""

Leaving = Callable[[], bool]
"""Whether this process is to go on with nothing any more."""

_SLICE = 0.5
"""For how many seconds nothing is looked at, at most: an operation that is cancelled meanwhile ends then."""

_LETTERS_WITHIN = 5.0
"""How many seconds the letter of a step that parked again is waited for."""

_PATIENCE = 10
"""Looking for what parked again takes one part in so many of the time."""


@dataclass(frozen=True, slots=True)
class Begun:
    """An operation that was begun, or taken, and the turn in which this process goes on with it."""

    id: str
    turn: int


class Operating:
    """Goes on with operations. Every method raises :class:`~handoffs.coordinator.errors.ServerError` where a server cannot be used; the
    operation can be resumed then."""

    def __init__(self, journal: Journal, desk: Desk, archive: Archive, followed: Followed) -> None:
        self._journal = journal
        self._desk = desk
        self._followed = followed
        self._operations = Operations(journal, desk, archive)

    def begin(self, kind: str, selection: object, pace: Pace, *, by: str, why: str) -> Begun:
        """Write down an operation of a kind with the letters that ``selection`` chooses now. Raises
        :class:`~handoffs.contracts.errors.InvalidData` and :class:`~handoffs.coordinator.errors.UnknownLetter`."""
        given.text(by, "who does it", "nothing was changed"), given.text(why, "why", "nothing was changed")
        picked = chosen(selection)
        if isinstance(picked.letters, tuple):
            known = self._journal.letters.failures(picked.letters)
            for one in picked.letters:
                if one not in known:
                    self._letter(one)  # says that there is none
        self._journal.groups.fill()  # so that each has its cause
        order = Order(kind, picked.words, by or current_user(), why, pace.options())
        return Begun(self._journal.operations.begin(order, picked.letters), 1)

    def take(self, operation: str, *, by: str = "", why: str = "") -> Begun:
        """Take an operation of that id from whoever has it, for a reason. Raises :class:`OperationOver` where there is nothing to go on with."""
        row = self._journal.operations.get(operation)
        passed = {"canary_passed": True} if row is not None and row.state == STOPPED else {}
        turn = self._journal.operations.take(operation, by=by or current_user(), why=why, **passed)
        if turn is None:
            raise self.over(operation)
        return Begun(operation, turn)

    def over(self, operation: str) -> OperationOver:
        """The error for an operation that is over."""
        row = self._journal.operations.get(operation)
        return OperationOver(
            f"operation {operation} is {row.state if row else 'not there'}",
            "nothing was changed",
            f"look at it: coordinator operations show {operation}; for what is left begin another one",
        )

    def go_on(self, begun: Begun, progress: Progress | None = None, leaving: Leaving = lambda: False) -> None:
        """Go on with an operation to its end, or until it is stopped or cancelled, or somebody else takes it; or until this process is
        ``leaving``: then it is as where the process died, and is resumed where it was."""
        row = self._mine(begun.id, begun.turn)
        if row is not None:
            self._operations.resolve(row)
            with suppress(_Left):
                self._go_on(_Course(row, Pace.of(row.options), progress, leaving))

    def _go_on(self, course: _Course) -> None:
        row, pace = course.row, course.pace
        if pace.canary and not pace.canary_passed:
            told = self._canary(course)
            if told is None:
                return
            if told:
                self._journal.operations.end(row.id, row.turn, STOPPED, told)
                return
            self._journal.operations.allow(row.id, row.turn, canary_passed=True)
        self._rest(course)

    def _mine(self, operation: str, turn: int) -> OperationRow | None:
        row = self._journal.operations.get(operation)
        return row if row is not None and (row.turn, row.state) == (turn, RUNNING) else None

    def _rest(self, course: _Course) -> None:
        """Do what is left, at its rate."""
        row, pace = course.row, course.pace
        turn = self._clock(course)
        looked, took = time.monotonic() - 1, 0.0
        while True:
            began = time.monotonic()
            if pace.stop_on_recurrence and began - looked >= took * _PATIENCE:
                if told := self._recurrence(row):
                    self._journal.operations.end(row.id, row.turn, STOPPED, told)
                    return
                looked, took = began, time.monotonic() - began
            turn.wait()
            if not self._stepped(course):
                break
        told = self._recurrence(row)  # as far as it is known by now
        if self._is_left(row):
            return
        if told and pace.stop_on_recurrence:
            told = f"{told}; no letter was left to stop at"
        self._journal.operations.end(row.id, row.turn, DONE, told if pace.stop_on_recurrence else "")

    def _is_left(self, row: OperationRow) -> bool:
        """Whether it was taken, stopped or cancelled by others."""
        return self._mine(row.id, row.turn) is None

    def _canary(self, course: _Course) -> str | None:
        """Replay the first ones, and wait for what comes of them. Gives why it does not go on, empty where it does; None where it
        is somebody else's by now, or over."""
        row, pace = course.row, course.pace
        clock = self._clock(course)
        known = self._counts(row)
        for _ in range(pace.canary - known.get(DONE, 0) - known.get(REFUSED, 0)):
            clock.wait()
            if not self._stepped(course):
                break
        if self._is_left(row):
            return None
        first = self._journal.operations.letters(row.id, limit=pace.canary + self._counts(row).get(GONE, 0))
        refused = [one for one in first if one.state == REFUSED]
        if refused:
            return f"canary: {refused[0].letter} was refused: {refused[0].told}"
        came = self._came([one.letter for one in first if one.state == DONE], course)
        return None if came is None else self._verdict(row, pace, came)

    def _came(self, ids: list[str], course: _Course) -> Came | None:
        """What comes of the canary in its time; None where the operation is over, or taken, by then."""
        row, seconds = course.row, course.pace.canary_wait
        letters = [letter for one in ids if (letter := self._letter(one)).run]
        until = time.monotonic() + seconds
        while True:
            course.look()
            came = self._followed.follow(letters, max(min(_SLICE, until - time.monotonic()), 0.0))
            if self._is_left(row):
                return None
            if not came.at_work or time.monotonic() >= until:
                return came

    def _verdict(self, row: OperationRow, pace: Pace, came: Came) -> str:
        again: list[str] = []
        until = time.monotonic() + _LETTERS_WITHIN
        while True:
            again += [letter for letter, _ in self._journal.operations.note_parked(row.id)]
            if set(came.parked) <= {*again} or time.monotonic() >= until:
                break
            time.sleep(_SLICE / 10)
            came = self._followed.follow(list(map(self._letter, came.parked)), 0.0)
        parked = list(dict.fromkeys([*again, *came.parked]))
        if parked:
            return f"canary: {len(parked)} parked again: {self._said(parked[0])}"
        if came.at_work:
            return f"canary: {len(came.at_work)} still at work after {pace.canary_wait:g} s, such as {came.at_work[0]}"
        return ""

    def _recurrence(self, row: OperationRow) -> str:
        """Which letter has parked again for the same cause, and was not known to; empty where none has."""
        found = [letter for letter, same in self._journal.operations.note_parked(row.id) if same]
        return f"{len(found)} parked again for the same cause: {self._said(found[0])}" if found else ""

    def _said(self, letter: str) -> str:
        found = self._letter(letter)
        return f"{letter} at step {found.step} ({found.agent}): {found.error}: {found.text}"

    def _letter(self, letter: str) -> Letter:
        return self._desk.letter(letter)

    def _counts(self, row: OperationRow) -> dict[str, int]:
        found = self._journal.operations.get(row.id)
        return dict(found.counts) if found else {}

    def _stepped(self, course: _Course) -> bool:
        """Do the next letter; whether there was one, and it was for this process to do."""
        course.look()
        done = self._operations.step(course.row)
        if done is not None and course.progress is not None:
            course.progress(done)
        return done is not None

    def _clock(self, course: _Course) -> _Clock:
        def look() -> None:
            course.look()
            if self._is_left(course.row):
                raise _Left

        return _Clock(course.pace.rate, look)


class _Left(Exception):
    """This process goes on with an operation no more."""


@dataclass(frozen=True, slots=True)
class _Course:
    """An operation that this process goes on with, and what it has been told for that."""

    row: OperationRow
    pace: Pace
    progress: Progress | None
    leaving: Leaving

    def look(self) -> None:
        """Raise :class:`_Left` where this process is leaving."""
        if self.leaving():
            raise _Left


class _Clock:
    """Lets so many through a second, the first at once; what was late is not made up for. ``look`` is called while it waits."""

    def __init__(self, rate: float | None, look: Callable[[], None]) -> None:
        self._pause = 1 / rate if rate else 0.0
        self._next = time.monotonic()
        self._look = look

    def wait(self) -> None:
        """Return when it is the next one's turn."""
        while (left := self._next - time.monotonic()) > 0:
            time.sleep(min(left, _SLICE))
            if left > _SLICE:
                self._look()
        self._next = max(self._next, time.monotonic() - self._pause) + self._pause
