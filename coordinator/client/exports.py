"""Exports: dead letters and runs, written as tests."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from handoffs.contracts.contract import Contract
from handoffs.contracts.errors import InvalidInput
from handoffs.contracts.text import printable
from handoffs.coordinator.cases.case import ExportedCase
from handoffs.coordinator.cases.letter_case import SHOWN_BY_INPUT, LetterStory, letter_case
from handoffs.coordinator.cases.run_case import RunStory, run_case
from handoffs.coordinator.client.history import History
from handoffs.coordinator.client.loaded import Loaded
from handoffs.coordinator.client.told_run import AtRest, told_run
from handoffs.coordinator.continuation.path import is_story
from handoffs.coordinator.errors import ExportRefused, LoadError
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.handoff.failure import FailureKind
from handoffs.coordinator.letters.letter import Letter
from handoffs.coordinator.letters.replay import read_letter
from handoffs.coordinator.services import Services

_NOTHING = "nothing was written"
_LOAD = "name the module that declares it in COORDINATOR_AGENTS"


class Exports:
    """Writes what has happened as tests. What cannot be shown by a test in eager mode raises
    :class:`~handoffs.coordinator.errors.ExportRefused`, and what is not loaded here :class:`~handoffs.coordinator.errors.LoadError`."""

    def __init__(self, services: Services, loaded: Loaded, modules: Sequence[str]) -> None:
        """``modules`` are those that the settings name."""
        self._services = services
        self._loaded = loaded
        self._modules = modules

    def letter(self, letter: Letter) -> ExportedCase:
        """The test of a dead letter: its agent alone, parked for the same reason. Raises
        :class:`~handoffs.coordinator.errors.SealBroken` too, where its message is needed and cannot be opened."""
        if letter.kind not in SHOWN_BY_INPUT:
            raise ExportRefused(
                f"dead letter {letter.id} is {printable(letter.kind, 60)}, which its agent and its input do not bring about",
                _NOTHING,
                f"export those that are {', '.join(sorted(SHOWN_BY_INPUT))}; of this one: {letter.remedy or 'see its run'}",
            )
        agent = self._agent(letter.agent)
        refused = letter.payload is None and letter.kind == FailureKind.INVALID_INPUT
        data = self._refused_input(letter, agent) if refused else letter.payload
        if not isinstance(data, dict):
            raise ExportRefused(
                f"the input of dead letter {letter.id} could not be read",
                _NOTHING,
                f"look at what is there: coordinator dead-letters show {letter.id}",
            )
        story = LetterStory(
            letter.id, letter.flow, letter.step, letter.agent, letter.kind, letter.error, letter.text, data, refused
        )  # fmt: skip
        return letter_case(story, self._modules_of(agent))

    def run(self, at_rest: AtRest, history: History) -> ExportedCase:
        """The test of a run that has ended, is parked, or waits for a signal."""
        flow = at_rest.flow
        name = str(history[0].get("flow", "")) if history else ""
        if is_story(name):
            raise ExportRefused(
                f"{at_rest.id} is the story of an event, which has no flow that could be started",
                _NOTHING,
                f"export its dead letters: coordinator dead-letters list --run {at_rest.id}",
            )
        if flow is None:
            raise LoadError(f"the flow {printable(name, 120)} is not loaded here", _NOTHING, _LOAD)
        story: RunStory = told_run(at_rest, flow, history, self._services.versions)
        return run_case(story, self._modules_of(flow))

    def _agent(self, name: str) -> Agent:
        try:
            return self._loaded.agent(name)
        except LoadError as error:
            raise LoadError(error.cause, _NOTHING, error.remedy) from None

    def _refused_input(self, letter: Letter, agent: Agent) -> dict[str, Any] | None:
        """What no agent may get, as it came, sensitive values masked; None where it is no object."""
        try:
            envelope, _, _ = read_letter(
                letter.row, self._services.settings.message_limits, self._services.payloads.fetch
            )
        except InvalidInput as error:
            raise ExportRefused(
                f"dead letter {letter.id} is no envelope: {error.cause}",
                _NOTHING,
                f"look at what is there: coordinator dead-letters show {letter.id}",
            ) from None
        if envelope.contract != agent.accepts.ref():
            raise ExportRefused(
                f"the input of dead letter {letter.id} is {envelope.contract}, and {agent.name} takes {agent.accepts.ref()}",
                _NOTHING,
                "a test would not read it as the agent did: try the migration alone",
            )
        return self._services.versions.shown(envelope.contract, envelope.data)

    def _modules_of(self, value: Agent | Flow) -> Sequence[str]:
        """The modules with which an agent or a flow is loaded: those of the settings, or else the one that has it."""
        definitions = self._loaded.definitions
        known = definitions.agents if isinstance(value, Agent) else definitions.flows
        if value.name in known:
            return self._modules
        agents = [value] if isinstance(value, Agent) else [place.agent for place in value.places()]
        theirs = [str(getattr(agent.function, "__module__", "")) for agent in agents]
        for name in dict.fromkeys([*theirs, *sys.modules]):  # a module of tests that imports it would do, too
            has = list(
                getattr(sys.modules.get(name), "__dict__", {}).values()
            )  # what stands in for a module may have none
            if name != "__main__" and any(one is value for one in list(has)):
                return [name]
        raise LoadError(f"no module has {value.name}, so that a test could not load it", _NOTHING, _LOAD)


def shown(result: Any) -> Any:
    """The result of a run as people may see it, as JSON values: sensitive ones masked."""
    if isinstance(result, dict):
        return {name: shown(one) for name, one in result.items()}
    if isinstance(result, list):
        return [shown(one) for one in result]
    return result.redacted() if isinstance(result, Contract) else result
