"""Audit: what people did, from the journal and from what is still on its way there."""

from __future__ import annotations

from collections.abc import Iterator

from handoffs.coordinator.journal.actions import KINDS, ActionPage, ActionRow, action_of
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.observe.pending import Pending
from handoffs.coordinator.services import Services


class Audit:
    """Reads what people did. An empty filter lets everything pass: ``run``, ``by`` (who), ``since`` (ISO 8601 in UTC).

    Raises :class:`~handoffs.coordinator.errors.ServerError` where Redis or the journal cannot be used.
    """

    def __init__(self, services: Services, journal: Journal) -> None:
        self._journal = journal
        self._pending = Pending(services)

    def each(self, *, run: str = "", by: str = "", since: str = "") -> Iterator[ActionRow]:
        """What people did, oldest first."""
        pending = self._on_their_way(
            run, by, since
        )  # first: what comes into the journal meanwhile is told twice rather than never
        told: set[tuple[str, str, str, str]] = set()
        for row in self._journal.actions.each(run=run, by=by, since=since):
            told.add(_same(row))
            yield row
        yield from (row for row in reversed(pending) if _same(row) not in told)

    def page(
        self, *, run: str = "", by: str = "", since: str = "", before: int | None = None, limit: int = 50
    ) -> ActionPage:
        """A page of it, newest first, as :meth:`ActionTable.page <handoffs.coordinator.journal.actions.ActionTable.page>` gives it. What is
        on its way to the journal is on the first one, beside ``limit``, and has the id 0."""
        pending = self._on_their_way(run, by, since) if before is None else []
        page = self._journal.actions.page(run=run, by=by, since=since, before=before, limit=limit)
        told = {_same(row) for row in page.actions}
        return ActionPage((*(row for row in pending if _same(row) not in told), *page.actions), page.older)

    def _on_their_way(self, run: str, by: str, since: str) -> list[ActionRow]:
        """What the journal does not have yet, newest first."""
        found = (action_of(entry) for entry in self._pending.entries(KINDS))
        return [
            row for row in found if row and run in ("", row.run) and by in ("", row.who) and row.at >= since
        ]


def _same(row: ActionRow) -> tuple[str, str, str, str]:
    """What the same action is known by, in the journal and on its way there."""
    return row.at, row.run, row.action, row.who
