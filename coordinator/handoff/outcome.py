"""Outcome: how a handoff ends, and the one exception by which it is left early."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from handoffs.coordinator.handoff.failure import Failure, FailureKind
from handoffs.coordinator.messaging.message import Message


class Reason(StrEnum):
    """Why a message is to come again, where its attempt has not failed."""

    BUSY = "busy"
    """Another delivery holds the lease."""
    PAUSED = "paused"
    """The run is held."""
    OTHER_BUILD = "left to another build of the agent"
    """An event with which this worker cannot do anything, and others can."""
    LATE = "late"
    """Another run took the idempotency key over: its outcome will be this step's too."""
    SERVER = "put off"
    """A server cannot be reached."""
    STOPPING = "left to another worker"
    """Its worker is to end, and the agent has heard that."""
    FAILED = "failed"
    """The attempt failed, and the policy wants another."""


@dataclass(frozen=True, slots=True)
class Done:
    """The message is dealt with: acknowledge it. ``summary`` says how, in a line without payload."""

    summary: str


@dataclass(frozen=True, slots=True)
class Postpone:
    """Publish ``message`` again after ``wait``, then acknowledge. ``error`` is what the attempt failed with, if it did, and
    ``trace`` where, as text; ``attempt``, ``looks`` and ``waited`` are those of the message that comes."""

    wait: timedelta
    message: Message
    reason: Reason
    summary: str
    attempt: int
    looks: int = 0
    waited: int = 0
    error: BaseException | None = None
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Park:
    """Reject the message to the dead-letter queue. ``error`` is what was raised, where that is known here."""

    failure: Failure
    error: BaseException | None = None


Outcome = Done | Postpone | Park


@dataclass(frozen=True, slots=True)
class Refusal:
    """The step cannot go on: it is to be parked, for ``kind`` and because of ``error``. ``secrets`` are values that must not be
    shown, beside those of its input."""

    kind: FailureKind
    error: BaseException
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TryAgain:
    """The attempt failed with ``error``; the policy wants another after ``wait``. It ``counts`` unless the error has said itself when to
    come back; such waits have used up ``waited`` of the policy's allowance by then."""

    wait: timedelta
    error: BaseException
    counts: bool = True
    waited: timedelta = timedelta()


class Leave(Exception):
    """Leaves the handoff, from any depth, with its ending."""

    def __init__(self, ending: Done | Postpone | Park | Refusal | TryAgain) -> None:
        super().__init__(ending)
        self.ending = ending


def refuse(kind: FailureKind, error: BaseException, secrets: tuple[str, ...] = ()) -> Leave:
    """What to raise where the step is to be parked."""
    return Leave(Refusal(kind, error, secrets))
