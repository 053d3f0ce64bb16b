"""Standing: how runs are, by what Redis knows of them, or by what the journal says; or nobody knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias, get_args

from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.run_state import RunState

Status: TypeAlias = Literal[
    "scheduled", "running", "paused", "parked", "completed", "compensating", "cancelled", "unknown"
]
"""``scheduled``: accepted, and its time is to come. ``parked``: at least one step waits in the dead-letter queue; other branches
may still run. ``unknown``: Redis does not know the run, and the journal does not say how it ended: it may go on with a message
that is in the broker, or Redis has lost it."""


def status_in_redis(record: RunState) -> Status:
    """The status of a run that Redis knows."""
    if record.paused and record.status == "running":
        return "paused"
    return next((known for known in get_args(Status) if known == record.status), "running")


class Standings:
    """Says how runs stand. Raises :class:`~handoffs.coordinator.errors.ServerError` where Redis or the journal cannot be used."""

    def __init__(self, services: Services, journal: Journal) -> None:
        self._services = services
        self._journal = journal

    def of(self, run: str) -> tuple[RunState | None, Status]:
        """What Redis has of a run, and its status."""
        record = self._services.runs.state(run)
        return record, status_in_redis(record) if record else self._told([run])[0]

    def statuses(self, runs: Sequence[str], states: Mapping[str, str] | None = None) -> list[Status]:
        """The statuses of many runs, in one round trip, and another to the journal where Redis does not know them all and their ``states``
        there are not given."""
        records = self._services.runs.states(runs)
        gone = [run for run, record in zip(runs, records, strict=True) if record is None]
        if states is not None:
            told = {run: _status(states.get(run, "")) for run in gone}
        else:
            told = dict(zip(gone, self._told(gone), strict=True))
        return [
            status_in_redis(record) if record else told[run]
            for run, record in zip(runs, records, strict=True)
        ]

    def _told(self, runs: Sequence[str]) -> list[Status]:
        """What the journal says of runs that Redis does not know."""
        states = self._journal.runs.states(runs) if runs else {}
        return [_status(states.get(run, "")) for run in runs]


def _status(state: str) -> Status:
    return "completed" if state == "completed" else "cancelled" if state == "cancelled" else "unknown"
