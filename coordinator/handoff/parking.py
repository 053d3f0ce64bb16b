"""Parking: a step that cannot go on is marked at its run, before its message goes to the dead-letter queue."""

from __future__ import annotations

from dataclasses import replace

from handoffs.coordinator.continuation.arrival import budgets_as_read
from handoffs.coordinator.dispatch.requests import Asking
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.handoff.failure import Failure, FailureKind, parked_entry
from handoffs.coordinator.handoff.open import Opened, Opener
from handoffs.coordinator.handoff.outcome import Done, Leave, Outcome, Park, Refusal
from handoffs.coordinator.handoff.secrets import secrets_of
from handoffs.coordinator.handoff.trace import Account, account_of
from handoffs.coordinator.history import now
from handoffs.coordinator.messaging.delivery import Delivery
from handoffs.coordinator.messaging.trace_context import current
from handoffs.coordinator.store.record import StepRef
from handoffs.coordinator.store.store import Store


class Parking:
    """Parks the steps of one agent. Safe for threads."""

    def __init__(self, agent: Agent, store: Store, opener: Opener) -> None:
        self._agent = agent
        self._store = store
        self._opener = opener

    def refuse(self, delivery: Delivery, opened: Opened | None, refusal: Refusal) -> Asking[Outcome]:
        """Park a step for what its handoff found; ``opened`` where it got so far."""
        told = self.told(refusal.error, opened, refusal.secrets)
        failure = self.failure(delivery, refusal.kind, told.name, told.text, opened=opened)
        outcome = yield from self.park(delivery, replace(failure, trace=told.trace))
        return replace(outcome, error=refusal.error) if isinstance(outcome, Park) else outcome

    def told(
        self, error: BaseException, opened: Opened | None = None, secrets: tuple[str, ...] = ()
    ) -> Account:
        """What was raised, as people are told of it: without the sensitive values of the input and other ``secrets``."""
        known = (*secrets, *secrets_of(opened.payload)) if opened else secrets
        return account_of(error, own=self._agent.function.__module__, secrets=known)

    def failure(
        self, delivery: Delivery, kind: FailureKind, error: str, text: str, *, opened: Opened | None = None
    ) -> Failure:
        """Why a delivery is parked: for ``kind``, with the ``error`` of that name and its ``text``."""
        return Failure(
            kind=kind,
            error=error,
            text=text,
            message=delivery.id,
            agent=self._agent.name,
            attempt=delivery.attempt,
            at=now(),
            contract=str(opened.envelope.contract) if opened else "",
            worker=delivery.worker,
            replays=delivery.replays,
            content=delivery.content,
            span=current().span,
            payload=opened.payload.redacted() if opened else None,
            budgets=""  # nothing takes the place of what has its outcome
            if kind is FailureKind.NOT_PASSED_ON
            else " ".join(budgets_as_read(delivery.step, delivery.chain, delivery.chord)),
        )

    def lost(self, delivery: Delivery, kind: FailureKind, error: str, text: str) -> Asking[Outcome]:
        """Park a step whose handoff cannot say how it ended: for ``kind``, with the ``error`` of that name and its ``text``."""
        return (yield from self.park(delivery, self.failure(delivery, kind, error, text)))

    def park(self, delivery: Delivery, failure: Failure) -> Asking[Outcome]:
        """Record that the step is parked. Where it is settled or the run has ended by now, there is nothing to park. Of a message
        that carries something else than its headers say, no run hears: it is a letter of its own."""
        if delivery.agrees:
            place = StepRef(delivery.run, delivery.flow, delivery.step)
            event = str(delivery.headers.get("parent_id") or "") if "event" in delivery.kwargs else ""
            entry = parked_entry(place, failure, event)
            status = yield from self._store.steps.park(
                place, failure.fields(), entry, settled=failure.settled
            )
            if status != "parked":
                return Done(f"{status} run={delivery.run} step={delivery.step}")
        return Park(failure)

    def release(self, delivery: Delivery) -> Asking[None]:
        """Give back the lease that a child process held when it died."""
        try:
            opened = yield from self._opener.read(delivery)
            text = yield from self._store.steps.edit_of(opened.place)
            opened = self._opener.edited(delivery, text) if text else opened
        except Leave:  # it got no further than this, so it held none
            return
        yield from self._store.handoffs.release(self._agent.name, opened.key, owner=delivery.owner)
