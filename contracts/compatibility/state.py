"""State: a question about one instance, its answer, and what can be asked to answer it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from handoffs.contracts.compatibility.budget import Budget
from handoffs.contracts.compatibility.interner import Interner
from handoffs.contracts.compatibility.node import Node

Status = Literal["found", "none", "unknown"]
Positive = tuple[Node, bool]
"""A schema that holds, and whether it is that of a closed writer."""


@dataclass(frozen=True, slots=True)
class State:
    """A conjunction about one instance: schemas that hold and schemas that do not."""

    positive: frozenset[Positive] = frozenset()
    negative: frozenset[Node] = frozenset()

    def with_(self, other: State) -> State:
        """Both."""
        return State(self.positive | other.positive, self.negative | other.negative)


ANYTHING = State()
"""The state of every instance: nothing is demanded."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether an instance was found (``value``), there is none, or neither could be shown."""

    status: Status
    value: Any = None


NONE = Answer("none")
UNKNOWN = Answer("unknown")


class Solving(Protocol):
    """What answers questions about items and properties: the solver, as far as it is asked to by what it asks itself.

    Its methods raise :class:`~handoffs.contracts.compatibility.budget.Exhausted` beyond the budget.
    """

    @property
    def interner(self) -> Interner:
        """Where the nodes are kept."""

    @property
    def budget(self) -> Budget:
        """What a question may still cost."""

    def solve(self, state: State) -> Answer:
        """An instance that every positive schema accepts and every negative one refuses."""

    def holds(self, state: State, value: Any) -> bool | None:
        """Whether ``value`` is in ``state``; None where that is not certain."""
