"""Faults: where a chain of the journal does not hold, and what that says of its entries. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from handoffs.coordinator.journal.chain import Head, digest

Row = Mapping[Any, Any]
"""A row of a table, by the names of its columns."""

What = Literal["changed", "removed", "inserted", "moved"]


@dataclass(frozen=True, slots=True)
class Fault:
    """The first entry of a chain that is not as it was written.

    chain
        ``run``: the history of ``run``; ``actions``: what operators did.
    run
        The run that the entry belongs to; empty where it belongs to none.
    sequence
        Its place in the chain, from 1 on; 0 where it has none.
    at
        When it happened, ISO 8601 in UTC; of an entry that is gone, when the one after it did, or the last one before it. Empty where
        there is none.
    what
        ``changed``, ``removed``, ``inserted`` or ``moved``.
    text
        What was found, in words.
    """

    chain: str
    run: str
    sequence: int
    at: str
    what: What
    text: str


class Reading:
    """Follows one chain, row by row in the order in which the rows stand in their table, to the first fault.

    ``head`` is where it ends; ``start`` the number up to which rows may be of an older release, without a place. ``exact``: nobody adds
    to the chain meanwhile; otherwise what comes behind the head is counted (:attr:`later`), and another look has to say what it is.
    """

    def __init__(self, chain: str, head: Head, start: int, *, name: str = "", exact: bool = False) -> None:
        self._chain, self._name, self._head, self._start, self._exact = chain, name, head, start, exact
        self._came = Head()
        self._last: Row = {}
        self._behind: Row | None = None
        self.fault: Fault | None = None
        self.entries = 0
        """How many entries were followed."""
        self.before = 0
        """How many are of an older release, and prove nothing."""
        self.later = 0
        """How many came after ``head`` was read."""

    def follow(self, rows: Iterable[Row]) -> Fault | None:
        """The first fault of a chain that consists of ``rows``."""
        for row in rows:
            if row["sequence"] == 0 and row["id"] <= self._start and not row["digest"]:
                self.before += 1
                continue
            self.entries += 1
            if self.fault is None:
                self.fault = self._faulty(row)
        self.fault = self.fault or self._missing()
        return self.fault

    def _faulty(self, row: Row) -> Fault | None:
        sequence, due = row["sequence"], self._came.sequence + 1
        if self._behind is not None:  # a place was passed over: does its entry come later?
            late = sequence == due
            return (
                self._of(row, "moved", "it stands behind entries that were written after it")
                if late
                else None
            )
        if (why := self._misplaced(sequence, due)) is not None:
            return self._of(row, "inserted", why)
        if digest(self._chain, row) != row["digest"]:
            return self._of(row, "changed", "what it says does not have the digest that was written with it")
        if sequence > due:
            self._behind = row
            return None
        return self._linked(row, sequence)

    def _misplaced(self, sequence: Any, due: int) -> str | None:
        """Why nothing that was written has this place; None where something may have."""
        if type(sequence) is not int or sequence < 1:
            return "it has no place in the chain"
        if sequence < due:
            return f"an entry of that place came before it; {due} was due"
        if self._exact and sequence > self._head.sequence:
            return f"the chain ends with {self._head.sequence}"
        return None

    def _linked(self, row: Row, sequence: int) -> Fault | None:
        if row["previous"] != self._came.digest:
            return self._of(
                self._last or row, "changed", "it is not the entry that the next one was written after"
            )
        if sequence == self._head.sequence and row["digest"] != self._head.digest:
            return self._of(row, "changed", "it is not the entry that the chain was written to end with")
        self.later += sequence > self._head.sequence
        self._came, self._last = Head(sequence, row["digest"]), row
        return None

    def _missing(self) -> Fault | None:
        """What is missing where the rows have ended."""
        if self._behind is not None:
            return self._gone(self._behind, self._behind["sequence"] - 1, "before the next one")
        if self._came.sequence < self._head.sequence:
            return self._gone(self._last, self._head.sequence, "at the end of the chain")
        return None

    def _gone(self, near: Row, to: int, where: str) -> Fault:
        first = self._came.sequence + 1
        which = "it is missing" if first == to else f"{first} to {to} are missing"
        return Fault(self._chain, self._name, first, str(near.get("at", "")), "removed", f"{which} {where}")

    def _of(self, row: Row, what: What, text: str) -> Fault:
        number = row["sequence"] if type(row["sequence"]) is int else 0
        return Fault(self._chain, str(row["run"]), number, str(row["at"]), what, text)
