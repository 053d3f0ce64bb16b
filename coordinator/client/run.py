"""Run: a handle to one run, by its id."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain
from typing import Any

from handoffs.config import clock
from handoffs.config.user import current_user
from handoffs.contracts.contract import Contract
from handoffs.coordinator.cases.case import ExportedCase
from handoffs.coordinator.client import given
from handoffs.coordinator.client.exports import Exports, shown
from handoffs.coordinator.client.history import History
from handoffs.coordinator.client.interventions import Interventions
from handoffs.coordinator.client.letters import Letters
from handoffs.coordinator.client.parked import ParkedRuns
from handoffs.coordinator.client.result import parked_error, typed_result
from handoffs.coordinator.client.spans import waiting
from handoffs.coordinator.client.threads import Threads
from handoffs.coordinator.client.told_run import AtRest
from handoffs.coordinator.client.waiting import Found, Waits
from handoffs.coordinator.errors import RunCancelled, RunTimeout, ServerError, UnknownRun
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.foresight import check_signal
from handoffs.coordinator.flow.usage import Spending, Usage
from handoffs.coordinator.history import EntryKind
from handoffs.coordinator.letters.desk import Desk
from handoffs.coordinator.observe.current import Current, current
from handoffs.coordinator.observe.histories import Histories
from handoffs.coordinator.observe.listing import waits_of
from handoffs.coordinator.observe.run_summary import SignalWait
from handoffs.coordinator.observe.standing import Standings, Status
from handoffs.coordinator.observe.unattended import nobody, unattended
from handoffs.coordinator.observe.would_undo import WouldUndo, would_undo
from handoffs.coordinator.runs.control import Controls
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.run_state import ENDED, RunState


@dataclass(frozen=True, slots=True)
class RunAccess:
    """What a handle asks of its process: what is known of runs, and what can be done to them."""

    services: Services
    controls: Controls
    interventions: Interventions
    desk: Desk
    parked: ParkedRuns
    histories: Histories
    standings: Standings
    waits: Waits
    threads: Threads
    exports: Exports


class Run:
    """A run that was accepted. ``created`` is False where ``start()`` found the run that its key already had.

    Every method raises :class:`~handoffs.coordinator.errors.ServerError` where Redis, the broker or the journal cannot be used.
    """

    def __init__(
        self, run_id: str, access: RunAccess, flow: Flow | None, *, created: bool = False, span: str = ""
    ) -> None:
        """``span`` is the one in which it was started, where one was recorded here."""
        self.id = run_id
        self.created = created
        self._span = span
        self.flow = flow
        self._access = access

    def __repr__(self) -> str:
        return f"<Run {self.id} of {self.flow.name if self.flow else 'an unknown flow'}>"

    def status(self) -> Status:
        """``scheduled``, ``running``, ``paused``, ``parked``, ``completed``, ``compensating`` or ``cancelled``; ``unknown`` where
        Redis does not know the run, and the journal does not say how it ended. One that waits for a signal is ``running`` (tables call it
        ``waiting``); :meth:`current` says for which."""
        return self._access.standings.of(self.id)[1]

    def due(self) -> datetime | None:
        """When it begins, or was to begin, in UTC; None where it began at once, or has ended and is forgotten."""
        record = self._state()
        return datetime.fromtimestamp(record.due, UTC) if record and record.due is not None else None

    def current(self, history: History | None = None) -> list[Current]:
        """What the run is doing now, by the paths of its steps: what runs, is queued, delayed, tried again, parked or held, and
        the signals that it waits for; nothing where it has ended. See :class:`~handoffs.coordinator.observe.current.Current`.

        It is put together from Redis and the history, which are not read in one moment: a step may be just done. Who has just read the
        ``history`` gives it, and it is not read once more.
        """
        services = self._access.services
        sent = services.outstanding.sent(self.id)  # first: what is settled meanwhile is left out
        record = services.runs.get(self.id)
        if record is None:
            return []
        known = self.history() if history is None else history
        return current(record, sent, known, services.store.progress_of(self.id))

    def usage(self) -> Usage:
        """What its agents have used up, as they said by ``context.usage``, with what failed attempts had. It is forgotten
        ``COORDINATOR_RUN_TTL`` (30 days) after they said something the last time, and not before the run has ended."""
        return Usage.of(self._access.services.store.usage_of(self.id).sums)

    def spending(self) -> Spending | None:
        """What it may use up: what its flow said, or what was allowed since. None: as much as it likes."""
        return Spending.of(self._access.services.store.usage_of(self.id).limits)

    def allow(
        self, tokens: int | None = None, cost: Decimal | float | None = None, *, by: str = "", why: str = ""
    ) -> None:
        """Say what the run may use up in all, from now on; what is not given stays as it is. A step that is parked as ``over-budget``
        goes on when its letter is replayed.

        Raises :class:`~handoffs.coordinator.errors.FlowError` where neither is given, or one is no limit, and
        :class:`~handoffs.coordinator.errors.UnknownRun` where Redis does not know the run.
        """
        self._access.controls.allow(self.id, Spending(tokens, cost), by, why)

    def waiting(self) -> tuple[SignalWait, ...]:
        """The signals that the run waits for: of each the name, the contract, and since when. None where it has ended."""
        record = self._access.services.runs.get(self.id)
        return waits_of(record) if record else ()

    def key(self) -> str:
        """The idempotency key under which the run was accepted, sensitive values masked; empty where it has none, or where a release
        accepted it that did not write it down."""
        started = self.history().kind(EntryKind.STARTED)
        return str(started[0].get("key", "")) if started else ""

    def unattended(self) -> list[str]:
        """The agents for which a step of the run is queued while no worker of theirs is alive: nothing comes of it until one is."""
        return unattended(self._access.services, self.id)

    def wait(self, timeout: float | None = None) -> Status:
        """Wait until the run has ended or is parked, at most ``timeout`` seconds (None: as long as it takes), and give its
        status. Where it is ``parked``, its dead letters are in the journal: :meth:`letters` has them. They are not where
        the coordinator process is down; that is waited for no longer than a few seconds, and then logged. It is ``unknown``
        where neither Redis nor the journal has said anything else for a few seconds."""
        return self._until_ended(timeout)[1]

    async def await_status(self, timeout: float | None = None) -> Status:  # noqa: ASYNC109 - as wait() has one
        """As :meth:`wait`, for coroutines: the event loop goes on with others meanwhile. Where the task that awaits it is cancelled,
        only the waiting ends: the run goes on."""
        return (await self._auntil_ended(timeout))[1]

    def result(self, timeout: float | None = None) -> Any:
        """The output of the last step, waiting at most ``timeout`` seconds (None: as long as it takes).

        A contract; a dict of contracts by branch where the flow ends in branches; plain data where the flow is not
        loaded here. Raises :class:`~handoffs.coordinator.errors.RunParked` at once where a step is parked, with the error;
        :class:`~handoffs.coordinator.errors.RunCancelled`; :class:`~handoffs.coordinator.errors.RunTimeout`;
        :class:`~handoffs.coordinator.errors.UnknownRun` where Redis has forgotten the result, or knows nothing of the run.
        """
        return self._result(self._until_ended(timeout), timeout)

    async def aresult(self, timeout: float | None = None) -> Any:  # noqa: ASYNC109 - as result() has one
        """As :meth:`result`, for coroutines: the event loop goes on with others meanwhile. Where the task that awaits it is cancelled,
        only the waiting ends: the run goes on. What it raises is what :meth:`result` raises; it has a timeout of its own."""
        found = await self._auntil_ended(timeout)
        return await self._access.threads.call(lambda: self._result(found, timeout))

    def _until_ended(self, timeout: float | None) -> Found:
        with waiting(self.id, self._span) as told:
            return told(self._access.waits.until_ended(self.id, given.seconds(timeout)))

    async def _auntil_ended(self, within: float | None) -> Found:
        with waiting(self.id, self._span) as told:
            return told(await self._access.waits.auntil_ended(self.id, given.seconds(within)))

    def _result(self, found: Found, timeout: float | None) -> Any:
        record, status = found
        if status == "parked" and record is not None:
            raise parked_error(record)
        if status == "cancelled":
            raise RunCancelled(f"run {self.id} was cancelled", "it has no result")
        services = self._access.services
        result = services.runs.result(self.id) if status == "completed" else None
        if result is None and status in {"completed", "unknown"}:
            raise _not_known(self.id, status)
        if result is None:
            raise self._not_ended(timeout)
        return typed_result(self.flow, result, services.versions)

    def _not_ended(self, timeout: float | None) -> RunTimeout:
        missing: list[str] = []
        with contextlib.suppress(ServerError):  # that it has not ended is known all the same
            missing = self.unattended()
        goes_on, remedy = ("it goes on", "ask again later") if not missing else nobody(missing)
        return RunTimeout(f"run {self.id} has not ended within {timeout} s", goes_on, remedy)

    def history(self) -> History:
        """What happened to the run, oldest first: :class:`~handoffs.coordinator.client.history.History`."""
        return History.read(self._access.histories.of(self.id))

    def letters(self) -> Letters:
        """The dead letters of this run that wait, the oldest first. Those that are still on their way to the journal are waited
        for, a few seconds at most: what has not come by then waits for the coordinator process, and the log says so."""
        self._access.parked.await_letters(self.id)
        return Letters(self._access.desk.each(run=self.id))

    def as_test(self) -> ExportedCase:
        """A module for pytest in which the same flow is started with the same payload in eager mode, gets the signals that came, and ends
        in the same: status, steps, result, what is parked. The agents that have their outcome give that and are not called; one that
        is parked is. Sensitive values are masked in it, and the test fails until they are filled in. ::

            Path("tests/test_run.py").write_text(run.as_test().text, "utf-8")

        Raises :class:`~handoffs.coordinator.errors.ExportRefused` where the run is still at work, was cancelled, or a test could not go
        the same way, and :class:`~handoffs.coordinator.errors.LoadError` where its flow is not loaded here.
        """
        doing = self.current()  # before its status: what is at work now may have ended then
        status, result, branches = self.status(), None, False
        if status == "completed":
            with contextlib.suppress(UnknownRun):  # it is forgotten: the rest can be told all the same
                made = self.result(0)
                result, branches = shown(made), not isinstance(made, Contract)
        at_rest = AtRest(self.id, self.flow, status, doing, self.letters(), result, clock.now(), branches)
        return self._access.exports.run(at_rest, self.history())

    def cancel(self, by: str = "", *, compensate: bool = False, why: str = "") -> Status:
        """Cancel the run: steps that run now finish, nothing further begins. Gives the status; an ended run keeps its own.

        Who did it (``by``, by default who is logged in) and ``why`` are kept, as with all that is done to a run:
        :meth:`Coordinator.actions <handoffs.coordinator.client.coordinator.Coordinator.actions>`.

        With ``compensate`` what its steps did is undone, by the agents that the flow names for that
        (:func:`~handoffs.coordinator.flow.step.compensate`), the last one first; the run is ``compensating`` until that is done. Asked
        again while it is, the same is sent again, which changes nothing.
        """
        self._access.controls.cancel(self.id, by or current_user(), compensate=compensate, why=why)
        return self.status()

    def would_undo(self, history: History | None = None) -> WouldUndo:
        """What :meth:`give_up`, and :meth:`cancel` with ``compensate``, would undo now, and in which order; nothing is changed. ::

            for step in run.would_undo().undone:
                print(step.step, step.agent, "undone by", step.undone_by)

        Nothing would be where the run has ended. The ``history`` is as :meth:`current` takes it.
        """
        known = self.history() if history is None else history
        runs = self._access.services.runs
        goes_on = (record := self._state()) is not None and record.status not in ENDED
        undos = chain.from_iterable(runs.undos(self.id)) if goes_on else ()
        return would_undo(undos, known, self.current(known))

    def give_up(self, by: str = "", *, why: str = "") -> Status:
        """Abandon the run, for example where a step is parked for good: cancel it, and undo what was done. Gives the status."""
        self._access.controls.give_up(self.id, by or current_user(), why)
        return self.status()

    def pause(self, by: str = "", *, why: str = "") -> Status:
        """Hold the run: steps that run now finish, nothing further begins until :meth:`resume`. Gives the status; an ended
        run keeps its own."""
        self._access.controls.pause(self.id, by or current_user(), why)
        return self.status()

    def resume(self, by: str = "", *, why: str = "") -> Status:
        """Let a held run go on; it does within seconds. Gives the status."""
        self._access.controls.resume(self.id, by or current_user(), why)
        return self.status()

    def edit(self, step: str, payload: Contract | Mapping[str, Any], *, by: str = "", why: str = "") -> None:
        """Give a step another input: one that is parked is replayed with it, one that is held with the paused run begins with
        it when the run is resumed.

        Raises what :meth:`Coordinator.edit <handoffs.coordinator.client.coordinator.Coordinator.edit>` raises,
        :class:`~handoffs.coordinator.errors.EditRefused` also where there is no such step, and
        :class:`~handoffs.coordinator.errors.UnknownRun`.
        """
        given.text(step, "the path of a step", "nothing was edited")
        self._access.interventions.edit_step(self.id, step, payload, by=by, why=why)

    def signal(self, name: str, payload: Contract, by: str = "", *, why: str = "") -> None:
        """Send the run a signal that it waits for, or will wait for. Sending the same again changes nothing.

        Returns when the run is on its way again, or the signal is kept for it. Raises
        :class:`~handoffs.coordinator.errors.SignalRefused`, and records it, where the flow waits for no such signal or for another
        contract, another payload came before, or no step waits for it any more;
        :class:`~handoffs.coordinator.errors.UnknownRun` where the run has ended;
        :class:`~handoffs.coordinator.errors.Unanswerable`, where nothing was sent, for a payload of which the flow asks at once
        what cannot be answered.
        """
        name, payload = given.signal(name, payload)
        if self.flow is not None:
            check_signal(self.flow.step, name, payload)
        self._access.controls.signal(self.id, name, payload, by=by or current_user(), why=why, flow=self.flow)

    def _state(self) -> RunState | None:
        return self._access.services.runs.state(self.id)


def _not_known(run: str, status: Status) -> UnknownRun:
    """The error of a run of which Redis has no result."""
    where = "its history says what its steps have made: coordinator runs show"
    if status == "completed":
        return UnknownRun(f"the result of run {run} is forgotten", "it has completed", where)
    return UnknownRun(f"Redis does not know run {run}", "whether it has ended is not known", where)
