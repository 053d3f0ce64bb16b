"""Compensation: what the steps of a run did is undone, one step after the other, the last one first."""

from __future__ import annotations

from handoffs.coordinator.dispatch.sender import send
from handoffs.coordinator.history import Entry
from handoffs.coordinator.messaging.envelopes import Sending
from handoffs.coordinator.runs.spans import trace_of_run
from handoffs.coordinator.services import Services
from handoffs.coordinator.store import scripts
from handoffs.coordinator.store.record import StepRef


class Compensation:
    """Begins to undo what runs did. From the first step on, whoever undoes one sends the next.

    Raises :class:`~handoffs.coordinator.errors.ServerError` where a server fails; what was begun then is begun once more by the
    sweep of a coordinator process.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    def cancel(self, run_id: str, flow: str, entry: Entry | None) -> str:
        """Cancel a run and begin to undo what it did; gives its status. Doing it again goes on where undoing is; ``entry`` is what
        the history says of it, and that it is to be undone only once."""
        services = self._services
        status, first = services.runs.cancel(run_id, entry.fields() if entry else None, compensate=True)
        if status != "compensating":
            return status
        for outcomes in services.runs.to_undo(
            run_id
        ):  # first: from now on nobody else is given what is to be undone
            scripts.run(services.store.redis, *map(services.store.handoffs.undo_outcome, outcomes))
        if first is not None:
            place = StepRef(run_id, flow, "")
            sending = Sending(run_id, trace=trace_of_run(services.runs.state(run_id)))
            services.perform(send(services.router.undone(place, first), sending, declare=True))
        services.runs.published(run_id)
        return status
