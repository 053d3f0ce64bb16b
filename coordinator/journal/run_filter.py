"""RunFilter: which runs of the journal are listed, and what is read of each."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, select, true

from handoffs.coordinator.journal.namespace import Namespace
from handoffs.coordinator.journal.search import found_by
from handoffs.coordinator.journal.tables import dead_letters, runs

LIVE, LOST = "live", "lost"
"""The states of a run that has not ended: Redis knew it when it was looked at last, or did not know it any more."""

ENDED = ("completed", "cancelled")
"""The states of a run that has ended."""

_TOLD_BY_HISTORY = "unknown"
"""The state of a run that only the history knows, of a release that wrote down no runs."""


@dataclass(frozen=True, slots=True)
class ListedRun:
    """A run as the journal lists it. ``key`` is empty where it has none, or was accepted by an older release; ``id`` is the number that it
    has in the journal, 0 where it is not in it yet."""

    id: int
    run: str
    flow: str
    state: str
    started: str
    key: str


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs are listed. An empty filter lets everything pass.

    since, until
        ISO 8601 in UTC: accepted then or later, and before.
    before
        When a run was accepted, and its id: those that come after it in the list, which has the newest first.
    ended
        The status with which they ended: those that are not known to have ended pass as well, for Redis may know more.
    living
        Not known to have ended.
    error
        The type of the error, or the kind of the failure, of a letter of the run that waits.
    where
        Names of searchable fields and values that the run was given, or has made: all of them.
    runs
        The ids of those that may pass; None: any.
    """

    flow: str = ""
    key: str = ""
    since: str = ""
    ended: str = ""
    living: bool = False
    until: str = ""
    before: tuple[str, str] | None = None
    error: str = ""
    where: tuple[tuple[str, str], ...] = ()
    runs: frozenset[str] | None = None

    def states(self) -> tuple[str, ...]:
        """The states of the runs that pass; none where all do."""
        if self.living:
            return (LIVE, LOST, _TOLD_BY_HISTORY)
        return (self.ended, LIVE, LOST) if self.ended else ()


def passes(chosen: RunFilter, namespace: Namespace) -> ColumnElement[bool]:
    """That a row passes, whatever its state is, and whatever comes before it."""
    condition: ColumnElement[bool] = true()
    if chosen.flow:
        condition &= runs.c.flow == chosen.flow
    if chosen.key:
        condition &= runs.c.key == chosen.key
    if chosen.since:
        condition &= runs.c.started >= chosen.since
    if chosen.until:
        condition &= runs.c.started < chosen.until
    if chosen.error:
        letter = dead_letters.c
        waits = (letter.namespace == namespace.name) & (letter.state == "waiting")
        of_it = (letter.error == chosen.error) | (letter.kind == chosen.error)
        condition &= runs.c.run.in_(select(letter.run).where(waits & of_it))
    for name, value in chosen.where:
        condition &= runs.c.run.in_(found_by(namespace, name, value))
    return condition if chosen.runs is None else condition & runs.c.run.in_(sorted(chosen.runs))
