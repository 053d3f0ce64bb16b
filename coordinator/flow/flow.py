"""Flow: which agent hands over to which. Plain immutable values, checked against the contracts when built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from handoffs.contracts.contract import Contract, valid_name
from handoffs.contracts.versions import meet
from handoffs.coordinator.errors import FlowError
from handoffs.coordinator.flow.check import check, check_agents
from handoffs.coordinator.flow.places import AgentPlace, accepted, places
from handoffs.coordinator.flow.step import Step, not_a_step

_LARGEST = 1_000
_DEEPEST = 8  # each level nests the message's JSON six deeper, and that is limited


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

    def __post_init__(self) -> None:
        name = self.name
        if not valid_name(name):
            raise FlowError(
                f"a flow is called {name!r}", remedy="a name is lower case words joined by dots and dashes"
            )
        if not isinstance(self.step, Step):
            raise not_a_step(self.step)
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
        check_agents(name, found)
        self._check_start()

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
