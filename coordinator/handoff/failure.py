"""Failure: why a step is parked, in a form that travels and that people may read."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from handoffs.contracts.text import printable
from handoffs.coordinator.history import Entry, EntryKind
from handoffs.coordinator.store.record import StepRef


class FailureKind(StrEnum):
    """Why a step is parked; what to do about it is in :data:`REMEDIES`."""

    ERROR = "error"  # the agent raised it
    INVALID_INPUT = "invalid-input"  # no agent may get it
    INVALID_OUTPUT = "invalid-output"  # no agent may emit it
    CONFLICT = "conflict"  # the key stands for another content
    EXPIRED = "expired"  # its deadline passed
    TIME_LIMIT = "time-limit"  # the pool killed its process
    WORKER_LOST = "worker-lost"  # its worker died
    POISON = "poison"  # it lost too many workers
    DELIVERY_LIMIT = "delivery-limit"  # the broker gave it up
    UNKNOWN_AGENT = "unknown-agent"  # no worker knew its agent
    UNDECODABLE = "undecodable"  # it is no message of ours
    UNROUTABLE = "unroutable"  # it had no queue
    REVOKED = "revoked"  # remote control revoked it
    INCOMPLETE = "incomplete"  # a set whose events have not all come
    UNHEARD = "unheard"  # an event without a subscriber


REMEDIES: dict[str, str] = {
    FailureKind.ERROR: "mend the cause, then replay",
    FailureKind.INVALID_INPUT: "mend the sender or add the missing upcast, then replay",
    FailureKind.INVALID_OUTPUT: "mend the agent, deploy it, then replay",
    FailureKind.CONFLICT: "the key has an outcome for other content: find out which of the two is right",
    FailureKind.EXPIRED: "the deadline passed before the step ran: replay only if it is still wanted",
    FailureKind.TIME_LIMIT: "raise the agent's time_limit or make it faster, then replay",
    FailureKind.WORKER_LOST: "look at the worker's memory and log, then replay",
    FailureKind.POISON: "each worker that took it died: mend the agent before replaying",
    FailureKind.DELIVERY_LIMIT: "each worker that took it died: mend the agent before replaying",
    FailureKind.UNKNOWN_AGENT: "start a worker that declares this agent (COORDINATOR_AGENTS), then replay",
    FailureKind.UNDECODABLE: "find out who sent it: it is no message of this system",
    FailureKind.UNROUTABLE: "start a worker of that agent, or declare its queue, then replay",
    FailureKind.REVOKED: "somebody revoked the task: replay it, or cancel the run",
    FailureKind.INCOMPLETE: "find out where the missing events are; then replay, or skip the step with an outcome",
    FailureKind.UNHEARD: "subscribe an agent to it and start its worker, then replay",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a step is parked.

    ``error`` is the type's name and ``text`` its message, bounded and escaped; ``contract`` is what the input was
    written as; ``payload`` is the input with sensitive values masked, None where it could not be read.
    """

    kind: FailureKind
    error: str
    text: str
    message: str
    agent: str
    attempt: int
    at: str
    contract: str = ""
    worker: str = ""
    payload: Any = None
    budgets: str = ""
    """The budgets that the step is in, by path, innermost first: its run does not wait for a person, but for them."""

    def fields(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.agent}: {self.kind}: {self.error}: {self.text}"


def describe(error: BaseException) -> tuple[str, str]:
    """An exception as the name of its type and its text, fit to print."""
    return printable(type(error).__name__, 120), printable(error) or "(no text)"


def parked_entry(place: StepRef, failure: Failure, event: str = "") -> dict[str, Any]:
    """The history entry of a parked step; ``event`` is the id of the event that it was to hear."""
    return Entry(
        EntryKind.PARKED,
        place.run,
        place.flow,
        failure.at,
        step=place.step,
        agent=failure.agent,
        attempt=failure.attempt,
        message=failure.message,
        read=failure.contract,
        event=event,
        input=failure.payload,
        worker=failure.worker,
        error=f"{failure.kind}: {failure.error}: {failure.text}",
    ).fields()
