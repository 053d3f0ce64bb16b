"""Unknown names: where a list is empty it is said whether what it was narrowed to is known at all: a name may be misspelt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from typing import Any

from handoffs.contracts.errors import CoordinationError
from handoffs.contracts.text import printable, quoted
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.flow.loading import Definitions
from handoffs.coordinator.handoff.failure import FailureKind
from handoffs.coordinator.render.console import tell

_SHOWN = 120


def tell_of_unknown_names(coordinator: Coordinator, chosen: Mapping[str, Any]) -> None:
    """Say, to standard error and in a line each, which of the filters ``flow``, ``agent``, ``kind`` and ``failed_at`` name what is neither
    loaded here nor in the journal. For a list that came out empty: it asks the journal."""
    with suppress(CoordinationError):  # the list itself was given, and a hint is no more than that
        loaded = _loaded(coordinator)
        if flow := chosen.get("flow", ""):
            _tell_of_flow(coordinator, loaded, flow)
        if agent := chosen.get("agent", ""):
            _tell_of_agent(coordinator, loaded, agent, "agent")
        if kind := chosen.get("kind", ""):
            kinds = {str(one) for one in FailureKind}
            if kind not in kinds and not coordinator.desk.letters(limit=1, state=None, kind=kind):
                tell(
                    f"coordinator: no kind of failure is called {_quoted(kind)}; there are: {', '.join(sorted(kinds))}"
                )
        where = chosen.get("failed_at", "")
        if where and not where[0].isdigit():  # the path of a step begins with its number
            _tell_of_agent(coordinator, loaded, where, "agent or step")
            _tell_of_subscriber(coordinator, where)


def _tell_of_flow(coordinator: Coordinator, loaded: Definitions, flow: str) -> None:
    known = flow in loaded.flows or coordinator.runs(flow=flow, limit=1)
    if not known and not coordinator.desk.letters(limit=1, state=None, flow=flow):
        tell(
            f"coordinator: no flow called {_quoted(flow)} is known here or in the journal{_nearest(flow, loaded.flows)}"
        )


def _tell_of_agent(coordinator: Coordinator, loaded: Definitions, agent: str, noun: str) -> None:
    seen = {*loaded.agents, *coordinator.engine.services.announcements.agents()}
    if agent not in seen and not coordinator.desk.letters(limit=1, state=None, agent=agent):
        tell(
            f"coordinator: no {noun} called {_quoted(agent)} is known here or in the journal{_nearest(agent, seen)}"
        )


def _tell_of_subscriber(coordinator: Coordinator, agent: str) -> None:
    """What hears an event parks no run of a flow: its letters wait, and its run is what it was."""
    if coordinator.desk.letters(limit=1, agent=agent):
        shown = printable(agent, _SHOWN)
        tell(
            f"coordinator: dead letters of {shown} wait that hold up no run of a flow, as of an agent that hears events: "
            f"coordinator dead-letters list --agent {shown}"
        )


def _loaded(coordinator: Coordinator) -> Definitions:
    """What is loaded here; nothing where it cannot be."""
    try:
        return coordinator.flows
    except CoordinationError:
        return Definitions()


def _quoted(name: str) -> str:
    return quoted(name, _SHOWN)


def _nearest(name: str, known: Iterable[str]) -> str:
    """The known name that is most like it, as a question."""
    found = get_close_matches(name, sorted(known), 1)
    return f"; is {found[0]} meant?" if found else ""
