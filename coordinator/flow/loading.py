"""Loading: finds agents, flows and schedules in the modules that the settings name."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from handoffs.contracts.errors import CoordinationError
from handoffs.contracts.text import printable, quoted
from handoffs.coordinator.errors import LoadError, UnknownFlow
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.schedule import Schedule
from handoffs.coordinator.flow.trigger import agents_of

_OURS = "handoffs.tasks."


@dataclass(slots=True)
class Definitions:
    """Agents, flows and schedules by name."""

    agents: dict[str, Agent] = field(default_factory=dict)
    flows: dict[str, Flow] = field(default_factory=dict)
    schedules: dict[str, Schedule] = field(default_factory=dict)

    def flow(self, name: str) -> Flow:
        """The flow of that name. Raises :class:`UnknownFlow`, which lists those that there are."""
        if name not in self.flows:
            known = ", ".join(sorted(self.flows)) or "none"
            raise UnknownFlow(
                f"there is no flow called {quoted(name, 120)}",
                f"loaded are: {known}",
                "name the module that declares it in COORDINATOR_AGENTS",
            )
        return self.flows[name]

    def add(self, value: Agent | Flow | Schedule) -> None:
        """Add an agent, or a flow and its agents, or a schedule and its flow. Raises :class:`LoadError` for a second one of
        the same name."""
        if isinstance(value, Schedule):
            if self.schedules.setdefault(value.name, value) is not value:
                raise LoadError(
                    f"two schedules are called {value.name}", "neither was loaded", "rename one of them"
                )
            self.add(value.flow)
        elif isinstance(value, Flow):
            if self.flows.setdefault(value.name, value) is not value:
                raise LoadError(
                    f"two flows are called {value.name}", "neither was loaded", "rename one of them"
                )
            for agent in agents_of(value).values():
                self.add(agent)
        else:
            known = self.agents.setdefault(value.name, value)
            if known is not value and not known.declared_as(value):
                raise LoadError(
                    f"two agents are called {value.name}", "neither was loaded", "rename one of them"
                )


def load_modules(names: Iterable[str]) -> Definitions:
    """Import modules and collect the agents, flows and schedules that are attributes of them.

    The working directory is importable, as with ``celery -A``. Raises :class:`LoadError` where a module is missing,
    fails on import, or declares nothing.
    """
    with suppress(OSError):  # it was deleted, or is not ours to see
        here = str(Path.cwd())
        if here not in sys.path:
            sys.path.insert(0, here)
    definitions = Definitions()
    for name in names:
        module = imported(name)
        found = list(_declared(module))
        if not found:
            raise _declares_nothing(name, module)
        for value in found:
            definitions.add(value)
    return definitions


def _declares_nothing(name: str, module: ModuleType) -> LoadError:
    """The error for a module in which there is nothing to load; a folder without ``__init__.py`` is one, which Python finds first."""
    folders = list(getattr(module, "__path__", ())) if getattr(module, "__file__", None) is None else []
    if folders:
        return LoadError(
            f"module {printable(name, 120)} is the folder {printable(folders[0], 200)}, which has no __init__.py and no code of its own",
            "nothing was started",
            "start the command in the folder that has the module, or name a module in that one",
        )
    return LoadError(
        f"module {printable(name, 120)} declares no agent and no flow",
        "nothing was started",
        "import them in that module",
    )


def _declared(module: object) -> Iterator[Agent | Flow | Schedule]:
    """Its agents, flows and schedules. Its other values are asked nothing: a proxy for something that is not there yet fails."""
    for value in list(getattr(module, "__dict__", {}).values()):
        if issubclass(type(value), (Agent, Flow, Schedule)):
            yield value


def imported(name: str) -> ModuleType:
    """The module of that name. Raises :class:`LoadError` where it is missing, fails on import, or would end the program."""
    try:
        return importlib.import_module(name)
    except (CoordinationError, KeyboardInterrupt):
        raise
    except ModuleNotFoundError as error:
        if error.name and not f"{name}.".startswith(f"{error.name}."):
            raise LoadError(
                f"module {quoted(name, 120)} of COORDINATOR_AGENTS needs {quoted(error.name, 120)}, which is not installed here",
                "nothing was started",
                f"pip install 'handoffs[{name.split('.')[2]}]'" if name.startswith(_OURS) else "install it",
            ) from error
        raise LoadError(
            f"module {quoted(name, 120)} of COORDINATOR_AGENTS cannot be found: {printable(error, 200)}",
            "nothing was started",
            "check the name, and that it is importable from here",
        ) from error
    except SystemExit as error:
        raise LoadError(
            f"module {quoted(name, 120)} of COORDINATOR_AGENTS ended the program on import, with status {printable(error, 80)}",
            "nothing was started",
            "put what it does as a program under: if __name__ == '__main__'",
        ) from error
    except BaseException as error:  # such as that of a test that skips itself
        raise LoadError(
            f"module {quoted(name, 120)} of COORDINATOR_AGENTS failed on import: "
            f"{type(error).__name__}: {printable(_said(error), 200)}",
            "nothing was started",
            "mend it, or name another module",
        ) from error


def _said(error: BaseException) -> str:
    """What an error of somebody else says, even where it fails at that."""
    try:
        return str(error)
    except Exception as another:  # noqa: BLE001 - it may be anything
        return f"(it cannot say what: {type(another).__name__})"
