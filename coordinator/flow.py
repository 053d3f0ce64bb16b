"""Flow: which agent hands over to which. Plain immutable values, checked against the contracts when built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from pydantic import BaseModel

from contracts.contract import Contract, ContractRef, valid_name
from contracts.versions import meet
from coordinator.agent import Agent
from coordinator.errors import FlowError
from coordinator.step import Parallel, Step, not_a_step, parts, positions

_LARGEST = 1_000
_DEEPEST = 8  # each level nests the message's JSON six deeper, and that is limited


@dataclass(frozen=True)
class Place:
    """Where an agent stands in a flow. ``path`` names the step: ``2``, or ``3.stock.1`` inside a branch of step 3."""

    path: str
    agent: Agent


Shape: TypeAlias = "type[Contract] | dict[str, Shape]"
"""What a step emits: a contract, or for branches without a step that joins them, their shapes by name."""


@dataclass(frozen=True, eq=False)
class Flow:
    """A named composition of agents.

    Raises :class:`FlowError`, naming both sides, where a step does not accept what the one before it emits: another
    contract, a version to which no migration leads, two classes of one version that do not fit, or a join whose fields
    are not the branches.
    """

    name: str
    step: Step

    def __post_init__(self) -> None:
        name = self.name
        if not valid_name(name):
            raise FlowError(
                f"a flow is called {name!r}", remedy="a name is lower case words joined by dots and dashes"
            )
        if not isinstance(self.step, Step):
            raise not_a_step(self.step)
        places = list(self.places())
        if len(places) > _LARGEST:
            raise FlowError(f"flow {name} has {len(places)} steps", remedy=f"a flow has at most {_LARGEST}")
        if max(place.path.count(".") // 2 for place in places) > _DEEPEST:
            raise FlowError(
                f"flow {name} has branches within branches more than {_DEEPEST} deep",
                remedy="make a step of the inner ones",
            )
        _emitted(name, self.step, self.accepts, "1")
        _check_agents(name, places)

    @property
    def accepts(self) -> type[Contract]:
        """The contract that starts the flow."""
        return _first(self.step).accepts

    def places(self) -> Iterator[Place]:
        """The agents of the flow with their paths, in order."""
        return _places(self.step, "")

    def agents(self) -> dict[str, Agent]:
        """The agents of the flow by name."""
        return {place.agent.name: place.agent for place in self.places()}


def _places(step: Step, prefix: str) -> Iterator[Place]:
    for path, part in positions(step, prefix):
        if isinstance(part, Agent):
            yield Place(path, part)
        elif isinstance(part, Parallel):
            for name, branch in part.branches:
                yield from _places(branch, f"{path}.{name}.")


def _first(step: Step) -> Agent:
    part = parts(step)[0]
    if isinstance(part, Parallel):
        return _first(part.branches[0][1])
    assert isinstance(part, Agent)
    return part


def _emitted(flow: str, step: Step, offered: Shape, prefix: str, giver: str = "the start") -> Shape:
    """What ``step`` emits when it is offered ``offered``; raises where it does not accept that."""
    start = prefix.removesuffix("1")
    for path, part in positions(step, start):
        if isinstance(part, Agent):
            _check_accepts(flow, giver, offered, path, part)
            offered, giver = part.emits, f"step {path} ({part.name})"
        elif isinstance(part, Parallel):
            offered = {
                name: _emitted(flow, branch, offered, f"{path}.{name}.1", giver)
                for name, branch in part.branches
            }
            giver = f"step {path} (parallel: {', '.join(offered)})"
    return offered


def _check_accepts(flow: str, giver: str, offered: Shape, path: str, taker: Agent) -> None:
    where = f"flow {flow}: step {path} ({taker.name}) accepts {taker.accepts.ref()}"
    if isinstance(offered, dict):
        _check_join(where, giver, offered, taker.accepts)
    else:
        fault = meet(offered, taker.accepts)
        if fault:
            raise _misfit(where, f"{giver} gives {offered.ref()}", fault, offered.ref(), taker.accepts)


def _check_join(where: str, giver: str, offered: Mapping[str, Shape], accepts: type[BaseModel]) -> None:
    fields = {info.alias or name: info for name, info in accepts.model_fields.items()}
    missing = [name for name in offered if name not in fields]
    unfilled = [name for name, info in fields.items() if info.is_required() and name not in offered]
    if missing or unfilled:
        wrong = [f"branch {name!r} has no field" for name in missing]
        wrong += [f"field {name!r} has no branch" for name in unfilled]
        raise FlowError(
            f"{where}, but does not join {giver}: {'; '.join(wrong)}",
            remedy="give the joining contract one field for each branch",
        )
    for name, shape in offered.items():
        hint = fields[name].annotation
        if isinstance(shape, dict):
            if not (isinstance(hint, type) and issubclass(hint, BaseModel)):
                raise FlowError(
                    f"{where}, but its field {name!r} joins branches and is no model with a field for each"
                )
            _check_join(f"{where}, field {name!r}", giver, shape, hint)
        elif not (isinstance(hint, type) and issubclass(hint, Contract)) or meet(shape, hint):
            raise FlowError(
                f"{where}, but its field {name!r} does not read {shape.ref()}, which that branch of {giver} gives",
                remedy=f"annotate the field as {shape.__name__}, or add the missing migration",
            )


def _misfit(where: str, offer: str, fault: str, ref: ContractRef, accepts: type[Contract]) -> FlowError:
    if ref == accepts.ref():
        offer, remedy = f"{offer}, and {fault}", "make the change a version of its own"
    elif ref.name == accepts.ref().name:
        word = "upcast" if ref.version < accepts.ref().version else "downcast"
        remedy = f"add the missing {word}"
    else:
        remedy = "put an agent between them, or change what one of them accepts or emits"
    return FlowError(f"{where}, but {offer}", "the handoff would fail", remedy)


def _check_agents(flow: str, places: list[Place]) -> None:
    seen: dict[str, Agent] = {}
    for place in places:
        other = seen.setdefault(place.agent.name, place.agent)
        if other is not place.agent:
            raise FlowError(
                f"flow {flow}: two agents are called {place.agent.name}", remedy="rename one of them"
            )
