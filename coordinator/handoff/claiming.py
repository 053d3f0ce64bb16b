"""Claiming: the second step of a handoff. What is known of the step and of its key, and whether the agent may run."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from handoffs.contracts.errors import CoordinationError, InvalidInput
from handoffs.coordinator.dispatch.requests import Asking
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.handoff.failure import Failure, FailureKind
from handoffs.coordinator.handoff.metering import may_not_begin
from handoffs.coordinator.handoff.open import Opened, look_again
from handoffs.coordinator.handoff.outcome import Done, Leave, Park, Reason, refuse
from handoffs.coordinator.history import now
from handoffs.coordinator.store.claim import Claim, ClaimVerdict
from handoffs.coordinator.store.store import Store


def still_wanted(opened: Opened, claim: Claim) -> Opened:
    """The same, without its deadline where that has passed and a person has replayed the step: who does that wants it still, and what
    follows it."""
    if not opened.delivery.replays or not _is_late(opened, claim):
        return opened
    return replace(opened, envelope=opened.envelope.model_copy(update={"expiry_time": None}))


def _is_late(opened: Opened, claim: Claim) -> bool:
    return opened.envelope.expired(datetime.fromtimestamp(claim.at / 1000, UTC))


class Claimer:
    """Claims the steps of one agent. Safe for threads."""

    def __init__(self, agent: Agent, store: Store, crash_limit: int) -> None:
        self._agent = agent
        self._store = store
        self._crash_limit = crash_limit

    def claim(self, opened: Opened) -> Asking[Claim]:
        """Ask what is known of the step and of the key, and take the lease if it is free: one round trip.

        Raises :class:`Leave` where there is nothing to do, not now, or where the step is to be parked.
        """
        claim = yield from self._store.handoffs.claim(
            opened.place,
            agent=self._agent.name,
            key=opened.key,
            content=opened.content,
            older=opened.older,
            owner=opened.delivery.owner,
            replays=opened.delivery.replays,
            budgets=opened.budgets,
            edit=opened.edit,
            supersedes=opened.supersedes,
            looks=opened.delivery.looks,
        )
        match claim.verdict:
            case ClaimVerdict.CONFLICT:
                raise refuse(
                    FailureKind.CONFLICT,
                    CoordinationError(
                        f"the idempotency key {opened.key!r} of {self._agent.name} was used with another content",
                        "the agent did not run",
                        "use another key for other work",
                    ),
                )
            case ClaimVerdict.POISON:
                lost = CoordinationError(
                    f"the step lost its worker {self._crash_limit} times", "it was not run again"
                )
                raise refuse(FailureKind.POISON, lost)
            case ClaimVerdict.LOST:
                raise refuse(FailureKind.LOST, CoordinationError(claim.lost, "it was not run again"))
            case ClaimVerdict.GRANTED:
                yield from self._may_begin(opened, claim)
            case ClaimVerdict.BUSY:
                raise Leave(look_again(opened.delivery, opened.came, claim.wait, Reason.BUSY))
            case ClaimVerdict.PAUSED:
                yield from self._store.steps.stopped(opened.place, self._held(opened))
                raise Leave(look_again(opened.delivery, opened.came, claim.wait, Reason.PAUSED))
            case ClaimVerdict.PARKED:
                raise Leave(Park(Failure.read(json.loads(claim.parked))))
            case ClaimVerdict.EDITED:
                pass
            case _ if claim.record is None:
                raise Leave(Done(f"{claim.verdict} run={opened.place.run} step={opened.place.step}"))
        return claim

    def _may_begin(self, opened: Opened, claim: Claim) -> Asking[None]:
        """Whether a step that has its lease may begin: an outcome that is known is passed on all the same. Raises :class:`Leave` where its
        deadline has passed and nobody has replayed it, or its run has used up more than it may."""
        over = may_not_begin(opened, claim.spent)
        passed = _is_late(opened, claim) and not opened.delivery.replays
        if passed or over:
            yield from self._store.handoffs.release(self._agent.name, opened.key, fence=claim.fence)
        if passed:
            late = InvalidInput(f"the deadline {opened.envelope.expiry_time} has passed")
            raise refuse(FailureKind.EXPIRED, late)
        if over:
            raise refuse(FailureKind.OVER_BUDGET, over)

    def _held(self, opened: Opened) -> dict[str, Any]:
        """What there is to say of a message that is held: what an edit of its input has to know, and what people see."""
        return {
            "agent": self._agent.name,
            "key": opened.key,
            "given": opened.envelope.idempotency_key,
            "turn": str(opened.delivery.kwargs.get("turn") or ""),
            "content": opened.content,
            "contract": str(opened.envelope.contract),
            "event": opened.event,
            "payload": opened.payload.redacted(),
            "budgets": list(opened.budgets),
            "attempt": opened.delivery.attempt,
            "at": now(),
        }
