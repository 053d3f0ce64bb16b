"""Apart: what letters are called, so that no message takes the place of another's letter."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

from handoffs.coordinator.errors import SealBroken
from handoffs.coordinator.handoff.failure import Failure
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.journal.letter_row import LetterRow
from handoffs.coordinator.letters.diagnosis import Diagnosis, Finding
from handoffs.coordinator.letters.replay import Replays


class Apart:
    """Names letters. A message that comes again is the same letter; another one that bears its id is not."""

    def __init__(self, journal: Journal, diagnosis: Diagnosis, replays: Replays) -> None:
        self._journal = journal
        self._diagnosis = diagnosis
        self._replays = replays

    def named(self, found: Finding, failure: Failure) -> tuple[LetterRow, LetterRow | None]:
        """The letter of a message, parked for ``failure``, and that of the same message where one is kept already.

        Where another message's has its id, it gets one of its own; but where a worker has written down at the run that it is this
        one, the other is moved out of its way. Raises :class:`~handoffs.coordinator.errors.ServerError`.
        """
        row = found.row(failure)
        known, opened = self._known(row.id)
        if not opened:
            return found.row(failure, id=found.raw.digest), None
        if known is None or self.is_same(found, row, known):
            return row, known
        if failure is found.failure:
            own = found.raw.digest
            return found.row(failure, id=own), self._known(own)[0]
        self._journal.letters.add(replace(known, id=_moved(known)))
        return row, None

    def _known(self, letter: str) -> tuple[LetterRow | None, bool]:
        """The letter that is kept under an id, and whether it can be told what it is."""
        try:
            return self._journal.letters.get(letter), True
        except SealBroken:
            return None, False

    def is_same(self, found: Finding, row: LetterRow, known: LetterRow) -> bool:
        """Whether the letter ``known`` is of the message of which ``row`` would be; both have one id."""
        if row.id == found.raw.digest:  # which names nothing else
            return True
        kept = self._diagnosis.content_of(known)
        if not found.content or not kept:
            return row.message == known.message
        return kept in (found.content, self._diagnosis.content_of(self._replays.applied(row)[0]))


def _moved(letter: LetterRow) -> str:
    """What a letter is called that has borne another's id."""
    text = json.dumps(letter.message, sort_keys=True).encode("utf-8", "surrogatepass")
    return f"sha256:{hashlib.sha256(text).hexdigest()}"
