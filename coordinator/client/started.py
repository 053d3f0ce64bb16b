"""Started: what became of one payload of many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from handoffs.coordinator.client.run import Run, RunAccess
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.runs.spans import Accepted


@dataclass(frozen=True, slots=True)
class Started:
    """A run that was accepted, or the error that :meth:`Coordinator.start <handoffs.coordinator.client.coordinator.Coordinator.start>`
    raises for its payload: one of the two is None."""

    run: Run | None = None
    error: Exception | None = None

    def get(self) -> Run:
        """The run. Raises the error where there is none."""
        if self.run is None:
            raise self.error or AssertionError
        return self.run


def started(found: Iterable[Accepted | Exception], access: RunAccess, flow: Flow) -> Iterator[Started]:
    """What was found of each payload, for callers."""
    for one in found:
        if isinstance(one, Exception):
            yield Started(error=one)
        else:
            yield Started(Run(one.run_id, access, flow, created=one.created, span=one.span))
