"""Lookups: how people find runs, letters, what waits for them, and what was done."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice

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
from handoffs.coordinator.observe.listing import Listing, RunSummary
from handoffs.coordinator.observe.standing import Standings
from handoffs.coordinator.services import Services


class Lookups(ABC):
    """The part of a coordinator with which people look for things. Every method raises
    :class:`~handoffs.coordinator.errors.ServerError` where Redis or the journal cannot be used."""

    def __init__(
        self, services: Services, journal: Journal, standings: Standings, desk: Desk, loaded: Loaded
    ) -> None:
        self._letters = desk
        self._listing = Listing(services, journal, standings)
        self._approvals = Approvals(self._listing, loaded)
        self._ids = Ids(journal, self._listing)
        self._followed = Followed(services, standings)
        self._audit = Audit(services, journal)

    @abstractmethod
    def run(self, run_id: str) -> Run:
        """The run of that id. Raises :class:`~handoffs.coordinator.errors.UnknownRun`."""

    def runs(
        self,
        *,
        flow: str = "",
        status: str = "",
        key: str = "",
        since: datetime | None = None,
        waiting: bool = False,
        failed_at: str = "",
        limit: int | None = 50,
    ) -> list[RunSummary]:
        """The newest runs, at most ``limit`` (None: all of them), newest first; an empty filter lets everything pass.

        ``key`` is the idempotency key under which a run was accepted, as it is shown. ``since``: accepted then or later, a moment with a
        time zone. ``waiting``: for a signal. ``failed_at``: parked there; the path of a step, or of what it is in, or the name of an
        agent. Runs that are only in Redis yet are found as well. Raises :class:`~handoffs.contracts.errors.InvalidData` where a filter is
        none.

        Many parameters because each is a filter of its own.
        """
        query = given.run_query(flow, status, key, since, waiting, failed_at)
        return self._listing.newest(query, given.limit(limit, "runs"))

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
