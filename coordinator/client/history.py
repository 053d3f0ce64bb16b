"""History: what happened to a run, to be looked at by programs and tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from handoffs.coordinator.client.history_entry import HistoryEntry
from handoffs.coordinator.client.selection import Selection
from handoffs.coordinator.history import EntryKind

_OUTCOMES = frozenset({EntryKind.SETTLED, EntryKind.DEDUPLICATED, EntryKind.SKIPPED})
_ATTEMPTS = frozenset({EntryKind.RETRIED, EntryKind.SETTLED, EntryKind.LATE, EntryKind.PARKED})


class History(Selection[HistoryEntry]):
    """What happened to a run, oldest first: a sequence of :class:`HistoryEntry`, with what tests ask of it.

    ::

        history = run.history()
        assert history.steps == ["shop.fraud"]
        assert history.attempts("shop.charge") == 3
        assert history.only("parked").reason == "error"

    It is what it was when it was asked for, and never changes.
    """

    __slots__ = ()

    noun = "entry of the history"
    noun_of_many = "entries of the history"
    kinds_known = EntryKind

    @classmethod
    def read(cls, entries: Iterable[Mapping[str, Any]]) -> History:
        """The history of these entries, as the journal has them."""
        return cls(HistoryEntry(entry) for entry in entries)

    @property
    def steps(self) -> list[str]:
        """The agents whose steps have their outcome, in the order in which they got it: settled, known by their key, or given by a
        person. An agent that has several steps is there for each; the fallback of a budget, unless it is an agent, is not."""
        return [one.agent for one in self if one.kind in _OUTCOMES and one.agent]

    @property
    def kinds(self) -> list[str]:
        """What happened, one word for each entry."""
        return [str(one.kind) for one in self]

    def attempts(self, agent: Any) -> int:
        """How many attempts of an agent (itself or its name), or of a step by its path, have come to an end: in an outcome, also
        one that came late, in a failure that was tried again, or parked. What was told to come back later, which uses up no attempt,
        does not count.

        Raises :class:`~handoffs.contracts.errors.InvalidData` for what is neither.
        """
        return sum(one.kind in _ATTEMPTS for one in self.of(agent))

    def to_json(self) -> list[dict[str, Any]]:
        """The entries as ``--json`` prints them."""
        return [one.to_json() for one in self]

    @staticmethod
    def _kind_of(member: HistoryEntry) -> str:
        return str(member.kind)

    @staticmethod
    def _place_of(member: HistoryEntry) -> tuple[str, str]:
        return member.agent, member.step

    @staticmethod
    def _told(member: HistoryEntry) -> str:
        return member.told()
