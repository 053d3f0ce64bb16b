"""RunQuery: which runs are listed, by what the journal can say of them and by how they are now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypedDict

from handoffs.coordinator.journal.run_filter import ListedRun, RunFilter
from handoffs.coordinator.observe.run_summary import ParkedStep, RunSummary
from handoffs.coordinator.store.run_state import ENDED


class RunChoice(TypedDict, total=False):
    """Which runs are asked for. What is not given, or is empty, lets everything pass.

    flow
        The name of their flow.
    status
        How they are now: a :data:`~handoffs.coordinator.observe.standing.Status`.
    key
        The idempotency key under which they were accepted, as it is shown.
    since, until
        Accepted then or later, and before; moments with a time zone.
    waiting
        For a signal.
    failed_at
        Parked there: the path of a step, or of what it is in, or the name of an agent.
    error
        The type of an error, or the kind of a failure, of a letter of theirs that waits.
    where
        Values of fields that contracts mark as :class:`~handoffs.contracts.searchable.Searchable`, by the names of the fields: those of what
        a run was given, or has made. All of them have to be there.
    text
        What people type to find a run: what :meth:`Coordinator.search <handoffs.coordinator.client.coordinator.Coordinator.search>` finds for
        it, up to five hundred in each way.
    """

    flow: str
    status: str
    key: str
    since: datetime | None
    until: datetime | None
    waiting: bool
    failed_at: str
    error: str
    where: Mapping[str, object]
    text: str


@dataclass(frozen=True, slots=True)
class RunQuery:
    """A :class:`RunChoice` that was checked. ``before`` is the place in the list after which those begin that are given; ``runs`` are those
    that may pass, None: any."""

    flow: str = ""
    status: str = ""
    key: str = ""
    since: datetime | None = None
    until: datetime | None = None
    waiting: bool = False
    failed_at: str = ""
    error: str = ""
    where: tuple[tuple[str, str], ...] = ()
    before: tuple[str, str] | None = None
    runs: frozenset[str] | None = None

    @property
    def asks_redis(self) -> bool:
        """Whether the journal alone cannot say which runs pass, nor how many."""
        return self.waiting or bool(self.failed_at) or self.status not in {"", *ENDED}

    def stored(self) -> RunFilter:
        """What the journal can say of it."""
        return RunFilter(
            flow=self.flow,
            key=self.key,
            since=written(self.since),
            until=written(self.until),
            ended=self.status if self.status in ENDED else "",
            living=self.asks_redis,
            before=self.before,
            error=self.error,
            where=self.where,
            runs=self.runs,
        )

    def passes(self, run: RunSummary) -> bool:
        """Whether a run is among them, by how it is now."""
        if self.status and run.status != self.status:
            return False
        if self.waiting and not run.waiting:
            return False
        return not self.failed_at or any(_is_at(one, self.failed_at) for one in run.parked)


def passes_pending(row: ListedRun, chosen: RunFilter) -> bool:
    """Whether a run that is not in the journal yet passes its filter, as far as its row says."""
    return (
        chosen.flow in ("", row.flow)
        and chosen.key in ("", row.key)
        and row.started >= chosen.since
        and not (chosen.until and row.started >= chosen.until)
        and (chosen.before is None or (row.started, row.run) < chosen.before)
        and (chosen.runs is None or row.run in chosen.runs)
    )


def written(moment: datetime | None) -> str:
    """A moment as the journal has it; empty where there is none."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds") if moment else ""


def _is_at(parked: ParkedStep, where: str) -> bool:
    return where == parked.agent or f"{parked.step}.".startswith(f"{where}.")
