"""The errors of the engine, below the root that contracts declares."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from handoffs.contracts.errors import CoordinationError


class AgentError(CoordinationError):
    """An agent is declared wrongly. Raised where it is declared."""


class FlowError(CoordinationError):
    """A flow cannot work: its neighbours do not fit. Raised where it is built."""


class ScheduleError(CoordinationError):
    """A schedule cannot work. Raised where it is declared, or where the payload of a run cannot be made."""


class LoadError(CoordinationError):
    """A module of agents cannot be loaded, or two of them declare the same name."""


class UnknownFlow(CoordinationError):
    """No loaded module declares a flow of that name."""


class UnknownRun(CoordinationError):
    """There is no live run of that id, and the journal knows none."""


class UnknownLetter(CoordinationError):
    """There is no dead letter of that id."""


class UnknownDeployment(CoordinationError):
    """That build of that agent is not recorded as deployed."""


class Conflict(CoordinationError):
    """The same idempotency key came with another content, or the same build with another manifest. What came first stays."""


class ServerError(CoordinationError):
    """RabbitMQ, Redis or the journal cannot be reached or cannot be used."""


class SchemaRefused(ServerError):
    """The journal's tables are of an older release than this one, and are not to be upgraded here; or of a newer one."""


class ContractsRefused(CoordinationError):
    """A worker may not begin: its contracts are not published as its code has them, or do not go with what is there."""


class SignalRefused(CoordinationError):
    """A signal is not what the run waits for, or another came before it."""


class EditRefused(CoordinationError):
    """A step is not given another input: it has its outcome, runs now, or is none that waits."""


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

    ``retry_after`` overrides the backoff of the policy for this attempt. Raises :class:`AgentError` where it is no
    ``timedelta``.
    """

    def __init__(
        self, cause: str, consequence: str = "", remedy: str = "", *, retry_after: timedelta | None = None
    ) -> None:
        super().__init__(cause, consequence, remedy)
        given: object = retry_after
        if given is not None and not isinstance(given, timedelta):
            raise AgentError(
                f"a Transient error has a {type(given).__name__} as its retry_after",
                remedy="give it a duration: retry_after=timedelta(seconds=30)",
            )
        self.retry_after = retry_after


class Incomplete(CoordinationError):
    """The time of a set of events is over, and some of them have not come."""


class Permanent(CoordinationError):
    """Raise it, or a subclass, from an agent to say: trying again will not help. The step is parked at once."""
