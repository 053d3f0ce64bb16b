"""Check: whether neighbours in a flow fit. It follows what is emitted from step to step; one function for each kind of step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import singledispatch

from handoffs.contracts.contract import Contract
from handoffs.coordinator.errors import FlowError
from handoffs.coordinator.flow import ways
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.agent_step import agent_step
from handoffs.coordinator.flow.budget import Budget, Cached, Constant
from handoffs.coordinator.flow.condition import Condition
from handoffs.coordinator.flow.condition import field as field_of
from handoffs.coordinator.flow.echo import said_back
from handoffs.coordinator.flow.fit import Many, Offer, Shape, check_accepts, item_of, shown
from handoffs.coordinator.flow.nulls import unanswered
from handoffs.coordinator.flow.places import AgentPlace, accepted, inside
from handoffs.coordinator.flow.signal import WaitFor
from handoffs.coordinator.flow.step import (
    Choice,
    Compensate,
    Delay,
    Each,
    Emit,
    Parallel,
    Repeat,
    Retrying,
    Step,
    firsts,
    positions,
)


@dataclass(frozen=True, slots=True)
class Checked:
    """What is found out about a flow on the way."""

    flow: str
    items: dict[str, type[Contract]] = field(default_factory=dict)
    """The contract of the items of each list that is gone through, by the path of the step that does it."""
    signals: dict[str, type[Contract]] = field(default_factory=dict)
    """The contract of each signal that is waited for, by its name."""
    events: dict[str, type[Contract]] = field(default_factory=dict)
    """The contract of each event that the flow itself emits, by the path of the step that does it."""
    inputs: dict[str, type[Contract]] = field(default_factory=dict)
    """The contract that each step is given, by its path; of an agent that joins branches, the one that it accepts."""


def check(flow: str, step: Step, accepts: type[Contract]) -> Checked:
    """Follow ``accepts`` through the steps of the flow of that name.

    Raises :class:`FlowError`, naming both sides, where a step does not accept what the one before it emits.
    """
    checked = Checked(flow)
    _through(step, checked, Offer("", accepts, "the start"))
    return checked


def check_agents(flow: str, places: Iterable[AgentPlace]) -> None:
    """Raises :class:`FlowError` where one of the agents cannot be in a flow, or two have one name."""
    seen: dict[str, Agent] = {}
    for place in places:
        if place.agent.intake.ordered:
            raise FlowError(
                f"flow {flow}: step {place.path} ({place.agent.name}) hears events in order",
                "a step of a flow would wait behind them",
                "make another agent of the same function",
            )
        other = seen.setdefault(place.agent.name, place.agent)
        if other is not place.agent and not other.declared_as(place.agent):
            raise FlowError(
                f"flow {flow}: two agents are called {place.agent.name}", remedy="rename one of them"
            )


def _through(step: Step, checked: Checked, offer: Offer) -> Shape:
    """What ``step`` emits; the path of the offer is what the paths of its steps begin with."""
    prefix, last = offer.path, None
    delayed = False
    for path, part in positions(step, prefix):
        if delayed and any(isinstance(first, WaitFor) for first in firsts(part)):
            raise FlowError(
                f"flow {checked.flow}: step {path} waits for a signal after a delay",
                "the signal would be taken at once, whenever it comes",
                "put the delay behind the wait, or an agent between them",
            )
        delayed = isinstance(part, Delay) or (delayed and isinstance(part, Emit))
        taken = _taken(part, offer.shape)
        if taken is not None:
            checked.inputs[path] = taken
        emitted = _emitted(part, checked, replace(offer, path=path))
        offer, last = Offer(path, emitted, f"step {path} ({part.title()})"), part
    if isinstance(last, Delay):
        raise FlowError(
            f"flow {checked.flow}: step {offer.path} is a delay with nothing after it", remedy="leave it out"
        )
    return offer.shape


def _taken(part: Step, offered: Shape) -> type[Contract] | None:
    """The contract that a step is given of what is offered; None where that is branches, and the step does not say of what it is a join."""
    stands = agent_step(part)
    if stands is not None:
        return stands.agent.accepts
    return offered if isinstance(offered, type) else part.head().takes()


def _inside(part: Step, checked: Checked, offer: Offer) -> dict[str, Shape]:
    """What each of the steps inside a step emits, by the way to it."""
    return {
        way: _through(step, checked, replace(offer, path=inside(offer.path, way)))
        for way, step in part.inner()
    }


# What each kind of step emits, of what is offered to it


@singledispatch
def _emitted(part: Step, checked: Checked, offer: Offer) -> Shape:
    """A flow within the flow emits what its steps do."""
    [emitted] = _inside(part, checked, offer).values()
    return emitted


@_emitted.register(Agent)
@_emitted.register(Retrying)
@_emitted.register(Compensate)
def _of_agent(part: Step, checked: Checked, offer: Offer) -> Shape:
    stands = agent_step(part)
    assert stands is not None
    agent = stands.agent
    check_accepts(checked.flow, offer, agent)
    if stands.undo is not None:
        made = Offer(f"{offer.path}.{ways.UNDO}", agent.emits, f"step {offer.path} ({agent.name})")
        check_accepts(checked.flow, made, stands.undo.agent)
    return agent.emits


@_emitted.register(Parallel)
def _of_parallel(part: Parallel, checked: Checked, offer: Offer) -> Shape:
    return _inside(part, checked, offer)


@_emitted.register(Delay)
def _of_delay(_: Delay, checked: Checked, offer: Offer) -> Shape:  # noqa: ARG001 - one signature for all kinds
    return offer.shape


@_emitted.register(Emit)
def _of_emit(part: Emit, checked: Checked, offer: Offer) -> Shape:
    checked.events[offer.path] = _one(part, checked, offer)
    return offer.shape


@_emitted.register(WaitFor)
def _of_wait(part: WaitFor, checked: Checked, offer: Offer) -> Shape:
    known = checked.signals.setdefault(part.name, part.contract)
    if known is not part.contract:
        raise FlowError(
            f"flow {checked.flow}: step {offer.path} waits for {part.name!r} of {part.contract.ref()}, and another step for one "
            f"of {known.ref()}",
            remedy="give them different names",
        )
    if part.keep is None:
        return part.contract
    return {part.keep: _one(part, checked, offer), part.name: part.contract}


@_emitted.register(Budget)
def _of_budget(part: Budget, checked: Checked, offer: Offer) -> Shape:
    emitted = _inside(part, checked, offer)
    if isinstance(part.last_resort, Constant):
        emitted["constant"] = type(part.last_resort.payload)
    first = emitted[ways.WITHIN]
    for name, shape in emitted.items():
        if not isinstance(first, type) or shape is not first:
            raise FlowError(
                f"flow {checked.flow}: the budget at step {offer.path} is for {shown(first)}, and {name} gives {shown(shape)}",
                "what follows could not know what it gets",
                "let both end with one agent that emits the same contract",
            )
    if isinstance(part.fallback, Cached) and isinstance(first, type):
        inputs = offer.shape if isinstance(offer.shape, type) else accepted(checked.flow, part.step)
        for path in part.fallback.by:
            _ask(field_of(path).exists(), inputs, checked, offer.path)
        _check_shared(part.fallback, inputs, first, f"flow {checked.flow}: the budget at step {offer.path}")
    return first


def _check_shared(cached: Cached, inputs: type[Contract], outcome: type[Contract], where: str) -> None:
    """Raises :class:`FlowError` where an outcome that is kept would say of another input's fields what they are."""
    left_out = [] if cached.shared else said_back(inputs, outcome, cached.by)
    if left_out:
        raise FlowError(
            f"{where} falls back to what is cached by {', '.join(cached.by)}, and {outcome.ref()} says {', '.join(left_out)}, "
            "which these do not determine",
            "the outcome of one input would be given out as that of another",
            f"cache it by {', '.join(left_out)} too, leave that out of what the step emits, or say that this is meant: "
            "cached(..., shared=True)",
        )


@_emitted.register(Choice)
def _of_choice(part: Choice, checked: Checked, offer: Offer) -> Shape:
    offered = _one(part, checked, offer)
    for number, (condition, _) in enumerate(part.cases, 1):
        _ask(condition, offered, checked, f"{offer.path}.{ways.case(number)}")
    _check_nulls(
        [condition for condition, _ in part.cases], offered, f"flow {checked.flow}: step {offer.path}"
    )
    emitted = _inside(part, checked, offer)
    if part.otherwise is None:
        emitted[ways.OTHERWISE] = offered
    first, *others = emitted.items()
    for name, shape in others:
        if not isinstance(shape, type) or shape is not first[1]:
            raise FlowError(
                f"flow {checked.flow}: the cases of the choice at step {offer.path} emit different things: "
                f"{first[0]} {shown(first[1])}, {name} {shown(shape)}",
                "what follows could not know what it gets",
                "let all of them emit one contract",
            )
    return first[1]


@_emitted.register(Repeat)
def _of_repeat(part: Repeat, checked: Checked, offer: Offer) -> Shape:
    _one(part, checked, offer)
    [emitted] = _inside(part, checked, offer).values()
    before = replace(offer, shape=emitted, giver=f"the round before of step {offer.path}")
    [again] = _inside(part, checked, before).values()
    contract = _one(part, checked, replace(offer, shape=again))
    _ask(part.until, contract, checked, offer.path)
    _check_nulls([part.until], contract, f"flow {checked.flow}: step {offer.path}")
    return contract


@_emitted.register(Each)
def _of_each(part: Each, checked: Checked, offer: Offer) -> Shape:
    offered, path = _one(part, checked, offer), offer.path
    hints = {info.alias or name: info.annotation for name, info in offered.model_fields.items()}
    item = item_of(hints.get(part.field))
    if item is None:
        raise FlowError(
            f"flow {checked.flow}: step {path} takes each of {part.field!r}, and {offered.ref()} has no such list of "
            "contracts",
            remedy=f"declare the field as {part.field}: list[SomeContract]",
        )
    checked.items[path] = item
    one = Offer(path, item, f"an item of {part.field!r}, of {offer.giver},")
    [emitted] = _inside(part, checked, one).values()
    if not isinstance(emitted, type):
        raise FlowError(
            f"flow {checked.flow}: the step inside each() at {path} emits {shown(emitted)}",
            remedy="let it end with one agent",
        )
    return Many(part.into, emitted)


def _one(part: Step, checked: Checked, offer: Offer) -> type[Contract]:
    """The one contract that a step looks at."""
    if isinstance(offer.shape, type):
        return offer.shape
    raise FlowError(
        f"flow {checked.flow}: step {offer.path} is {part.title()}(), and {offer.giver} gives "
        f"{shown(offer.shape)}",
        "it looks at one contract",
        "put an agent between them that joins",
    )


def _check_nulls(conditions: Sequence[Condition], contract: type[Contract], where: str) -> None:
    """Raises :class:`FlowError` where one of the conditions is not answered for a field that may be null."""
    found = unanswered(conditions, contract)
    if found is not None:
        condition, null = found
        name = null[0]
        raise FlowError(
            f"{where} asks {condition}, and {', '.join(null)} of {contract.__name__} may be null",
            "it could not be answered then",
            f'ask that before: field("{name}").exists() & (...), or make a case of it: when(~field("{name}").exists(), ...)',
        )


def _ask(condition: Condition, contract: type[Contract], checked: Checked, path: str) -> None:
    try:
        condition.check(contract)
    except FlowError as error:
        raise FlowError(
            f"flow {checked.flow}: step {path} asks {condition}: {error.cause}",
            error.consequence,
            error.remedy,
        ) from None
