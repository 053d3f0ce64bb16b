"""Failure: why a step is parked, in a form that travels and that people may read."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from handoffs.contracts.text import printable
from handoffs.coordinator.history import Entry, EntryKind
from handoffs.coordinator.store.record import StepRef

Kind = Literal[
    "error",
    "invalid-input",
    "invalid-output",
    "conflict",
    "expired",
    "time-limit",
    "worker-lost",
    "poison",
    "delivery-limit",
    "unknown-agent",
    "undecodable",
    "unroutable",
    "revoked",
    "incomplete",
    "unheard",
]

REMEDIES: dict[str, str] = {
    "error": "mend the cause, then replay",
    "invalid-input": "mend the sender or add the missing upcast, then replay",
    "invalid-output": "mend the agent, deploy it, then replay",
    "conflict": "the key has an outcome for other content: find out which of the two is right",
    "expired": "the deadline passed before the step ran: replay only if it is still wanted",
    "time-limit": "raise the agent's time_limit or make it faster, then replay",
    "worker-lost": "look at the worker's memory and log, then replay",
    "poison": "each worker that took it died: mend the agent before replaying",
    "delivery-limit": "each worker that took it died: mend the agent before replaying",
    "unknown-agent": "start a worker that declares this agent (COORDINATOR_AGENTS), then replay",
    "undecodable": "find out who sent it: it is no message of this system",
    "unroutable": "start a worker of that agent, or declare its queue, then replay",
    "revoked": "somebody revoked the task: replay it, or cancel the run",
    "incomplete": "find out where the missing events are; then replay, or skip the step with an outcome",
    "unheard": "subscribe an agent to it and start its worker, then replay",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a step is parked.

    ``error`` is the type's name and ``text`` its message, bounded and escaped; ``contract`` is what the input was
    written as; ``payload`` is the input with sensitive values masked, None where it could not be read.
    """

    kind: Kind
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


def said(error: BaseException) -> tuple[str, str]:
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
