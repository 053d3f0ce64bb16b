"""Causes: why letters wait, in the few words that people sort by, and what helps first in each case."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from handoffs.coordinator.handoff.failure import OF_NO_MESSAGE, FailureKind, remedy_of


class Cause(StrEnum):
    """Why a letter waits. :class:`FailureKind` says the same more finely; each kind is of one cause."""

    FAILED = "failed"
    INVALID_CONTRACT = "invalid contract"
    UNROUTABLE = "unroutable"
    EXPIRED = "expired"
    DELIVERY_LIMIT = "delivery limit"
    CONFLICT = "conflict"
    POISON = "poison"


class Act(StrEnum):
    """What a person can do with a letter, or with its run."""

    REPLAY = "replay"
    EDIT = "edit"
    SKIP = "skip"
    ALLOW = "allow"
    """Allow its run to use up more, and replay it."""
    ARCHIVE = "archive"
    RUN = "run"
    """Look at its run: there is no message that could be sent again."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What is known of a letter by its kind: its ``cause``; what the kind ``means``, in words; what to do (``remedy``, a sentence),
    and what of that can be done ``first``, here."""

    cause: Cause
    means: str
    remedy: str
    first: Act


_KINDS: dict[str, tuple[Cause, Act, str]] = {
    FailureKind.ERROR: (Cause.FAILED, Act.REPLAY, "its agent raised an error that no retry mends"),
    FailureKind.ALLOWANCE: (Cause.FAILED, Act.REPLAY, "what its agent calls had no time for it, for too long"),
    FailureKind.OVER_BUDGET: (Cause.FAILED, Act.ALLOW, "its run has used up more than it may"),
    FailureKind.TIME_LIMIT: (Cause.FAILED, Act.REPLAY, "it took longer than its agent may, and was ended"),
    FailureKind.WORKER_LOST: (Cause.FAILED, Act.REPLAY, "its worker died at it"),
    FailureKind.REVOKED: (Cause.FAILED, Act.REPLAY, "somebody revoked its task"),
    FailureKind.INCOMPLETE: (Cause.FAILED, Act.REPLAY, "it waits for events, and not all of them have come"),
    FailureKind.LOST: (Cause.FAILED, Act.SKIP, "Redis has lost what was known of it"),
    FailureKind.NOT_PASSED_ON: (Cause.FAILED, Act.REPLAY, "it has its outcome, and what follows could not be sent"),
    FailureKind.INVALID_INPUT: (Cause.INVALID_CONTRACT, Act.EDIT, "its input is not what its contract says"),
    FailureKind.INVALID_OUTPUT: (Cause.INVALID_CONTRACT, Act.REPLAY, "what its agent made is not what its contract says"),
    FailureKind.UNDECODABLE: (Cause.INVALID_CONTRACT, Act.ARCHIVE, "it is no message of this system"),
    FailureKind.TOO_LARGE: (Cause.INVALID_CONTRACT, Act.REPLAY, "it, or what follows it, is too large for a message"),
    FailureKind.UNKNOWN_AGENT: (Cause.UNROUTABLE, Act.REPLAY, "the worker that got it has no such agent"),
    FailureKind.UNROUTABLE: (Cause.UNROUTABLE, Act.REPLAY, "there was no queue for its agent"),
    FailureKind.UNHEARD: (Cause.UNROUTABLE, Act.REPLAY, "nobody subscribes to it"),
    FailureKind.EXPIRED: (Cause.EXPIRED, Act.REPLAY, "its deadline passed before it began"),
    FailureKind.DELIVERY_LIMIT: (Cause.DELIVERY_LIMIT, Act.REPLAY, "the broker delivered it too often, and gave it up"),
    FailureKind.CONFLICT: (Cause.CONFLICT, Act.SKIP, "its idempotency key stands for other content"),
    FailureKind.POISON: (Cause.POISON, Act.REPLAY, "each worker that took it died"),
}  # fmt: skip

SAID: dict[Cause, str] = {
    Cause.FAILED: "the agent, its worker or its run gave up",
    Cause.INVALID_CONTRACT: "an input or an output is not what its contract says",
    Cause.UNROUTABLE: "nobody takes it",
    Cause.EXPIRED: "its deadline passed first",
    Cause.DELIVERY_LIMIT: "the broker gave it up",
    Cause.CONFLICT: "its idempotency key stands for other content",
    Cause.POISON: "its workers die at it",
}
"""What each cause means, in words."""

_DIED = "its agent was at work when it was ended: nobody tells where"
_NOT_BEGUN = "its agent did not begin"
_UNKNOWN = "it is not told whether its agent began"
_WHERE: dict[str, str] = {
    FailureKind.ERROR: "it is not told where in its agent's code",
    FailureKind.ALLOWANCE: "it is not told where in its agent's code",
    FailureKind.OVER_BUDGET: _UNKNOWN,
    FailureKind.TIME_LIMIT: _DIED,
    FailureKind.WORKER_LOST: _DIED,
    FailureKind.REVOKED: _UNKNOWN,
    FailureKind.INCOMPLETE: _NOT_BEGUN,
    FailureKind.LOST: _UNKNOWN,
    FailureKind.NOT_PASSED_ON: "its agent ran and returned, and what follows could not be sent",
    FailureKind.INVALID_INPUT: f"{_NOT_BEGUN}: its input was refused before",
    FailureKind.INVALID_OUTPUT: "its agent ran and returned, and what it returned was refused",
    FailureKind.UNDECODABLE: _NOT_BEGUN,
    FailureKind.TOO_LARGE: _UNKNOWN,
    FailureKind.UNKNOWN_AGENT: _NOT_BEGUN,
    FailureKind.UNROUTABLE: _NOT_BEGUN,
    FailureKind.UNHEARD: _NOT_BEGUN,
    FailureKind.EXPIRED: _NOT_BEGUN,
    FailureKind.DELIVERY_LIMIT: _UNKNOWN,
    FailureKind.CONFLICT: f"{_NOT_BEGUN}: another step has its key",
    FailureKind.POISON: _DIED,
}  # fmt: skip


def where(kind: str) -> str:
    """How far a letter of that kind came, in words, where no place in the code is told."""
    return _WHERE.get(kind, _UNKNOWN)


def cause_of(kind: str) -> Cause:
    """The cause that letters of a kind have; of a kind that a newer release wrote: that it failed."""
    return _KINDS[kind][0] if kind in _KINDS else Cause.FAILED


def advice(kind: str, letter: str) -> Advice:
    """What to do about a letter of that kind and id."""
    cause, first, means = _KINDS.get(kind, (Cause.FAILED, Act.REPLAY, ""))
    if letter.startswith(OF_NO_MESSAGE):
        first = Act.ARCHIVE if letter.startswith("history:") else Act.RUN
    return Advice(cause, means, remedy_of(kind, letter), first)
