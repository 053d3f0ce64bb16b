"""Counts: how far a load is, and what came of it: by what the agents wrote down where they work, or by the journal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, Protocol

from handoffs.coordinator.journal.journal import Journal
from handoffs.tasks.media.account import Account, account
from handoffs.tasks.media.following import Follower
from handoffs.tasks.media.objects import title_of
from handoffs.tasks.media.systems import Systems


class Counts(Protocol):
    """How far it is, as far as it was looked."""

    @property
    def renditions(self) -> int:
        """How many renditions there are."""

    @property
    def shelved(self) -> int:
        """How many titles are on the shelf."""

    def look(self) -> list[str]:
        """See what has happened since; the titles that are on the shelf now."""

    def account(self, titles: int, renditions: int) -> Account:
        """What became of so many titles, of so many renditions each. Raises what reading it raises."""


class FileCounts:
    """Counts what was made, by the lines that the agents write. For who shares their folder. Not safe for threads."""

    def __init__(self, systems: Systems) -> None:
        self._systems = systems
        self._renditions = Follower(systems.transcodings.path)
        self._shelved = Follower(systems.shelved.path)

    @property
    def renditions(self) -> int:
        return self._renditions.count

    @property
    def shelved(self) -> int:
        return self._shelved.count

    def look(self) -> list[str]:
        self._renditions.news()
        return [title_of(key) for key in self._shelved.news()]

    def account(self, titles: int, renditions: int) -> Account:
        return account(self._systems, titles, renditions)


_ONCE: Final = {
    "media.transcode": ("title_id", "rendition"),
    "media.drm": ("title_id",),
    "media.cdn": ("title_id",),
    "media.index": ("title_id",),
    "media.shelf": ("title_id",),
}
"""What there is one outcome for, by agent."""


class JournalCounts:
    """Counts outcomes, by the journal, of the titles whose ids begin with ``own`` and a dash. For who cannot see the agents'
    files: what was made a second time under the same outcome, only those tell. Not safe for threads."""

    def __init__(self, journal: Journal, own: str) -> None:
        self._journal = journal
        self._own = f"{own}-"
        self._after = journal.history.newest()
        self._outcomes: dict[str, Counter[tuple[str, ...]]] = {agent: Counter() for agent in _ONCE}
        self._edges: dict[str, int] = {}

    @property
    def renditions(self) -> int:
        return len(self._outcomes["media.transcode"])

    @property
    def shelved(self) -> int:
        return len(self._outcomes["media.shelf"])

    def look(self) -> list[str]:
        """Raises :class:`~handoffs.coordinator.errors.ServerError` where the journal cannot be read."""
        shelved = []
        while found := self._journal.history.since(self._after):
            self._after = found[-1][0]
            for _, entry in found:
                if self._take(entry) and entry["agent"] == "media.shelf":
                    shelved.append(str(entry["input"]["title_id"]))
        return shelved

    def account(self, titles: int, renditions: int) -> Account:
        self.look()
        made = {agent: len(outcomes) for agent, outcomes in self._outcomes.items()}
        edges = max(self._edges.values(), default=1)
        copies = sum(self._edges.values())
        wanted = {"media.transcode": titles * renditions}
        lost = sum(max(wanted.get(agent, titles) - count, 0) for agent, count in made.items())
        return Account(
            titles=titles,
            renditions=made["media.transcode"],
            packaged=made["media.drm"],
            copies=copies,
            indexed=made["media.index"],
            shelved=made["media.shelf"],
            lost=lost + max(made["media.shelf"] * edges - copies, 0),
            doubled=sum(outcomes.total() - len(outcomes) for outcomes in self._outcomes.values()),
        )

    def _take(self, entry: Mapping[str, Any]) -> bool:
        """Whether the entry is an outcome of one of the titles."""
        agent, title = entry.get("agent", ""), entry.get("input") or {}
        if entry["kind"] != "settled" or agent not in _ONCE or not isinstance(title, Mapping):
            return False
        if not str(title.get("title_id", "")).startswith(self._own):
            return False
        self._outcomes[agent][tuple(str(title.get(name)) for name in _ONCE[agent])] += 1
        if agent == "media.shelf":
            self._edges[str(title["title_id"])] = len(title.get("locations") or ())
        return True
