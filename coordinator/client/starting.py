"""Starting: how callers begin runs, one or many, and emit events. :class:`~handoffs.coordinator.client.coordinator.Coordinator` is made
of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from handoffs.contracts.contract import Contract
from handoffs.contracts.errors import InvalidData
from handoffs.coordinator.client import given as checked
from handoffs.coordinator.client.hosting import Hosting
from handoffs.coordinator.client.loaded import Loaded
from handoffs.coordinator.client.run import Run, RunAccess
from handoffs.coordinator.client.started import Started, started
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.middle import Middle, middle_of
from handoffs.coordinator.runs.emit import Emits
from handoffs.coordinator.runs.many import ManyStarts
from handoffs.coordinator.runs.published import PublishedRuns
from handoffs.coordinator.runs.start import Payload, Starts
from handoffs.coordinator.services import Services


class Starting:
    """Begins runs. Safe for threads."""

    def __init__(
        self,
        services: Services,
        published: PublishedRuns,
        hosting: Hosting,
        loaded: Loaded,
        access: RunAccess,
    ) -> None:
        self._starts = Starts(services, published)
        self._many = ManyStarts(services, self._starts)
        self._emits = Emits(services, published)
        self._hosting, self._loaded = hosting, loaded
        self._access = access

    def start(
        self,
        flow: Flow | str,
        payload: Payload | None = None,
        *,
        idempotency_key: str | None = None,
        deadline: timedelta | None = None,
        at: datetime | timedelta | None = None,
        at_step: Agent | str | None = None,
        given: Payload | None = None,
    ) -> Run:
        """Start a run of ``flow`` (or of the loaded flow of that name) and return when it is accepted.

        The same ``idempotency_key`` gives the same run. By default it is the payload's key; a payload without key fields
        starts a new run each time. After ``deadline`` the steps are not begun any more, but parked.

        With ``at``, a moment with a time zone or how long from now, at most 366 days, the run is accepted now and begins
        then: it is ``scheduled`` until the coordinator process begins it. What is past means at once; in eager mode
        everything does. A run that its key already has keeps its time; ``deadline`` counts from when it is to begin.

        With ``at_step`` the run begins in the middle, with what is ``given`` to that step: an agent, or its name, where it stands in the
        flow once, or a path as ``coordinator flows show`` prints it. What comes before has not happened: there is nothing of it to undo.
        Without a payload, what is given is the run's own. A run cannot begin within a budget, a branch, ``each()`` or ``repeat()``.

        Raises :class:`~handoffs.contracts.errors.InvalidData` where the payload does not fit the flow, ``at`` is no such time, or the
        run cannot begin ``at_step``,
        :class:`~handoffs.coordinator.errors.Conflict` where the key stands for another input,
        :class:`~handoffs.coordinator.errors.UnknownFlow`, :class:`~handoffs.coordinator.errors.Unpublished` where the run was
        accepted and begins later (``error.run_id``), :class:`~handoffs.coordinator.errors.Unanswered` where that is not known, and
        another :class:`~handoffs.coordinator.errors.ServerError` where nothing was accepted.

        Many parameters because each says another thing of the run, most often none of them is given, and all have names.
        """
        flow, deadline = checked.flow(flow), checked.deadline(deadline)
        if isinstance(flow, str):
            flow = self._loaded.definitions.flow(flow)
        begins = _begins(flow, payload, at_step, given)
        self._hosting.host(flow)
        accepted = self._starts.start(
            begins, payload, idempotency_key=idempotency_key, deadline=deadline, at=at, given=given
        )
        return Run(accepted.run_id, self._access, flow, created=accepted.created, span=accepted.span)

    async def astart(
        self,
        flow: Flow | str,
        payload: Payload | None = None,
        *,
        idempotency_key: str | None = None,
        deadline: timedelta | None = None,
        at: datetime | timedelta | None = None,
        at_step: Agent | str | None = None,
        given: Payload | None = None,
    ) -> Run:
        """As :meth:`start`, for coroutines: a thread does it, one of 16 of this coordinator, and the event loop goes on with others.

        Where the task that awaits it is cancelled, the run may be accepted all the same: starting it again with the same key says so.

        Many parameters because it has those of :meth:`start`.
        """
        start = partial(
            self.start,
            flow,
            payload,
            idempotency_key=idempotency_key,
            deadline=deadline,
            at=at,
            at_step=at_step,
            given=given,
        )
        return await self._access.threads.call(start)

    def start_many(
        self,
        flow: Flow | str,
        payloads: Iterable[Payload],
        *,
        idempotency_key: Callable[[Any], str | None] | None = None,
        deadline: timedelta | None = None,
        at: datetime | timedelta | None = None,
    ) -> Iterator[Started]:
        """Start a run of ``flow`` for each payload, as :meth:`start` does, and give what became of each, in order: its run, or the
        error that :meth:`start` raises for it. A bad payload stops nothing.

        Runs are started a batch of some hundreds at a time, in one round trip to Redis and with all messages on their way at once,
        when the first result of the batch is asked for: so any number of payloads, from any iterable, takes little memory, and what
        nobody asks for is not started. ``idempotency_key`` gives the key of a payload, by default its own: to start the same again
        changes nothing.

        Raises, at once, what :meth:`start` raises for ``flow``, ``deadline`` and ``at``; and where a server fails, after the results
        of all payloads that were taken, :class:`~handoffs.coordinator.errors.Interrupted`.
        """
        flow, deadline = checked.flow(flow), checked.deadline(deadline)
        payloads, key_of = checked.payloads(payloads), checked.key_function(idempotency_key)
        if isinstance(flow, str):
            flow = self._loaded.definitions.flow(flow)
        found = self._many.start(flow, payloads, idempotency_key=key_of, deadline=deadline, at=at)
        self._hosting.host(flow)
        return started(found, self._access, flow)

    def emit(
        self, event: Contract, *, idempotency_key: str | None = None, deadline: timedelta | None = None
    ) -> Run:
        """Emit an event to all who subscribe to it, and return when the broker has it. Gives the story that it begins.

        The same ``idempotency_key`` gives the same story, and the event goes out once; by default it is the event's key.
        An event without a subscriber is kept: ``coordinator events unheard``. After ``deadline`` what it leads to is not
        begun any more, but parked.

        Raises :class:`~handoffs.contracts.errors.InvalidInput` where the event cannot be written for those who hear it,
        :class:`~handoffs.coordinator.errors.Conflict` where the key stands for another event, and the errors of :meth:`start`
        where a server fails.
        """
        event, deadline = checked.event(event), checked.deadline(deadline)
        self._hosting.host_subscribers()
        accepted = self._emits.emit(event, idempotency_key=idempotency_key, deadline=deadline)
        return Run(accepted.run_id, self._access, None, created=accepted.created, span=accepted.span)


def _begins(flow: Flow, payload: object, at_step: object, given: object) -> Flow | Middle:
    """Where a run of ``flow`` begins. Raises :class:`InvalidData` where it is not said with what."""
    if at_step is None:
        if given is not None:
            raise InvalidData(
                "start() has given=..., and no at_step",
                "nothing was started",
                "say which step is given that: at_step=ship; or give the run its payload",
            )
        if payload is None:
            raise InvalidData(
                f"flow {flow.name} starts with {flow.accepts.ref()}, and is given nothing",
                "nothing was started",
                f"give it a payload: start(flow, {flow.accepts.__name__}(...))",
            )
        return flow
    middle = middle_of(flow, at_step)
    if given is None:
        raise InvalidData(
            f"step {middle.path} of flow {flow.name} is given nothing",
            "nothing was started",
            f"say with what it begins: given={middle.accepts.__name__}(...)",
        )
    return middle
