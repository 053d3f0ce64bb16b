"""Failure: why a step is parked, in a form that travels and that people may read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, Self

from pydantic import ValidationError

from handoffs.contracts.contract import faults
from handoffs.contracts.errors import TooLarge
from handoffs.contracts.text import printable
from handoffs.coordinator.handoff.interruption import Escaped
from handoffs.coordinator.handoff.secrets import masked
from handoffs.coordinator.history import Entry, EntryKind
from handoffs.coordinator.store.record import StepRef

_MOST_TOLD = 10  # exceptions of a group
_MOST_COUNTED = 1_000_000


NOWHERE = "lost"
"""The step at which a run is parked of which nothing is on its way: no agent's, and there is no message that could be sent again."""


class FailureKind(StrEnum):
    """Why a step is parked; what to do about it is in :data:`REMEDIES`."""

    ERROR = "error"  # the agent raised it
    ALLOWANCE = "allowance-spent"  # it asked to be tried later, for longer than its policy allows
    OVER_BUDGET = "over-budget"  # its run has used up more than it may
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
    LOST = "lost"  # Redis has lost what is known of it
    UNHEARD = "unheard"  # an event without a subscriber
    TOO_LARGE = "too-large"  # nobody could read it, or what it leads to
    NOT_PASSED_ON = "not-passed-on"  # it has its outcome, and what follows cannot be sent


REMEDIES: dict[str, str] = {
    FailureKind.ERROR: "mend the cause, then replay",
    FailureKind.ALLOWANCE: "what it calls had no time for it, for as long as Retry(allowance=...) allows: find out why, or allow more; then replay",
    FailureKind.OVER_BUDGET: "allow the run more (coordinator runs allow RUN --tokens N --cost N), then replay; or cancel it",
    FailureKind.INVALID_INPUT: "edit it; or mend the sender or add the missing upcast, then replay",
    FailureKind.INVALID_OUTPUT: "mend the agent, deploy it, then replay",
    FailureKind.CONFLICT: "the key has an outcome for other content: find out which of the two is right, then skip the step with that outcome, or edit its input",
    FailureKind.EXPIRED: "the deadline passed before the step ran: replay only if it is still wanted",
    FailureKind.TIME_LIMIT: "raise the agent's time_limit or make it faster, then replay",
    FailureKind.WORKER_LOST: "look at the worker's memory and log, then replay",
    FailureKind.POISON: "each worker that took it died: mend the agent before replaying",
    FailureKind.DELIVERY_LIMIT: "each worker that took it died: mend the agent before replaying",
    FailureKind.UNKNOWN_AGENT: "start a worker that declares this agent (COORDINATOR_AGENTS), then replay",
    FailureKind.UNDECODABLE: "find out who sent it, for it is no message of this system; then put it away",
    FailureKind.UNROUTABLE: "start a worker of that agent, or declare its queue, then replay",
    FailureKind.REVOKED: "somebody revoked the task: replay it, or cancel the run",
    FailureKind.INCOMPLETE: "find out where the missing events are; then replay, or skip the step with an outcome",
    FailureKind.LOST: "Redis has lost its outcome, the history tells of it: skip the step with that, or replay it to do it again",
    FailureKind.UNHEARD: "subscribe an agent to it and start its worker, then replay",
    FailureKind.TOO_LARGE: "raise COORDINATOR_MAX_MESSAGE_BYTES in every process, or make the agent's output smaller; then replay",
    FailureKind.NOT_PASSED_ON: "its outcome stands: mend what keeps the next message from being made, then replay",
}


OF_NO_MESSAGE = ("lost:", "stranded:", "garbled:", "history:")
"""What the ids of letters begin with that have no message, since there was none."""


def remedy_of(kind: str, letter: str) -> str:
    """What to do about a letter of that kind and id; empty where nobody knows the kind."""
    if letter.startswith(OF_NO_MESSAGE):
        if letter.startswith("history:"):
            return "find out who wrote it into Redis: it is no entry of this system"
        if letter.startswith("stranded:"):
            return "mend the cause: it is tried again by itself; or give the run up"
        return "there is no message that could be sent again: look at the run's history, give it up, and start anew what is still wanted"
    return REMEDIES.get(kind, "")


def kind_of(error: Exception, otherwise: FailureKind) -> FailureKind:
    """Why a step is parked for ``error``: for the size of what was to be read or sent, or else ``otherwise``."""
    return FailureKind.TOO_LARGE if isinstance(error, TooLarge) else otherwise


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
    trace: str = ""
    """Where it was raised, as text (:mod:`.trace`); empty where no agent's code was reached."""
    replays: int = 0
    """How often its message had been replayed: until it is once more, no copy of it runs the step."""
    content: str = ""
    """Names what its message carries (:mod:`~handoffs.coordinator.messaging.content`): no other message is taken for it."""
    span: str = ""
    """The span of the handoff that parked it, where one was recorded: a replay links to it."""

    @classmethod
    def read(cls, reason: Mapping[str, Any]) -> Self:
        """The failure of its :meth:`fields`; those that a newer release has added are left out, and what is of another type is as
        if it were not there."""
        known: dict[str, Any] = {"attempt": 0, "replays": 0, "payload": reason.get("payload")}
        for one in fields(cls):
            value = reason.get(one.name)
            if one.name in {"attempt", "replays"}:
                known[one.name] = value if type(value) is int and 0 <= value < _MOST_COUNTED else 0
            elif one.name != "payload":
                known[one.name] = value if isinstance(value, str) else ""
        return cls(**known)

    def fields(self) -> dict[str, Any]:
        """As JSON values; those that an older release does not know only where they are there."""
        values = asdict(self)
        for name in ("trace", "replays", "content", "span"):
            if not values[name]:
                del values[name]
        return values

    @property
    def settled(self) -> bool:
        """Whether the step has its outcome, and waits for what follows it."""
        return self.kind == FailureKind.NOT_PASSED_ON

    def __str__(self) -> str:
        return f"{self.agent}: {self.kind}: {self.error}: {self.text}"


def describe(error: BaseException, secrets: tuple[str, ...] = ()) -> tuple[str, str]:
    """An exception as the name of its type and its text, fit to print, without the ``secrets``; a group with what is in it."""
    if isinstance(error, Escaped):
        error = error.error
    name, text = printable(type(error).__name__, 120), _text(error, secrets)
    if isinstance(error, BaseExceptionGroup):
        inside = [
            f"{printable(type(one).__name__, 120)}: {_text(one, secrets) or '(no text)'}"
            for one in _first_within(error)
        ]
        text = printable(": ".join((text, "; ".join(inside))))
    return name, text or "(no text)"


def _text(error: BaseException, secrets: tuple[str, ...]) -> str:
    if isinstance(error, ValidationError):  # its own text shows what was given, cut in the middle
        told = faults(error, hide=lambda text: masked(text, secrets))
        return f"{printable(masked(error.title, secrets), 120)}: {told}"
    try:
        return printable(masked(str(error), secrets))
    except BaseException as fault:  # noqa: BLE001 - its ``__str__`` is code of a user, too
        return f"(its text cannot be had: {printable(type(fault).__name__, 120)})"


def _first_within(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    """The first exceptions in a group that are no groups, from left to right."""
    found: list[BaseException] = []
    rest: list[BaseException] = [group]
    seen: set[int] = set()
    while rest and len(found) < _MOST_TOLD:
        one = rest.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, BaseExceptionGroup):
            rest += reversed(one.exceptions)
        else:
            found.append(one)
    return found


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
        trace=failure.trace,
    ).fields()
