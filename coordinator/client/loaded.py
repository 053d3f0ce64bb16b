"""Loaded: the agents and flows that are known in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from handoffs.contracts.contract import Contract, ContractRef
from handoffs.contracts.errors import CoordinationError
from handoffs.contracts.text import printable
from handoffs.coordinator.errors import LoadError
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.loading import Definitions, load_modules


class Loaded:
    """The agents that work here, and what the modules that the settings name declare; these are imported when they are first
    asked for."""

    def __init__(self, modules: Sequence[str], working: Mapping[str, Agent]) -> None:
        self._modules = modules
        self._working = working
        self._definitions: Definitions | None = None

    @property
    def definitions(self) -> Definitions:
        """What the modules declare. Raises :class:`~handoffs.coordinator.errors.LoadError` where one cannot be loaded."""
        if self._definitions is None:
            self._definitions = load_modules(self._modules)
        return self._definitions

    def agent(self, name: str) -> Agent:
        """The agent of that name. Raises :class:`~handoffs.coordinator.errors.LoadError` where it is not loaded here."""
        agent = self._working.get(name) or self.definitions.agents.get(name)
        if agent is None:
            raise LoadError(
                f"the agent {printable(name, 120)} is not loaded here",
                "what it accepts and emits is not known, so nothing was changed",
                "name the module that declares it in COORDINATOR_AGENTS",
            )
        return agent

    def contract(self, ref: ContractRef) -> type[Contract]:
        """The contract of that name and version, by the agents that read or write it. Raises
        :class:`~handoffs.coordinator.errors.LoadError` where none of them is loaded here."""
        for agent in self.agents().values():
            for contract in (agent.accepts, agent.emits, *agent.events):
                if contract.ref() == ref:
                    return contract
        raise LoadError(
            f"no agent that reads or writes {ref} is loaded here",
            "nothing was changed",
            "name the module that declares it in COORDINATOR_AGENTS",
        )

    def agents(self) -> dict[str, Agent]:
        """The agents by name: those that work here alone, where the modules cannot be loaded."""
        try:
            return {**self.definitions.agents, **self._working}
        except CoordinationError:
            return dict(self._working)

    def flow(self, name: str) -> Flow | None:
        """The flow of that name; None where it is not loaded here."""
        try:
            return self.definitions.flows.get(name)
        except CoordinationError:
            return None
