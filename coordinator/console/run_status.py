"""Run status: how a run is, as people call it."""

from __future__ import annotations

from handoffs.coordinator.client.run import Run
from handoffs.coordinator.observe.run_summary import shown_status


def status_for_people(run: Run) -> str:
    """The status of a run, ``waiting`` where it goes on and waits for a signal."""
    return shown_status(run.status(), waits=bool(run.waiting()))
