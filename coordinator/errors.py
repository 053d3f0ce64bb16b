"""The errors of the engine, below the root that contracts declares."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from handoffs.contracts.errors import CoordinationError, InvalidData
from handoffs.contracts.text import named


class AgentError(CoordinationError):
    """An agent is declared wrongly. Raised where it is declared."""


class FlowError(CoordinationError):
    """A flow cannot work: its neighbours do not fit. Raised where it is built."""


class Unanswerable(InvalidData):
    """A condition of a flow cannot be answered for a payload, so that no way is taken: what would go on is parked."""


class ScheduleError(CoordinationError):
    """A schedule cannot work. Raised where it is declared, or where the payload of a run cannot be made."""


class LoadError(CoordinationError):
    """A module of agents cannot be loaded, or two of them declare the same name."""


class ProjectRefused(CoordinationError):
    """A new project cannot be written: its name or its folder is taken, or is none. Nothing of it is there."""


class UnknownFlow(CoordinationError):
    """No loaded module declares a flow of that name."""


class UnknownRun(CoordinationError):
    """There is no live run of that id, and the journal knows none."""


class UnknownLetter(CoordinationError):
    """There is no dead letter of that id."""


class UnknownGroup(CoordinationError):
    """No dead letters of a group of that id wait."""


class UnknownOperation(CoordinationError):
    """There is no operation of that id."""


class OperationOver(CoordinationError):
    """An operation is done, or was cancelled: it is neither resumed nor cancelled."""


class AmbiguousId(CoordinationError):
    """The beginning of an id was given, and the ids of several begin so."""


class ExportRefused(CoordinationError):
    """A dead letter or a run cannot be written as a test: it is not for its agents and its data alone that it is as it is, or what there
    was cannot be read."""


class NotOne(CoordinationError, AssertionError):
    """One entry of a history, or one dead letter, is expected, and there is none, or there are several: the text lists what there is.
    It is an :class:`AssertionError` too, so that a test fails by it."""


class UnknownContract(CoordinationError):
    """No contract, or no version of it, is published or loaded under that name."""


class UnknownSchedule(CoordinationError):
    """No loaded module declares a schedule of that name."""


class UnknownDeployment(CoordinationError):
    """That build of that agent is not recorded as deployed."""


class Conflict(CoordinationError):
    """The same idempotency key came with another content, or the same build with another manifest. What came first stays."""


class ServerError(CoordinationError):
    """RabbitMQ, Redis or the journal cannot be reached or cannot be used."""


class QueueFull(ServerError):
    """The queue that a message goes to has a bound (``COORDINATOR_QUEUE_LIMITS``), and no room."""


class Refused(ServerError):
    """A server answers, and refuses what it was asked for what that says: asked again, it refuses again."""


def passes(error: BaseException) -> bool:
    """Whether a server is away, or has no room: to wait for it helps. What it refuses for what it is asked is never waited with."""
    return isinstance(error, ServerError) and not isinstance(error, Refused)


class Unpublished(ServerError):
    """A run was accepted, and the broker does not have its first messages yet.

    It is not lost and need not be started again: the coordinator process publishes it as soon as the broker takes it.
    ``run_id`` is the run: ``coordinator.run(error.run_id)``.
    """

    run_id: str = ""


class Unanswered(ServerError):
    """Redis did not say whether it has accepted a run.

    ``run_id`` is the run, if it was: ``coordinator.run(error.run_id)``. Starting it again with the same idempotency key
    does no harm.
    """

    run_id: str = ""


class Interrupted(ServerError):
    """A server failed while many runs were started. Each payload that was taken has its result; none after them was looked at.

    ``taken`` is how many were, and ``accepted`` of how many of them it is known that they are accepted.
    """

    taken: int = 0
    accepted: int = 0


class SchemaRefused(ServerError):
    """The journal's tables are of an older release than this one, and are not to be upgraded here; or of a newer one."""


class SealBroken(CoordinationError):
    """A sealed message in the journal cannot be read with the keys that are set. It stays as it is."""


class NotInstalled(CoordinationError):
    """What was asked for needs a package that is not installed."""


class ContractsRefused(CoordinationError):
    """A worker may not begin: its contracts are not published as its code has them, or do not go with what is there."""


class SignalRefused(CoordinationError):
    """A signal is not what the run waits for, or another came before it."""


class EditRefused(CoordinationError):
    """A step is not given another input: it has its outcome, runs now, or is none that waits."""


class LetterClosed(CoordinationError):
    """A dead letter does not wait any more: its step has its outcome, or it was replayed and its run has ended."""


class RunNotCompleted(CoordinationError):
    """The run has no result. Base of the reasons."""


class RunParked(RunNotCompleted):
    """A step of the run failed and waits in the dead-letter queue.

    ``step`` is its path, ``failure`` what is known of it: ``agent``, ``kind``, ``error``, ``text``.
    """

    step: str = ""
    failure: Mapping[str, Any] = MappingProxyType({})


class RunCancelled(RunNotCompleted):
    """The run was cancelled."""


class RunTimeout(RunNotCompleted):
    """The run goes on, but had not ended within the time that the caller gave."""


class Transient(CoordinationError):
    """Raise it, or a subclass, from an agent to say: try again later.

    ``retry_after``, a duration or a number of seconds, says when: what a model's API answers with a 429 or 503, for example. Such a
    wait uses up no attempt of the policy, but time of its ``allowance``. What has passed already is now. Raises :class:`AgentError`
    where it is neither.
    """

    retry_after: timedelta | None = None

    def __init__(
        self,
        cause: str,
        consequence: str = "",
        remedy: str = "",
        *,
        retry_after: timedelta | float | None = None,
    ) -> None:
        super().__init__(cause, consequence, remedy)
        if retry_after is not None:
            self.retry_after = _duration(retry_after)


class Stalled(Transient):
    """An agent has given no sign for longer than its idle limit: its attempt has failed, and the policy says whether there is another."""


class Incomplete(CoordinationError):
    """The time of a set of events is over, and some of them have not come."""


class Permanent(CoordinationError):
    """Raise it, or a subclass, from an agent to say: trying again will not help. The step is parked at once."""


class OverBudget(Permanent):
    """The run has used up more than its flow allows it (``Flow(..., spending=...)``): the step is parked as ``over-budget``."""


def _duration(given: object) -> timedelta:
    """A duration, or a number of seconds. Raises :class:`AgentError` for anything else."""
    if isinstance(given, timedelta):
        return given
    if isinstance(given, int | float) and not isinstance(given, bool):
        with contextlib.suppress(ValueError, OverflowError):  # not a number, or more than there are days
            return timedelta(seconds=given)
    raise AgentError(
        f"a Transient error has {named(given)} as its retry_after",
        "it is treated as any other failure",
        "give it a duration or a number of seconds: retry_after=timedelta(seconds=30), retry_after=30",
    )
