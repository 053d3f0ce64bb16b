"""Subscriptions: which events an agent hears, which of them it wants, and what it waits for before it begins. Plain values;
:mod:`handoffs.coordinator.flow.subscribe` makes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from handoffs.contracts.contract import Contract
from handoffs.contracts.event import Event
from handoffs.contracts.topic import matches
from handoffs.coordinator.flow.answer import Unclear
from handoffs.coordinator.flow.condition import Condition

MOST_PARTS = 10_000
"""The most events of one set."""

Complete = Callable[[Sequence[Any]], bool]


@dataclass(frozen=True)
class Gather:
    """A set of events that is worked on once it is complete. See :func:`~handoffs.coordinator.flow.subscribe.gather`."""

    into: str
    by: tuple[str, ...]
    until: str | Complete
    within: timedelta
    partial: bool

    def expected(self, part: Contract, count: int) -> bool:
        """Whether ``count`` parts are all, as far as a field of ``part`` says it."""
        return isinstance(self.until, str) and count >= int(getattr(part, self.until))

    def complete(self, parts: Sequence[Contract]) -> bool:
        """Whether these parts are all. The predicate's own errors pass through."""
        if isinstance(self.until, str):
            return bool(parts) and len(parts) >= int(getattr(parts[-1], self.until))
        return bool(self.until(parts))


@dataclass(frozen=True)
class Subscription:
    """One thing that an agent listens to: the name of a contract or a pattern of names, and which of those events it wants."""

    pattern: str
    contract: type[Contract]
    """What such an event is read as: the contract itself, or :class:`~handoffs.contracts.event.Event` for a pattern."""
    where: Condition | None = None
    gather: Gather | None = None
    ordered: bool = False

    def hears(self, name: str) -> bool:
        """Whether events of the contract ``name`` come to it."""
        return matches(self.pattern, name)

    def wants(self, data: dict[str, Any]) -> bool:
        """Whether it wants an event with this data, as it is read. To a pattern come contracts that have no such field: those it
        does not want.

        Raises :class:`~handoffs.coordinator.errors.Unanswerable` where the event has the field and that cannot be said.
        """
        if self.where is None:
            return True
        answer = self.where.answer(data)
        if isinstance(answer, Unclear) and answer.absent and self.contract is Event:
            return False
        return self.where.decided(answer)
