"""Trigger: what the agent that begins a flow does with its event: it starts a run."""

from __future__ import annotations

from dataclasses import dataclass

from handoffs.contracts.contract import Contract
from handoffs.coordinator.flow.context import Context
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.history import Entry, EntryKind, now
from handoffs.coordinator.runs.start import Starts
from handoffs.coordinator.store.store import Store


@dataclass(frozen=True, slots=True)
class StartOnEvent:
    """The function of the agent ``<flow>.begin``."""

    starts: Starts
    store: Store
    flow: Flow

    def __call__(self, payload: Contract, context: Context) -> None:
        """Start a run with the event, and tell the event's story of it. Raises what :class:`Starts` raises."""
        accepted = self.starts.start_on_event(
            self.flow,
            payload,
            context.key,
            story=context.run_id,
            event=context.event,
            deadline=context.deadline,
        )
        began = Entry(
            EntryKind.TRIGGERED,
            context.run_id,
            context.flow,
            now(),
            step=context.step,
            event=context.event,
            triggered=accepted.run_id,
        )
        self.store.note(context.run_id, began.fields())
