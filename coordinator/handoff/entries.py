"""What the history says of a handoff."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from handoffs.contracts.contract import ContractRef
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.handoff.close import Closed
from handoffs.coordinator.handoff.open import Opened
from handoffs.coordinator.history import Entry, EntryKind, now
from handoffs.coordinator.store.claim import Claim, ClaimVerdict
from handoffs.coordinator.store.settlement import Settled


class HandoffEntries:
    """Makes the history entries of one agent's handoffs."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def settled(self, kind: EntryKind, opened: Opened, closed: Closed) -> dict[str, Any]:
        """An outcome: of this step, or one that its key had (``deduplicated``)."""
        route = closed.route
        entry = self._of(
            kind,
            opened,
            wrote=str(ContractRef.from_uri(closed.record.schema)),
            sent=route.sent_otherwise(),
            emitted=route.emissions(opened.place.run),
            output=closed.shown,
            took_ms=closed.took_ms,
        )
        return entry.fields()

    def retried(self, opened: Opened, error: str, wait: timedelta) -> dict[str, Any]:
        """A failed attempt, of which there is another after ``wait``."""
        entry = self._of(EntryKind.RETRIED, opened, error=error, wait_ms=round(wait.total_seconds() * 1000))
        return entry.fields()

    def _of(self, kind: EntryKind, opened: Opened, **more: Any) -> Entry:
        original = opened.envelope.original_schema
        return Entry(
            kind,
            opened.place.run,
            opened.place.flow,
            now(),
            step=opened.place.step,
            agent=self._agent.name,
            attempt=opened.delivery.attempt,
            message=opened.delivery.id,
            read=str(opened.envelope.contract),
            event=opened.envelope.id if opened.event else "",
            original=str(ContractRef.from_uri(original)) if original else "",
            migrated=opened.migrated,
            fallback=opened.envelope.fallback or "",
            input=opened.payload.redacted(),
            worker=opened.delivery.worker,
            **more,
        )


def undo_of(opened: Opened) -> str:
    """What undoes the step, as JSON text; empty where nothing does."""
    undo = opened.delivery.kwargs.get("undo")
    return json.dumps({"step": opened.place.step, **undo}) if isinstance(undo, dict) else ""


def summary(opened: Opened, claim: Claim, closed: Closed, settled: Settled) -> str:
    """What logs and Flower say of it, in a line without payload."""
    word = (
        "deduplicated"
        if settled.verdict == "settled" and claim.verdict is ClaimVerdict.DONE
        else settled.verdict
    )
    return (
        f"{word} {ContractRef.from_uri(closed.record.schema)} run={opened.place.run} step={opened.place.step}"
    )
