"""Lookups: how people find runs, letters, what waits for them, and what was done."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Unpack

from handoffs.contracts.text import is_plain, printable
from handoffs.coordinator.client import given
from handoffs.coordinator.client.approvals import Approval, Approvals
from handoffs.coordinator.client.ids import Ids
from handoffs.coordinator.client.loaded import Loaded
from handoffs.coordinator.client.replayed import Came, Followed
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.errors import UnknownLetter, UnknownRun
from handoffs.coordinator.journal.actions import ActionPage, ActionRow
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.letters.desk import Desk
from handoffs.coordinator.letters.letter import Letter
from handoffs.coordinator.observe.audit import Audit
from handoffs.coordinator.observe.facets import Facets, RunFacets
from handoffs.coordinator.observe.finding import Find, Finding
from handoffs.coordinator.observe.lag import Lag, lag_of
from handoffs.coordinator.observe.listing import Listing
from handoffs.coordinator.observe.run_query import RunChoice, RunQuery
from handoffs.coordinator.observe.run_summary import RunSummary
from handoffs.coordinator.observe.standing import Standings
from handoffs.coordinator.services import Services

_MOST_FOUND = 1_000
"""How much is found of a text at most."""

_MOST_OF_A_TEXT = 500
"""How many runs are found by a text in each way, where they are listed."""


class Lookups(ABC):
    """The part of a coordinator with which people look for things. Every method raises
    :class:`~handoffs.coordinator.errors.ServerError` where Redis or the journal cannot be used."""

    def __init__(
        self, services: Services, journal: Journal, standings: Standings, desk: Desk, loaded: Loaded
    ) -> None:
        self._services = services
        self._letters = desk
        self._listing = Listing(services, journal, standings)
        self._finding = Finding(journal, self._listing)
        self._facets = Facets(journal, self._listing)
        self._approvals = Approvals(self._listing, loaded)
        self._ids = Ids(journal, self._listing)
        self._followed = Followed(services, standings)
        self._audit = Audit(services, journal)

    @abstractmethod
    def run(self, run_id: str) -> Run:
        """The run of that id. Raises :class:`~handoffs.coordinator.errors.UnknownRun`."""

    def runs(
        self, *, limit: int | None = 50, before: str = "", **chosen: Unpack[RunChoice]
    ) -> list[RunSummary]:
        """The newest runs, at most ``limit`` (None: all of them), newest first; what chooses them is a
        :class:`~handoffs.coordinator.observe.run_query.RunChoice`: ``flow``, ``status``, ``key``, ``since``, ``until``, ``waiting``, ``failed_at``,
        ``error``, ``where``, ``text``. ::

            coordinator.runs(where={"order": "o-17"})
            coordinator.runs(flow="shop.order", status="parked", error="ValueError")

        With ``before``, the :attr:`RunSummary.cursor` of the last run of a page, those that come after it. Runs that are only in Redis yet
        are found as well. Raises :class:`~handoffs.contracts.errors.InvalidData` where a filter is none.
        """
        query = self._query(chosen, before)
        return self._listing.newest(query, given.limit(limit, "runs"))

    def run_facets(self, **chosen: Unpack[RunChoice]) -> RunFacets:
        """How many of the runs that :meth:`runs` lists are how, and of which flow, and when they were accepted: of the newest ten thousand, so
        that it takes no longer where there are millions. Raises the same."""
        return self._facets.of(self._query(chosen))

    def search(self, text: str, *, limit: int = 50) -> list[Find]:
        """What ``text`` is, or is the beginning of: the id of a run or of the story of an event (the correlation id), the idempotency key of a
        run, the value of a searchable field, the id of a dead letter; or the whole name of a flow, of an agent, of the type of an error or
        the kind of a failure that a letter waits for. What it is exactly comes first; ``limit`` is 1 to 1,000.

        Raises :class:`~handoffs.contracts.errors.InvalidData` for an empty text.
        """
        return self._finding.search(given.searched(text), given.page(limit, "finds", _MOST_FOUND))

    def lag(self) -> Lag:
        """How far the journal is behind what happens: what is looked up in it may be missing so much."""
        return lag_of(self._services)

    def _query(self, chosen: RunChoice, before: str = "") -> RunQuery:
        typed = chosen.get("text", "")
        found = self._finding.runs(given.searched(typed), _MOST_OF_A_TEXT) if typed != "" else None
        return given.run_query(chosen, before, found)

    def approvals(
        self, *, flow: str = "", signal: str = "", key: str = "", limit: int | None = 50
    ) -> list[Approval]:
        """The signals that runs wait for, at most ``limit`` (None: all of them), those of the newest run first.
        ``run(approval.run).signal(...)`` answers one."""
        for name, value in (("flow", flow), ("signal", signal), ("key", key)):
            given.text(value, f"the {name} of approvals")
        found = self._approvals.each(flow=flow, signal=signal, key=key)
        return list(islice(found, given.limit(limit, "approvals")))

    def approvals_of(self, run_id: str) -> list[Approval]:
        """The signals that one run waits for. Raises :class:`~handoffs.coordinator.errors.UnknownRun`."""
        run = self.run(run_id)
        found = self._listing.live(run.id, run.key())
        return self._approvals.of(found) if found else []

    def find_run(self, prefix: str) -> Run:
        """The run whose id is ``prefix``, or the one whose id begins so (four characters at least).

        Raises :class:`~handoffs.coordinator.errors.AmbiguousId` where several do, :class:`~handoffs.coordinator.errors.UnknownRun` where none
        does; both name candidates.
        """
        try:
            return self.run(prefix)
        except UnknownRun:
            pass
        try:
            return self.run(self._ids.run(prefix))
        except UnknownRun as error:
            if not (prefix and is_plain(prefix) and self.runs(key=prefix, limit=1)):
                raise
            cause = f"{error.cause}, but {printable(prefix, 80)} is the key of some"
            raise UnknownRun(
                cause, error.consequence, f"find them: coordinator runs list --key {printable(prefix, 80)}"
            ) from None

    def find_letter(self, prefix: str) -> Letter:
        """The letter whose id is ``prefix``, or the one whose id begins so, as :meth:`find_run` does; with
        :class:`~handoffs.coordinator.errors.UnknownLetter`."""
        try:
            return self._letters.letter(given.text(prefix, "the id of a letter"))
        except UnknownLetter:
            return self._letters.letter(self._ids.letter(prefix))

    def follow(self, letters: Sequence[str], seconds: float) -> Came:
        """What has come of letters that were replayed, by their ids, once none of their runs goes on, or ``seconds`` are over."""
        found = [self._letters.letter(letter) for letter in letters]
        return self._followed.follow(found, given.seconds(seconds) or 0.0)

    def actions(self, *, run: str = "", by: str = "", since: datetime | None = None) -> Iterator[ActionRow]:
        """What people did to runs and letters, oldest first: of one run, by one person, then or later; an empty filter lets everything
        pass. What is on its way to the journal comes last, with the ``id`` 0."""
        given.text(run, "the id of a run"), given.text(by, "the name of a person")
        return self._audit.each(run=run, by=by, since=given.since(since))

    def actions_page(
        self,
        *,
        run: str = "",
        by: str = "",
        since: datetime | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> ActionPage:
        """Some of it, newest first: see :class:`~handoffs.coordinator.journal.actions.ActionPage`."""
        return self._audit.page(run=run, by=by, since=given.since(since), before=before, limit=limit)
