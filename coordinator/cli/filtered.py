"""Filtered: the run that a filter of a command names, by how its id begins."""

from __future__ import annotations

from collections.abc import Callable

from handoffs.contracts.text import is_plain
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.errors import UnknownRun


def id_of_run(coordinator: Coordinator, run: str) -> str:
    """The whole id of the run whose id is ``run``, or begins so; empty where ``run`` is. An id of which nothing is left but what people
    did to it, or dead letters, is taken where it is given whole.

    Raises what :meth:`Coordinator.find_run <handoffs.coordinator.client.lookups.Lookups.find_run>` does.
    """
    journal = coordinator.journal

    def is_left() -> bool:
        return bool(
            journal.actions.page(run=run, limit=1).actions or journal.letters.total(run=run, state=None)
        )

    return _found(coordinator, run, is_left)


def id_of_recorded_run(coordinator: Coordinator, run: str) -> str:
    """The same where the record is asked: one of which nothing is left but its row, or what people did to it, is taken whole."""
    journal = coordinator.journal

    def is_left() -> bool:
        return bool(journal.runs.states([run]) or journal.actions.page(run=run, limit=1).actions)

    return _found(coordinator, run, is_left)


def _found(coordinator: Coordinator, run: str, is_left: Callable[[], bool]) -> str:
    if not run:
        return ""
    try:
        return coordinator.find_run(run).id
    except UnknownRun:
        if is_plain(run) and is_left():
            return run
        raise
