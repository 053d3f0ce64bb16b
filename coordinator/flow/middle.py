"""Middle: a step of a flow at which a run may begin, instead of at the first one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from handoffs.contracts.contract import Contract
from handoffs.contracts.errors import InvalidData
from handoffs.contracts.text import named, printable, quoted
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.agent_step import agent_step
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.places import inside
from handoffs.coordinator.flow.step import Choice, Step, positions

_CONSEQUENCE = "nothing was started"
_SHOWN = 300


@dataclass(frozen=True, slots=True)
class Middle:
    """The step at ``path`` of a flow, and the contract that it is given: ``accepts``."""

    flow: Flow
    path: str
    accepts: type[Contract]


@dataclass(frozen=True, slots=True)
class _Stand:
    """Where a step stands. ``around`` is the path of the step around it that has to begin for it, empty where there is none."""

    path: str
    part: Step
    around: str

    @property
    def agent(self) -> str:
        stands = agent_step(self.part)
        return stands.agent.name if stands is not None else ""


def middle_of(flow: Flow, at_step: object) -> Middle:
    """The step of ``flow`` that is meant: an agent, or its name, where it stands there once; or a path, as
    ``coordinator flows show`` prints it.

    Raises :class:`~handoffs.contracts.errors.InvalidData` where there is no such step, or several, or where a run cannot begin there: a
    branch alone would wait at its join for the others, an item for its list, and what a budget is for needs its clock.
    """
    wanted = at_step.name if isinstance(at_step, Agent) else at_step
    if not isinstance(wanted, str):
        raise InvalidData(
            f"a run is to begin at {named(at_step)}, which is no step",
            _CONSEQUENCE,
            'name an agent of the flow, or a path of it: at_step="3"',
        )
    stands = list(_stands(flow.step, "", ""))
    found = [one for one in stands if wanted in (one.path, one.agent)]
    if not found:
        steps = ", ".join(f"{one.path} {one.agent}".strip() for one in stands if not one.around)
        raise InvalidData(
            f"flow {flow.name} has no step {quoted(wanted, 80)}",
            _CONSEQUENCE,
            f"begin at one of these: {printable(steps, _SHOWN)}",
        )
    if len(found) > 1:
        raise InvalidData(
            f"{wanted} stands at steps {', '.join(one.path for one in found)} of flow {flow.name}",
            _CONSEQUENCE,
            f"say at which of them: at_step={found[0].path!r}",
        )
    [one] = found
    if one.around:
        raise InvalidData(
            f"step {one.path} of flow {flow.name} is part of step {one.around}, and cannot begin without it",
            _CONSEQUENCE,
            f"begin there: at_step={one.around!r}",
        )
    accepts = flow.inputs.get(one.path)
    if accepts is None:
        raise InvalidData(
            f"step {one.path} of flow {flow.name} is given branches, and not one contract",
            _CONSEQUENCE,
            "begin at the step before or after it",
        )
    return Middle(flow, one.path, accepts)


def _stands(step: Step, prefix: str, around: str) -> Iterator[_Stand]:
    for path, part in positions(step, prefix):
        yield _Stand(path, part, around)
        passes = isinstance(part, (Flow, Choice))
        for way, inner in part.inner():
            yield from _stands(inner, inside(path, way), around or ("" if passes else path))
