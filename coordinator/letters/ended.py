"""Ended: why nobody can do anything about a step of a run any more."""

from __future__ import annotations

from handoffs.coordinator.continuation.path import follows_event, is_story, is_undo
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.record import StepRef
from handoffs.coordinator.store.run_state import ENDED


def ended_as(services: Services, place: StepRef) -> str:
    """How the run of a step has ended, or ``compensating`` where it was cancelled and is being undone; empty where the step may go
    on: with its run, in spite of that, or because Redis does not know it any more."""
    if follows_event(place.step) and not is_story(place.flow):
        return ""
    run = services.runs.state(place.run)
    if run is None or run.status in ENDED:
        return run.status if run else ""
    undoing = run.status == "compensating" or any(map(is_undo, run.parked))
    return "compensating" if undoing and not is_undo(place.step) else ""
