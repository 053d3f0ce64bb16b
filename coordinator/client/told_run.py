"""Told run: what the history of a run tells, as it is needed to make the same happen again in a test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from handoffs.contracts.contract import Contract, ContractRef
from handoffs.contracts.errors import InvalidInput
from handoffs.contracts.versions import Versions
from handoffs.coordinator.cases.run_case import RunStory, Signal
from handoffs.coordinator.client.history import History
from handoffs.coordinator.client.history_entry import HistoryEntry
from handoffs.coordinator.client.letters import Letters
from handoffs.coordinator.errors import ExportRefused
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.history import EntryKind
from handoffs.coordinator.observe.current import Current, State

_NOTHING = "nothing was written"
_OUTCOMES = frozenset({EntryKind.SETTLED, EntryKind.DEDUPLICATED, EntryKind.SKIPPED})
_AT_REST: frozenset[State] = frozenset({"waiting", "parked"})
_LATER = 7 / 6
"""By how much longer a delay may take than it says."""


@dataclass(frozen=True, slots=True)
class AtRest:
    """How a run stands: ``doing`` is what its steps do, ``result`` its result as JSON values, sensitive ones masked, None where there
    is none; ``now`` is when that was asked; ``branches``: the
    result is no contract, but several by branch."""

    id: str
    flow: Flow | None
    status: str
    doing: Sequence[Current]
    letters: Letters
    result: Any
    now: datetime
    branches: bool = False


def told_run(run: AtRest, flow: Flow, history: History, versions: Versions) -> RunStory:
    """The story of a run. Raises :class:`~handoffs.coordinator.errors.ExportRefused` where it cannot be had again in a test."""
    waits = _refuse_unless_at_rest(run)
    started = history.kind(EntryKind.STARTED)
    if not started:
        raise _refused(
            run, "its history does not say what it began with", "look at it: coordinator runs show"
        )
    if any(one.fallback.startswith("cache") for one in history.kind(EntryKind.FALLBACK)):
        raise _refused(
            run,
            "the fallback of a budget came from a cache, which a test does not have",
            "export another run",
        )
    told = _Told(run, flow, history, versions)
    outcomes = told.outcomes()
    stopped = {
        one.step for one in run.doing if one.state == "parked"
    }  # others are past: their budget was spent
    parked = sorted([one.agent, one.kind, one.error] for one in run.letters if one.step in stopped)
    stuck = {agent for agent, _, _ in parked}
    signals, marked = told.signals(started[0])
    held = bool(signals) or waits
    return RunStory(
        run.id,
        flow.name,
        run.status,
        told.beginning(started[0]),
        history.steps,
        ordered=not any("." in one.step for one in history if one.kind in _OUTCOMES),
        outcomes=outcomes,
        silent=sorted(told.agents.keys() - outcomes.keys() - stuck),
        signals=signals,
        parked=parked,
        held=held,
        rest=_rest(run, history, marked, waits=waits) if held else 0.0,
        result=run.result,
        branches=run.branches,
        begins=str(started[0].get("begins", "")),
    )


class _Told:
    """What the history of one run tells of its agents and signals."""

    def __init__(self, run: AtRest, flow: Flow, history: History, versions: Versions) -> None:
        self._run = run
        self._flow = flow
        self._history = history
        self._versions = versions
        self.agents: dict[str, Agent] = {place.agent.name: place.agent for place in flow.places()}

    def beginning(self, started: HistoryEntry) -> Any:
        """What the run began with: its payload, or what was given to the step at which it began."""
        step = str(started.get("begins", ""))
        contract = self._flow.inputs.get(step) if step else self._flow.accepts
        if contract is None:
            raise _refused(
                self._run, f"its flow, as it is loaded here, has no step {step!r}", "load it as it was"
            )
        given = [one.input for one in self._history.of(step) if one.input is not None] if step else []
        if given:
            return given[0]
        if started.wrote is None or not step or started.wrote.name == contract.ref().name:
            return self.data(contract, started.wrote, started.get("input", {}))
        raise _refused(self._run, f"nothing tells what step {step} was given", "export another run")

    def outcomes(self) -> dict[str, list[tuple[Any, Any]]]:
        """By agent, the inputs and what it made of each."""
        found: dict[str, list[tuple[Any, Any]]] = {}
        for one in self._history:
            agent = self.agents.get(one.agent)
            if one.kind in _OUTCOMES and agent is not None:
                made = self.data(agent.emits, one.wrote, one.get("output", {}))
                found.setdefault(agent.name, []).append((self._input(one), made))
        return found

    def signals(self, started: HistoryEntry) -> tuple[list[Signal], datetime | None]:
        """The signals that came, and when the last one did; when the run began, where none came."""
        marked, found = started.at, []
        for one in self._history.kind(EntryKind.SIGNALLED):
            contract = self._flow.signals.get(one.step)
            if contract is None:
                raise _refused(
                    self._run,
                    f"its flow, as it is loaded here, waits for no signal {one.step!r}",
                    "load it as it was",
                )
            payload = self.data(contract, one.wrote, one.get("input", {}))
            found.append(Signal(max(_seconds(marked, one.at), 0.001), one.step, payload))
            marked = one.at
        return found, marked

    def data(self, contract: type[Contract], wrote: ContractRef | None, data: Any) -> Any:
        """Data that was written as a version, as the contract is here; sensitive values masked."""
        if wrote is None or wrote == contract.ref():
            return data
        try:
            return self._versions.read(contract, wrote, data).redacted()
        except InvalidInput as error:
            raise _refused(
                self._run,
                f"what was written as {wrote} is not {contract.ref()}: {error.cause}",
                "add the migration",
            ) from None

    def _input(self, entry: HistoryEntry) -> Any:
        """The input of a step that has its outcome; what a person gave an outcome was parked with it."""
        if entry.kind != EntryKind.SKIPPED:
            return entry.get("input", {})
        parked = [one for one in self._history.of(entry.step).kind(EntryKind.PARKED) if one.input is not None]
        return parked[-1].input if parked else {}


def _refuse_unless_at_rest(run: AtRest) -> bool:
    """Refuse a run that a test cannot bring to where it is. Gives whether it waits for a signal."""
    states = {one.state for one in run.doing}
    waits = "waiting" in states
    at_rest = run.status in {"completed", "parked"} or (run.status == "running" and waits)
    if not at_rest or not states <= _AT_REST:
        busy = sorted(states - _AT_REST)
        raise _refused(
            run,
            f"it is {run.status}" + (f", and steps of it are {', '.join(busy)}" if busy else ""),
            "export it when it has completed, is parked, or waits for a signal",
        )
    return waits


def _rest(run: AtRest, history: History, marked: datetime | None, *, waits: bool) -> float:
    """How many seconds to let pass after the last signal: as many as have; some more where the run has ended by then."""
    if waits:
        return _seconds(marked, run.now)
    return round(_seconds(marked, history[-1].at) * _LATER + 1, 3)


def _seconds(since: datetime | None, until: datetime | None) -> float:
    if since is None or until is None:
        return 0.0
    return round(max((until - since).total_seconds(), 0.0), 3)


def _refused(run: AtRest, why: str, remedy: str) -> ExportRefused:
    return ExportRefused(f"run {run.id} cannot be written as a test: {why}", _NOTHING, remedy)
