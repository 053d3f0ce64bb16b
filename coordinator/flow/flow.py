"""Flow: which agent hands over to which. Plain immutable values, checked against the contracts when built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, get_args, get_origin

from pydantic import BaseModel

from handoffs.contracts.contract import Contract, ContractRef, valid_name
from handoffs.contracts.versions import meet
from handoffs.coordinator.errors import FlowError
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.agent_step import Doing, doing
from handoffs.coordinator.flow.budget import Budget, Cached, Constant
from handoffs.coordinator.flow.condition import Condition
from handoffs.coordinator.flow.condition import field as field_of
from handoffs.coordinator.flow.signal import WaitFor
from handoffs.coordinator.flow.step import (
    Choice,
    Delay,
    Each,
    Emit,
    Parallel,
    Repeat,
    Step,
    not_a_step,
    parts,
    positions,
)
from handoffs.coordinator.flow.trigger import Opening, opening

_LARGEST = 1_000
_DEEPEST = 8  # each level nests the message's JSON six deeper, and that is limited


@dataclass(frozen=True)
class Place:
    """Where an agent stands in a flow.

    ``path`` names the step: ``2``; ``3.stock.1`` inside a branch of step 3; ``3.c1.1`` in the first case of a choice
    (``c0``: otherwise); ``3.b.1`` within a budget, ``3.f.1`` its fallback; ``3.i*.1`` for each item (a run has ``i0``, ``i1``, ...); ``3.r*.1`` in each round of a repetition;
    ``3.1`` inside a flow within the flow.
    """

    path: str
    agent: Agent


@dataclass(frozen=True)
class Many:
    """A list of contracts, which what follows takes in one field: what :func:`~handoffs.coordinator.flow.step.each` makes."""

    into: str
    of: type[Contract]


@dataclass(frozen=True)
class _ListOf:
    """A field that holds a list of a contract."""

    of: type[Contract]


Shape: TypeAlias = "type[Contract] | Many | dict[str, Shape]"
"""What a step emits: a contract; for branches without a step that joins them, their shapes by name; or a list."""


@dataclass(frozen=True, eq=False)
class Flow(Step):
    """A named composition of agents, and a step of other flows. ``input`` says what starts it, where it does not begin
    with an agent. ``on`` is an event that starts a run each time: the agent ``<name>.begin`` hears it and needs a worker.

    Raises :class:`FlowError`, naming both sides, where a step does not accept what the one before it emits: another
    contract, a version to which no migration leads, two classes of one version that do not fit, or a join whose fields
    are not the branches.
    """

    name: str
    step: Step
    input: type[Contract] | None = None
    on: type[Contract] | None = None
    items: Mapping[str, type[Contract]] = field(init=False, repr=False)
    """The contract of the items of each :func:`~handoffs.coordinator.flow.step.each`, by its path."""
    signals: Mapping[str, type[Contract]] = field(init=False, repr=False)
    """The contract of each signal that it waits for, by its name."""
    events: Mapping[str, type[Contract]] = field(init=False, repr=False)
    """The contract of each event that it emits, by the path of the :func:`~handoffs.coordinator.flow.step.emit`."""
    opening: Opening | None = field(init=False, repr=False, default=None)
    """The agent that hears the event on which it starts."""

    def __post_init__(self) -> None:
        name = self.name
        if not valid_name(name):
            raise FlowError(
                f"a flow is called {name!r}", remedy="a name is lower case words joined by dots and dashes"
            )
        if not isinstance(self.step, Step):
            raise not_a_step(self.step)
        try:
            places = list(self.places())
        except FlowError as error:
            raise FlowError(f"flow {name}: {error.cause}", remedy=error.remedy) from None
        if len(places) > _LARGEST:
            raise FlowError(f"flow {name} has {len(places)} steps", remedy=f"a flow has at most {_LARGEST}")
        if max((place.path.count(".") // 2 for place in places), default=0) > _DEEPEST:
            raise FlowError(
                f"flow {name} has branches within branches more than {_DEEPEST} deep",
                remedy="make a step of the inner ones",
            )
        check = _Check(name)
        check.emitted(self.step, self.accepts, "")
        object.__setattr__(self, "items", check.items)
        object.__setattr__(self, "signals", check.signals)
        object.__setattr__(self, "events", check.events)
        _check_agents(name, places)
        object.__setattr__(self, "opening", self._opening())

    def _opening(self) -> Opening | None:
        if self.on is None:
            return None
        fault = meet(self.on, self.accepts)
        if fault:
            raise FlowError(
                f"flow {self.name} starts on {self.on.ref()} and accepts {self.accepts.ref()}: {fault}",
                remedy="let it start on what it accepts, or give it an agent that takes the event",
            )
        return opening(self, self.on)

    @property
    def accepts(self) -> type[Contract]:
        """The contract that starts the flow."""
        return self.input or _first(self.name, self.step)

    def places(self) -> Iterator[Place]:
        """The agents of the flow with their paths, in order."""
        return _places(self.step, "")

    def agents(self) -> dict[str, Agent]:
        """The agents of the flow by name, with the one that starts it on an event."""
        own = (self.opening,) if self.opening is not None else ()
        return {agent.name: agent for agent in (*own, *(place.agent for place in self.places()))}


def _places(step: Step, prefix: str) -> Iterator[Place]:
    for path, part in positions(step, prefix):
        done = doing(part)
        if done is not None:
            yield Place(path, done.agent)
            if done.undo is not None:
                yield Place(f"{path}.undo", done.undo.agent)
        for name, inner in _inner(part):
            yield from _places(inner, f"{path}.{name}." if name else f"{path}.")


def _inner(part: Step) -> Iterator[tuple[str, Step]]:
    """The steps inside a step, with their names in its path."""
    if isinstance(part, Parallel):
        yield from part.branches
    elif isinstance(part, Choice):
        for number, (_, step) in enumerate(part.cases, 1):
            yield f"c{number}", step
        if part.otherwise is not None:
            yield "c0", part.otherwise
    elif isinstance(part, Each):
        yield "i*", part.step
    elif isinstance(part, Repeat):
        yield "r*", part.step
    elif isinstance(part, Budget):
        yield "b", part.step
        taken = part.fallback.otherwise if isinstance(part.fallback, Cached) else part.fallback
        if isinstance(taken, Step):
            yield "f", taken
    elif isinstance(part, Flow):
        yield "", part.step


def _first(flow: str, step: Step) -> type[Contract]:
    part = parts(step)[0]
    done = doing(part)
    if done is not None:
        return done.agent.accepts
    if isinstance(part, Flow):
        return part.accepts
    if isinstance(part, (Parallel, Choice, Repeat, Budget)):
        return _first(flow, next(_inner(part))[1])
    raise FlowError(
        f"flow {flow} begins with {type(part).__name__.lower()}(), which does not say what starts it",
        remedy="say it: Flow(name, step, input=TheContract)",
    )


class _Check:
    """Follows what is emitted through a flow, and raises where a step does not accept it."""

    def __init__(self, flow: str) -> None:
        self.flow = flow
        self.items: dict[str, type[Contract]] = {}
        self.signals: dict[str, type[Contract]] = {}
        self.events: dict[str, type[Contract]] = {}

    def emitted(self, step: Step, offered: Shape, prefix: str, giver: str = "the start") -> Shape:
        """What ``step`` emits when it is offered ``offered``."""
        last = None
        for path, part in positions(step, prefix):
            offered, giver, last = (
                self._part(part, offered, path, giver),
                self._named(part, path),
                (path, part),
            )
        assert last is not None
        if isinstance(last[1], Delay):
            raise FlowError(
                f"flow {self.flow}: step {last[0]} is a delay with nothing after it", remedy="leave it out"
            )
        return offered

    def _part(self, part: Step, offered: Shape, path: str, giver: str) -> Shape:
        done = doing(part)
        if done is not None:
            return self._done(done, offered, path, giver)
        if isinstance(part, Parallel):
            return {
                name: self.emitted(branch, offered, f"{path}.{name}.", giver)
                for name, branch in part.branches
            }
        if isinstance(part, Flow):
            return self.emitted(part.step, offered, f"{path}.", giver)
        if isinstance(part, Delay):
            return offered
        if isinstance(part, Emit):
            self.events[path] = self._one(offered, path, part, giver)
            return offered
        return self._special(part, offered, path, giver)

    def _special(self, part: Step, offered: Shape, path: str, giver: str) -> Shape:
        if isinstance(part, WaitFor):
            return self._waits(part, offered, path, giver)
        if isinstance(part, Budget):
            return self._budget(part, offered, path, giver)
        return self._control(part, offered, path, giver)

    def _done(self, done: Doing, offered: Shape, path: str, giver: str) -> Shape:
        _check_accepts(self.flow, giver, offered, path, done.agent)
        if done.undo is not None:
            made = f"step {path} ({done.agent.name})"
            _check_accepts(self.flow, made, done.agent.emits, f"{path}.undo", done.undo.agent)
        return done.agent.emits

    def _waits(self, part: WaitFor, offered: Shape, path: str, giver: str) -> Shape:
        known = self.signals.setdefault(part.name, part.contract)
        if known is not part.contract:
            raise FlowError(
                f"flow {self.flow}: step {path} waits for {part.name!r} of {part.contract.ref()}, and another step for one "
                f"of {known.ref()}",
                remedy="give them different names",
            )
        if part.keep is None:
            return part.contract
        return {part.keep: self._one(offered, path, part, giver), part.name: part.contract}

    def _budget(self, part: Budget, offered: Shape, path: str, giver: str) -> Shape:
        emitted = {name: self.emitted(step, offered, f"{path}.{name}.", giver) for name, step in _inner(part)}
        taken = part.fallback.otherwise if isinstance(part.fallback, Cached) else part.fallback
        if isinstance(taken, Constant):
            emitted["constant"] = type(taken.payload)
        first = emitted["b"]
        for name, shape in emitted.items():
            if not isinstance(shape, type) or shape is not first:
                raise FlowError(
                    f"flow {self.flow}: the budget at step {path} is for {_shown(first)}, and {name} gives {_shown(shape)}",
                    "what follows could not know what it gets",
                    "let both end with one agent that emits the same contract",
                )
        if isinstance(part.fallback, Cached):
            inputs = offered if isinstance(offered, type) else _first(self.flow, part.step)
            for field_path in part.fallback.by:
                self._ask(field_of(field_path).exists(), inputs, path)
        return first

    def _control(self, part: Step, offered: Shape, path: str, giver: str) -> Shape:
        contract = self._one(offered, path, part, giver)
        if isinstance(part, Choice):
            return self._choice(part, contract, path, giver)
        if isinstance(part, Repeat):
            return self._repeat(part, contract, path, giver)
        assert isinstance(part, Each)
        return self._each(part, contract, path, giver)

    def _choice(self, part: Choice, offered: type[Contract], path: str, giver: str) -> Shape:
        for number, (condition, _) in enumerate(part.cases, 1):
            self._ask(condition, offered, f"{path}.c{number}")
        emitted = {name: self.emitted(step, offered, f"{path}.{name}.", giver) for name, step in _inner(part)}
        if part.otherwise is None:
            emitted["c0"] = offered
        first, *others = emitted.items()
        for name, shape in others:
            if not isinstance(shape, type) or shape is not first[1]:
                raise FlowError(
                    f"flow {self.flow}: the cases of the choice at step {path} emit different things: "
                    f"{first[0]} {_shown(first[1])}, {name} {_shown(shape)}",
                    "what follows could not know what it gets",
                    "let all of them emit one contract",
                )
        return first[1]

    def _repeat(self, part: Repeat, offered: type[Contract], path: str, giver: str) -> Shape:
        emitted = self.emitted(part.step, offered, f"{path}.r*.", giver)
        again = self.emitted(part.step, emitted, f"{path}.r*.", f"the round before of step {path}")
        contract = self._one(again, path, part, giver)
        self._ask(part.until, contract, path)
        return contract

    def _each(self, part: Each, offered: type[Contract], path: str, giver: str) -> Shape:
        hints = {info.alias or name: info.annotation for name, info in offered.model_fields.items()}
        hint = hints.get(part.field)
        [item] = get_args(hint) if get_origin(hint) is list else [None]
        if not (isinstance(item, type) and issubclass(item, Contract)):
            raise FlowError(
                f"flow {self.flow}: step {path} takes each of {part.field!r}, and {offered.ref()} has no such list of "
                "contracts",
                remedy=f"declare the field as {part.field}: list[SomeContract]",
            )
        self.items[path] = item
        emitted = self.emitted(part.step, item, f"{path}.i*.", f"an item of {part.field!r}, of {giver},")
        if not isinstance(emitted, type):
            raise FlowError(
                f"flow {self.flow}: the step inside each() at {path} emits {_shown(emitted)}",
                remedy="let it end with one agent",
            )
        return Many(part.into, emitted)

    def _ask(self, condition: Condition, contract: type[Contract], path: str) -> None:
        try:
            condition.check(contract)
        except FlowError as error:
            raise FlowError(
                f"flow {self.flow}: step {path} asks {condition}: {error.cause}", remedy=error.remedy
            ) from None

    def _one(self, offered: Shape, path: str, part: Step, giver: str) -> type[Contract]:
        if isinstance(offered, type):
            return offered
        raise FlowError(
            f"flow {self.flow}: step {path} is {type(part).__name__.lower()}(), and {giver} gives {_shown(offered)}",
            "it looks at one contract",
            "put an agent between them that joins",
        )

    def _named(self, part: Step, path: str) -> str:
        done = doing(part)
        if done is not None:
            return f"step {path} ({done.agent.name})"
        if isinstance(part, Parallel):
            return f"step {path} (parallel: {', '.join(name for name, _ in part.branches)})"
        return f"step {path} ({type(part).__name__.lower()})"


def _shown(shape: Shape) -> str:
    if isinstance(shape, Many):
        return f"a list of {shape.of.ref()}"
    return str(shape.ref()) if isinstance(shape, type) else f"branches {', '.join(shape)}"


def _check_accepts(flow: str, giver: str, offered: Shape, path: str, taker: Agent) -> None:
    where = f"flow {flow}: step {path} ({taker.name}) accepts {taker.accepts.ref()}"
    if not isinstance(offered, type):
        _check_join(where, giver, _fields(offered), taker.accepts)
    else:
        fault = meet(offered, taker.accepts)
        if fault:
            raise _misfit(where, f"{giver} gives {offered.ref()}", fault, offered.ref(), taker.accepts)


def _fields(shape: Many | dict[str, Shape]) -> dict[str, Shape | _ListOf]:
    """What a join puts together: a field for each branch, or the one with the list."""
    return {shape.into: _ListOf(shape.of)} if isinstance(shape, Many) else dict(shape)


def _check_join(
    where: str, giver: str, offered: Mapping[str, Shape | _ListOf], accepts: type[BaseModel]
) -> None:
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
        if isinstance(shape, _ListOf):
            [item] = get_args(hint) if get_origin(hint) is list else [None]
            if not (isinstance(item, type) and issubclass(item, Contract)) or meet(shape.of, item):
                raise FlowError(
                    f"{where}, but its field {name!r} is no list that reads {shape.of.ref()}, which {giver} gives",
                    remedy=f"annotate the field as list[{shape.of.__name__}]",
                )
        elif not isinstance(shape, type):
            if not (isinstance(hint, type) and issubclass(hint, BaseModel)):
                raise FlowError(
                    f"{where}, but its field {name!r} joins branches and is no model with a field for each"
                )
            _check_join(f"{where}, field {name!r}", giver, _fields(shape), hint)
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
        if place.agent.intake.ordered:
            raise FlowError(
                f"flow {flow}: step {place.path} ({place.agent.name}) hears events in order",
                "a step of a flow would wait behind them",
                "make another agent of the same function",
            )
        other = seen.setdefault(place.agent.name, place.agent)
        if other is not place.agent:
            raise FlowError(
                f"flow {flow}: two agents are called {place.agent.name}", remedy="rename one of them"
            )
