"""Flow: which agent hands over to which. Plain immutable values, checked against the contracts when built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from handoffs.contracts.contract import Contract, is_contract, valid_name
from handoffs.contracts.text import named
from handoffs.contracts.versions import meet
from handoffs.coordinator.errors import FlowError
from handoffs.coordinator.flow.check import check, check_agents
from handoffs.coordinator.flow.foresight import check_constants
from handoffs.coordinator.flow.places import AgentPlace, accepted, places
from handoffs.coordinator.flow.step import Step, not_a_step, parts
from handoffs.coordinator.flow.usage import Spending

_LARGEST = 1_000
_DEEPEST = 8  # each level nests the message's JSON six deeper, and that is limited


@dataclass(frozen=True, eq=False)
class Flow(Step):
    """A named composition of agents, and a step of other flows. ``input`` says what starts it, where it does not begin
    with an agent. ``on`` is an event that starts a run each time: the agent ``<name>.begin`` hears it and needs a worker.
    ``spending`` is what each run may use up.

    Raises :class:`FlowError`, naming both sides, where a step does not accept what the one before it emits: another
    contract, a version to which no migration leads, two classes of one version that do not fit, or a join whose fields
    are not the branches.
    """

    name: str
    step: Step
    input: type[Contract] | None = None
    on: type[Contract] | None = None
    spending: Spending | None = None
    items: Mapping[str, type[Contract]] = field(init=False, repr=False)
    """The contract of the items of each :func:`~handoffs.coordinator.flow.step.each`, by its path."""
    signals: Mapping[str, type[Contract]] = field(init=False, repr=False)
    """The contract of each signal that it waits for, by its name."""
    events: Mapping[str, type[Contract]] = field(init=False, repr=False)
    """The contract of each event that it emits, by the path of the :func:`~handoffs.coordinator.flow.step.emit`."""
    inputs: Mapping[str, type[Contract]] = field(init=False, repr=False)
    """The contract that each step is given, by its path."""

    def __post_init__(self) -> None:
        name = self.name
        if not valid_name(name):
            raise FlowError(
                f"a flow is called {named(name)}",
                remedy="a name is lower case words joined by dots and dashes",
            )
        if not isinstance(self.step, Step):
            raise not_a_step(self.step)
        for word, given in (("input", self.input), ("on", self.on)):
            if given is not None and not is_contract(given):
                raise FlowError(
                    f"flow {name} has {word}={named(given)}, which is no contract",
                    remedy=f"name one: {word}=OrderPlaced",
                )
        try:
            found = list(self.places())
        except FlowError as error:
            raise FlowError(f"flow {name}: {error.cause}", remedy=error.remedy) from None
        if len(found) > _LARGEST:
            raise FlowError(f"flow {name} has {len(found)} steps", remedy=f"a flow has at most {_LARGEST}")
        if max((place.path.count(".") // 2 for place in found), default=0) > _DEEPEST:
            raise FlowError(
                f"flow {name} has branches within branches more than {_DEEPEST} deep",
                remedy="make a step of the inner ones",
            )
        checked = check(name, self.step, self.accepts)
        object.__setattr__(self, "items", checked.items)
        object.__setattr__(self, "signals", checked.signals)
        object.__setattr__(self, "events", checked.events)
        object.__setattr__(self, "inputs", checked.inputs)
        check_agents(name, found)
        check_constants(name, self.step)
        self._check_start()
        self._check_spending()

    def _check_spending(self) -> None:
        given: object = self.spending
        if given is not None and not isinstance(given, Spending):
            raise FlowError(
                f"flow {self.name} has spending={named(given)}",
                remedy="write spending=Spending(tokens=50_000)",
            )
        if inner := next((one for one in _flows_in(self.step) if one.spending is not None), None):
            raise FlowError(
                f"flow {self.name} has the flow {inner.name} in it, which says what a run may spend",
                "a run has one limit, that of the flow that is started",
                f"give it to {self.name}, or have the step of {inner.name} in it: {inner.name}.step",
            )

    def _check_start(self) -> None:
        fault = meet(self.on, self.accepts) if self.on is not None else ""
        if self.on is not None and fault:
            raise FlowError(
                f"flow {self.name} starts on {self.on.ref()} and accepts {self.accepts.ref()}: {fault}",
                remedy="let it start on what it accepts, or give it an agent that takes the event",
            )

    @property
    def accepts(self) -> type[Contract]:
        """The contract that starts the flow."""
        return self.input or accepted(self.name, self.step)

    def inner(self) -> Iterator[tuple[str, Step]]:
        yield "", self.step

    def takes(self) -> type[Contract]:
        return self.accepts

    def places(self) -> Iterator[AgentPlace]:
        """The agents of the flow with their paths, in order."""
        return places(self.step)


def _flows_in(step: Step) -> Iterator[Flow]:
    """The flows that are steps of others, at any depth."""
    for part in parts(step):
        if isinstance(part, Flow):
            yield part
        for _, inner in part.inner():
            yield from _flows_in(inner)
