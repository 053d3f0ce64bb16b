"""Operations: what is done with many letters, one after the other, so that a process that dies at it can be followed by another one.

Each letter is claimed in the journal before anything is done with it, and concluded afterwards. A claim without a conclusion is of a
process that died: what came of it is read from the letter itself.

=========================================  ===========================================================================
the letter, compared with its claim        what is done
=========================================  ===========================================================================
failed again since, or moved, and counted  it was sent: concluded
moved, and not counted                     something else moved it: concluded as gone
the same, and not counted                  nothing was sent, for counting comes first: it is sent now
the same, and counted once more            it may have been sent: the same message is, under the same number
=========================================  ===========================================================================
"""

from __future__ import annotations

from handoffs.contracts.errors import CoordinationError
from handoffs.coordinator.errors import QueueFull, passes
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.journal.letter_row import LetterSummary
from handoffs.coordinator.journal.operations import (
    CLAIMED,
    DONE,
    GONE,
    REFUSED,
    OperationLetter,
    OperationRow,
)
from handoffs.coordinator.letters.archive import Archive
from handoffs.coordinator.letters.desk import Desk

REPLAY, ARCHIVE, RESTORE = "replay", "archive", "restore"
"""The kinds of operations."""


class Operations:
    """Goes on with operations, letter by letter. Every method raises :class:`~handoffs.coordinator.errors.ServerError`: what was claimed
    then stays so until the operation is resumed."""

    def __init__(self, journal: Journal, desk: Desk, archive: Archive) -> None:
        self._journal = journal
        self._desk = desk
        self._archive = archive

    def step(self, row: OperationRow) -> OperationLetter | None:
        """Do what is to be done with the next letter of an operation, and give it as it is then; None where none is left, or the
        operation is somebody else's by now, or over."""
        claimed = self._journal.operations.claim(row.id, row.turn)
        return self._done(row, claimed) if claimed is not None else None

    def resolve(self, row: OperationRow) -> None:
        """Find out what came of the letters that a process before this one has claimed, and end what it began."""
        while left := self._journal.operations.letters(row.id, state=CLAIMED):
            for one in left:
                self._resolve(row, one)

    def _resolve(self, row: OperationRow, one: OperationLetter) -> None:
        letter = self._journal.letters.summary(one.letter)
        if letter is None:
            self._conclude(row, one, GONE, "it is not there any more")
        elif (letter.state, letter.last_failed_at) == (one.was, one.failed_at):
            self._done(row, one, counted=letter.replays > one.replays)
        elif row.kind == REPLAY and letter.replays <= one.replays:
            self._conclude(row, one, GONE, f"it was {letter.state} before it was sent")
        elif row.kind == ARCHIVE and letter.state != "archived":
            self._conclude(row, one, GONE, f"it was {letter.state} before it was put away")
        elif row.kind == RESTORE and letter.state == "replayed":
            self._conclude(row, one, GONE, "it was replayed before it was brought back")
        else:
            self._record_once(row, one, letter)
            self._conclude(row, one, DONE)

    def _done(self, row: OperationRow, one: OperationLetter, *, counted: bool = False) -> OperationLetter:
        try:
            if row.kind in {ARCHIVE, RESTORE}:
                away = row.kind == ARCHIVE
                done = (self._archive.put_away if away else self._archive.bring_back)(
                    one.letter, row.who, row.why
                )
                told = "" if done else "it waits no more" if away else "it is not put away"
                return self._conclude(row, one, DONE if done else GONE, told)
            if counted:
                self._desk.finish_replay(one.letter, row.who, row.why)
            else:  # whoever takes the operation meanwhile sends the same one
                self._desk.replay(one.letter, row.who, row.why, one.replays)
        except CoordinationError as error:
            if passes(error) and not isinstance(error, QueueFull):
                raise
            return self._conclude(row, one, REFUSED, str(error))
        return self._conclude(row, one, DONE)

    def _conclude(
        self, row: OperationRow, one: OperationLetter, state: str, told: str = ""
    ) -> OperationLetter:
        self._journal.operations.conclude(row.id, one.position, state, told=told)
        values = {name: getattr(one, name) for name in OperationLetter.__slots__}
        return OperationLetter(**{**values, "state": state, "told": told})

    def _record_once(self, row: OperationRow, one: OperationLetter, letter: LetterSummary) -> None:
        """Record what the process before this one did, unless it did that itself."""
        since = self._journal.actions.each(run=letter.run, since=one.claimed_at)
        if not any((done.action, done.letter) == (row.kind, one.letter) for done in since):
            self._archive.record(row.kind, letter, row.who, row.why)
