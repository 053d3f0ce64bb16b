"""Run: a handle to one run, by its id."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from handoffs.contracts.contract import Contract
from handoffs.coordinator.client.interventions import Interventions
from handoffs.coordinator.client.result import parked_error, typed_result
from handoffs.coordinator.client.status import Status, has_ended, status_of
from handoffs.coordinator.errors import RunCancelled, RunTimeout
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.letters.desk import Desk
from handoffs.coordinator.letters.letter import Letter
from handoffs.coordinator.observe.current import Current, current
from handoffs.coordinator.observe.histories import Histories
from handoffs.coordinator.runs.control import Controls
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.run_state import RunState

_POLLS_TO_DOUBLE = 10
_SHORTEST_PAUSE = 0.001  # seconds
_LONGEST_PAUSE = 0.1  # seconds


@dataclass(frozen=True, slots=True)
class RunAccess:
    """What a handle asks of its process: what is known of runs, and what can be done to them."""

    services: Services
    controls: Controls
    interventions: Interventions
    desk: Desk
    histories: Histories


class Run:
    """A run that was accepted. ``created`` is False where ``start()`` found the run that its key already had.

    Every method raises :class:`~handoffs.coordinator.errors.ServerError` where Redis, the broker or the journal cannot be used.
    """

    def __init__(self, run_id: str, access: RunAccess, flow: Flow | None, *, created: bool = False) -> None:
        self.id = run_id
        self.created = created
        self.flow = flow
        self._access = access

    def __repr__(self) -> str:
        return f"<Run {self.id} of {self.flow.name if self.flow else 'an unknown flow'}>"

    def status(self) -> Status:
        """``scheduled``, ``running``, ``paused``, ``parked``, ``completed``, ``compensating`` or ``cancelled``."""
        return status_of(self._state())

    def due(self) -> datetime | None:
        """When it begins, or was to begin, in UTC; None where it began at once, or has ended and is forgotten."""
        record = self._state()
        return datetime.fromtimestamp(record.due, UTC) if record and record.due is not None else None

    def current(self) -> list[Current]:
        """What the run is doing now, by the paths of its steps: what runs, is queued, delayed, tried again, parked or held, and
        the signals that it waits for; nothing where it has ended. See :class:`~handoffs.coordinator.observe.current.Current`.

        It is put together from Redis and the history, which are not read in one moment: a step may be just done.
        """
        services = self._access.services
        sent = services.outstanding.sent(self.id)  # first: what is settled meanwhile is left out
        record = services.runs.get(self.id)
        return current(record, sent, self.history()) if record else []

    def wait(self, timeout: float | None = None) -> Status:
        """Wait until the run has ended or is parked, at most ``timeout`` seconds (None: as long as it takes), and give its
        status."""
        return status_of(self._await(timeout, has_ended))

    def result(self, timeout: float | None = None) -> Any:
        """The output of the last step, waiting at most ``timeout`` seconds (None: as long as it takes).

        A contract; a dict of contracts by branch where the flow ends in branches; plain data where the flow is not
        loaded here. Raises :class:`~handoffs.coordinator.errors.RunParked` at once where a step is parked, with the error;
        :class:`~handoffs.coordinator.errors.RunCancelled`; :class:`~handoffs.coordinator.errors.RunTimeout`.
        """
        record = self._await(timeout, has_ended)
        status = status_of(record)
        if status == "parked" and record is not None:
            raise parked_error(record)
        if status == "cancelled":
            raise RunCancelled(f"run {self.id} was cancelled", "it has no result")
        services = self._access.services
        result = services.runs.result(self.id) if status == "completed" else None
        if result is None:
            raise RunTimeout(
                f"run {self.id} has not ended within {timeout} s", "it goes on", "ask again later"
            )
        return typed_result(self.flow, result, services.versions)

    def history(self) -> list[dict[str, Any]]:
        """What happened to the run, oldest first. See :class:`handoffs.coordinator.history.Entry` for the fields."""
        return self._access.histories.of(self.id)

    def letters(self) -> list[Letter]:
        """The dead letters of this run that wait."""
        return self._access.desk.letters(run=self.id)

    def cancel(self, by: str = "", *, compensate: bool = False) -> Status:
        """Cancel the run: steps that run now finish, nothing further begins. Gives the status; an ended run keeps its own.

        With ``compensate`` what its steps did is undone, by the agents that the flow names for that
        (:func:`~handoffs.coordinator.flow.step.compensate`), the last one first; the run is ``compensating`` until that is done. Asked
        again while it is, the same is sent again, which changes nothing.
        """
        self._access.controls.cancel(self.id, by, compensate=compensate)
        return self.status()

    def give_up(self, by: str = "") -> Status:
        """Abandon the run, for example where a step is parked for good: cancel it, and undo what was done. Gives the status."""
        self._access.controls.give_up(self.id, by)
        return self.status()

    def pause(self, by: str = "") -> Status:
        """Hold the run: steps that run now finish, nothing further begins until :meth:`resume`. Gives the status; an ended
        run keeps its own."""
        self._access.controls.pause(self.id, by)
        return self.status()

    def resume(self, by: str = "") -> Status:
        """Let a held run go on; it does within seconds. Gives the status."""
        self._access.controls.resume(self.id, by)
        return self.status()

    def edit(self, step: str, payload: Contract | Mapping[str, Any], *, by: str = "", why: str = "") -> None:
        """Give a step another input: one that is parked is replayed with it, one that is held with the paused run begins with
        it when the run is resumed.

        Raises what :meth:`Coordinator.edit <handoffs.coordinator.client.coordinator.Coordinator.edit>` raises,
        :class:`~handoffs.coordinator.errors.EditRefused` also where there is no such step, and
        :class:`~handoffs.coordinator.errors.UnknownRun`.
        """
        self._access.interventions.edit_step(self.id, step, payload, by=by, why=why)

    def signal(self, name: str, payload: Contract, by: str = "") -> None:
        """Send the run a signal that it waits for, or will wait for. Sending the same again changes nothing.

        Returns when the run is on its way again, or the signal is kept for it. Raises
        :class:`~handoffs.coordinator.errors.SignalRefused`, and records it, where the flow waits for no such signal or for another
        contract, or another payload came before; :class:`~handoffs.coordinator.errors.UnknownRun` where the run has ended.
        """
        awaited = self.flow.signals if self.flow else None
        self._access.controls.signal(self.id, name, payload, by=by, awaited=awaited)

    def _state(self) -> RunState | None:
        return self._access.services.runs.state(self.id)

    def _await(self, timeout: float | None, ready: Callable[[RunState | None], bool]) -> RunState | None:
        began = time.monotonic()
        while True:
            record = self._state()
            waited = time.monotonic() - began
            if ready(record) or (timeout is not None and waited >= timeout):
                return record
            pause = min(max(waited / _POLLS_TO_DOUBLE, _SHORTEST_PAUSE), _LONGEST_PAUSE)
            time.sleep(pause if timeout is None else min(pause, timeout - waited))
