"""Places: where agents stand in a flow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from handoffs.contracts.contract import Contract
from handoffs.coordinator.errors import FlowError
from handoffs.coordinator.flow import ways
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.agent_step import agent_step
from handoffs.coordinator.flow.signal import WaitFor
from handoffs.coordinator.flow.step import Step, positions


@dataclass(frozen=True)
class AgentPlace:
    """Where an agent stands in a flow.

    ``path`` names the step: ``2``; ``3.stock.1`` inside a branch of step 3; ``3.c1.1`` in the first case of a choice
    (``c0``: otherwise); ``3.b.1`` within a budget, ``3.f.1`` its fallback; ``3.i*.1`` for each item (a run has ``i0``,
    ``i1``, ...); ``3.r*.1`` in each round of a repetition; ``3.1`` inside a flow within the flow; ``3.undo`` undoes ``3``.
    """

    path: str
    agent: Agent


def places(step: Step, prefix: str = "") -> Iterator[AgentPlace]:
    """The agents of a step with their paths, in order.

    Raises :class:`FlowError` where what is written around an agent makes no sense
    (:func:`~handoffs.coordinator.flow.agent_step.agent_step`).
    """
    for path, part in positions(step, prefix):
        stands = agent_step(part)
        if stands is not None:
            yield AgentPlace(path, stands.agent)
            if stands.undo is not None:
                yield AgentPlace(f"{path}.{ways.UNDO}", stands.undo.agent)
        for way, inner in part.inner():
            yield from places(inner, inside(path, way))


def waits(step: Step, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Where a step waits for signals: the paths, and their names."""
    yield from ((path, part.name) for path, part in _waiting(step, prefix))


def wait_at(step: Step, path: str) -> WaitFor | None:
    """The wait that is at ``path`` in a run: ``3.i7.1`` is that at ``3.i*.1``. None where there is none."""
    found = dict(_waiting(step, ""))
    fitting = (place for place in found if re.fullmatch(re.escape(place).replace(r"\*", "[0-9]+"), path))
    return found[path] if path in found else next((found[place] for place in fitting), None)


def _waiting(step: Step, prefix: str) -> Iterator[tuple[str, WaitFor]]:
    for path, part in positions(step, prefix):
        if isinstance(part, WaitFor):
            yield path, part
        for way, inner in part.inner():
            yield from _waiting(inner, inside(path, way))


def inside(path: str, way: str) -> str:
    """What the paths of the steps begin with to which ``way`` leads inside the step at ``path``."""
    return f"{path}.{way}." if way else f"{path}."


def accepted(flow: str, step: Step) -> type[Contract]:
    """The contract with which a step begins. Raises :class:`FlowError`, naming the flow, where the step does not say it."""
    first = step.head()
    takes = first.takes()
    if takes is None:
        raise FlowError(
            f"flow {flow} begins with {type(first).__name__.lower()}(), which does not say what starts it",
            remedy="say it: Flow(name, step, input=TheContract)",
        )
    return takes
