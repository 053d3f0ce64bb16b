"""Letter view: dead letters as JSON values, the same for every command and every page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from handoffs.coordinator.handoff.failure import remedy_of
from handoffs.coordinator.journal.edits import EditNote
from handoffs.coordinator.journal.letter_row import SUMMARY, LetterDetails, LetterSummary
from handoffs.coordinator.letters.desk import Desk
from handoffs.coordinator.letters.frames import innermost

_AT_ONCE = 50
"""Of how many letters the inputs are held at once."""


def letters_json(desk: Desk, letters: Iterable[LetterSummary]) -> Iterator[dict[str, Any]]:
    """Letters as people may see them; of a few at a time the inputs are held."""
    rest = iter(letters)
    while some := list(islice(rest, _AT_ONCE)):
        ids = [letter.id for letter in some]
        details, edits = desk.details(ids), desk.edit_notes(ids)
        for letter in some:
            if letter.id in details:
                yield _letter_json(letter, details[letter.id], edits[letter.id])


def _letter_json(letter: LetterSummary, details: LetterDetails, edits: Sequence[EditNote]) -> dict[str, Any]:
    """A letter as people may see it: everything but the message itself."""
    fields = {name: getattr(letter, name) for name in SUMMARY}
    notes = [{"number": edit.number, "at": edit.at, "who": edit.who, "why": edit.why} for edit in edits]
    remedy = remedy_of(letter.kind, letter.id)
    return {
        **fields,
        "payload": details.payload,
        "frames": list(innermost(details.trace)),
        "trace": details.trace,
        "remedy": remedy,
        "edits": notes,
    }
