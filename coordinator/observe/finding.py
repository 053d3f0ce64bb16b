"""Finding: runs and letters by whatever people know of them, from one text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import Any

from handoffs.contracts.searchable import beginning, kept
from handoffs.contracts.text import is_utf8
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.journal.letter_row import LetterSummary
from handoffs.coordinator.journal.letters import LetterFilter
from handoffs.coordinator.journal.run_filter import ListedRun, RunFilter
from handoffs.coordinator.journal.search import STORY, Marked
from handoffs.coordinator.observe.listing import Listing
from handoffs.coordinator.observe.run_summary import told_at

_LONGEST = 200
"""Of a longer text nothing but a searchable value can be found."""


class FoundBy(StrEnum):
    """What of a run or a letter a text was found in.

    ``run``: the id of a run; ``story``: that of the story of an event, or of what an event of it has started (the correlation id); ``key``:
    the idempotency key of a run; ``field``: a searchable field; ``letter``: the id of a dead letter; ``flow``, ``agent``: a name; ``error``:
    the type of the error of a letter that waits, or ``kind``: the kind of its failure.
    """

    RUN = "run"
    LETTER = "letter"
    KEY = "key"
    FIELD = "field"
    STORY = "story"
    FLOW = "flow"
    AGENT = "agent"
    ERROR = "error"
    KIND = "kind"


@dataclass(frozen=True, slots=True)
class Find:
    """What a text was found in.

    by, field, value
        Where (:class:`FoundBy`); in which field, of ``field``; and the whole of what is there.
    exact
        Whether it is the text; or else it only begins so.
    run, flow, letter
        The run, its flow, and the dead letter; empty where there is none.
    status
        How the run is now, for people: as :attr:`RunSummary.shown <handoffs.coordinator.observe.run_summary.RunSummary.shown>` has it.
    at
        When the run was accepted, the letter failed first, or the value was written; UTC, and None where nobody knows.
    """

    by: FoundBy
    value: str
    exact: bool
    run: str = ""
    flow: str = ""
    letter: str = ""
    field: str = ""
    status: str = ""
    at: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON values; the moment in ISO 8601."""
        told: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        return {**told, "by": str(self.by), "at": told_at(self.at)}


class Finding:
    """Finds what people look for. Raises :class:`~handoffs.coordinator.errors.ServerError` where Redis or the journal cannot be used."""

    def __init__(self, journal: Journal, listing: Listing) -> None:
        self._journal = journal
        self._listing = listing

    def search(self, text: str, limit: int) -> list[Find]:
        """What ``text`` is, or is the beginning of: what it is exactly comes first, then by :class:`FoundBy`, the newest first; at most
        ``limit``, each once."""
        found: dict[tuple[str, ...], Find] = {}
        for one in self._found(text, limit):
            found.setdefault((one.by, one.field, one.value, one.run, one.letter), one)
        newest = sorted(found.values(), key=lambda one: (told_at(one.at) or "", one.run), reverse=True)
        ranks = {by: rank for rank, by in enumerate(FoundBy)}
        return self._told(sorted(newest, key=lambda one: (not one.exact, ranks[one.by]))[:limit])

    def runs(self, text: str, most: int) -> frozenset[str]:
        """The runs that are found so, up to ``most`` in each way."""
        return frozenset(one.run for one in self._found(text, most) if one.run)

    def _found(self, text: str, limit: int) -> Iterator[Find]:
        if not text or limit < 1:
            return
        yield from self._marked(text, limit)
        if len(text) <= _LONGEST and "\x00" not in text and is_utf8(text):  # what any column takes
            yield from self._runs(text, limit)
            yield from self._letters(text, limit)

    def _marked(self, text: str, limit: int) -> Iterator[Find]:
        """By searchable values."""
        value, search = kept(text), self._journal.search
        pending = [
            Marked(name, one, run, "")
            for run, marks in self._listing.pending_marks().items()
            for name, values in marks.items()
            for one in values
            if one.startswith(beginning(text)) or one == value
        ]
        for mark in [*pending, *search.exact(text, limit), *search.beginning_with(text, limit)]:
            story = mark.name == STORY
            yield Find(
                FoundBy.STORY if story else FoundBy.FIELD,
                text if mark.value == value else mark.value,
                mark.value == value,
                run=mark.run,
                field="" if story else mark.name,
                at=_moment(mark.at),
            )

    def _runs(self, text: str, limit: int) -> Iterator[Find]:
        """By ids and keys of runs, and by the names of flows."""
        journal = self._journal.runs
        beginning = journal.beginning_with(text, limit)
        waiting = self._listing.pending()
        begun = [row for row in waiting if row.run.startswith(text)]
        keyed = [row for row in waiting if row.key.startswith(text)]
        named = [row for row in waiting if row.flow == text]
        for row in [*begun, *journal.found(beginning).values()]:
            by = FoundBy.RUN if row.started else FoundBy.STORY
            yield _of_run(by, row, row.run, text)
        for row in [*keyed, *journal.keyed(text, limit)]:
            yield _of_run(FoundBy.KEY, row, row.key, text)
        for row in [*named, *islice(journal.listed(RunFilter(flow=text), limit), limit)]:
            yield _of_run(FoundBy.FLOW, row, text, text)

    def _letters(self, text: str, limit: int) -> Iterator[Find]:
        """By ids of letters, and by what letters that wait say of their failure."""
        letters = self._journal.letters
        for row in letters.summaries(letters.beginning_with(text, limit)).values():
            yield _of_letter(FoundBy.LETTER, row, row.id, text)
        filters: tuple[tuple[FoundBy, LetterFilter], ...] = (
            (FoundBy.AGENT, {"agent": text}),
            (FoundBy.ERROR, {"error": text}),
            (FoundBy.KIND, {"kind": text}),
        )
        for by, chosen in filters:
            yield from (_of_letter(by, row, text, text) for row in letters.newest(limit, **chosen))

    def _told(self, found: Sequence[Find]) -> list[Find]:
        """The same, with what is known of their runs."""
        wanted = list(dict.fromkeys(one.run for one in found if one.run))
        rows = self._journal.runs.found(wanted)
        rows |= {row.run: row for row in self._listing.pending() if row.run in wanted and row.run not in rows}
        known = [rows[run] for run in wanted if run in rows]
        shown = {one.id: one for one in self._listing.summaries(known)}
        return [
            replace(one, flow=one.flow or shown[one.run].flow, status=shown[one.run].shown)
            if one.run in shown
            else one
            for one in found
        ]


def _of_run(by: FoundBy, row: ListedRun, value: str, text: str) -> Find:
    return Find(by, value, value == text, run=row.run, flow=row.flow, at=_moment(row.started))


def _of_letter(by: FoundBy, row: LetterSummary, value: str, text: str) -> Find:
    at = _moment(row.first_failed_at)
    return Find(by, value, value == text, run=row.run, flow=row.flow, letter=row.id, at=at)


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
