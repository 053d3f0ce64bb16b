"""What the history says of a handoff."""

from __future__ import annotations

from typing import Any

from handoffs.contracts.contract import ContractRef
from handoffs.contracts.searchable import marks
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.handoff.close import Closed
from handoffs.coordinator.handoff.open import Opened
from handoffs.coordinator.handoff.outcome import TryAgain
from handoffs.coordinator.handoff.trace import Account
from handoffs.coordinator.history import Entry, EntryKind, now
from handoffs.coordinator.store.claim import Claim, ClaimVerdict
from handoffs.coordinator.store.settlement import Settled


class HandoffEntries:
    """Makes the history entries of one agent's handoffs."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def settled(self, kind: EntryKind, opened: Opened, closed: Closed) -> dict[str, Any]:
        """An outcome: of this step, or one that its key had (``deduplicated``)."""
        route, given = closed.route, opened.payload.redacted()
        entry = self._of(
            kind,
            opened,
            given,
            wrote=str(ContractRef.from_uri(closed.record.schema)),
            sent=route.sent_otherwise(),
            emitted=route.emissions(opened.place.run),
            output=closed.shown,
            took_ms=closed.took_ms,
            digest=_whole(closed),
            marks=marks((type(opened.payload), given), (self._agent.emits, closed.shown)),
        )
        return entry.fields()

    def again(self, opened: Opened, told: Account, ending: TryAgain) -> dict[str, Any]:
        """A failed attempt, after which there is another: one more of the policy's (``retried``), or the same, where its error has said
        when (``waits``)."""
        kind = EntryKind.RETRIED if ending.counts else EntryKind.WAITS
        error, pause = f"{told.name}: {told.text}", round(ending.wait.total_seconds() * 1000)
        given = opened.payload.redacted()
        return self._of(kind, opened, given, error=error, trace=told.trace, wait_ms=pause).fields()

    def _of(self, kind: EntryKind, opened: Opened, given: dict[str, Any], **more: Any) -> Entry:
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
            input=given,
            worker=opened.delivery.worker,
            **more,
        )


def _whole(closed: Closed) -> str:
    """The digest of an outcome of which the history has everything; empty where something is masked, or events went with it: a
    digest of what is secret could be guessed at."""
    record = closed.record
    return record.digest() if not record.events and closed.shown == record.parsed() else ""


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
