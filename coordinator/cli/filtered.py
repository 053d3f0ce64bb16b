"""Filtered: the run that a filter of a command names, by how its id begins."""

from __future__ import annotations

from handoffs.contracts.text import is_plain
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.errors import UnknownRun


def id_of_run(coordinator: Coordinator, run: str) -> str:
    """The whole id of the run whose id is ``run``, or begins so; empty where ``run`` is. An id of which nothing is left but what people
    did to it, or dead letters, is taken where it is given whole.

    Raises what :meth:`Coordinator.find_run <handoffs.coordinator.client.lookups.Lookups.find_run>` does.
    """
    if not run:
        return ""
    try:
        return coordinator.find_run(run).id
    except UnknownRun:
        journal = coordinator.journal
        if not is_plain(run):
            raise
        if journal.actions.page(run=run, limit=1).actions or journal.letters.total(run=run, state=None):
            return run
        raise
