"""Budgets: how long a step may take, and what takes its place when that is over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from handoffs.contracts.contract import Contract
from handoffs.coordinator.errors import FlowError
from handoffs.coordinator.flow import ways
from handoffs.coordinator.flow.step import Step, as_step


@dataclass(frozen=True)
class Constant:
    """Always the same payload."""

    payload: Contract


@dataclass(frozen=True)
class Cached:
    """The last good outcome for an input that has the same values in the fields ``by``, at most ``max_age`` old; where
    there is none, ``otherwise``."""

    by: tuple[str, ...]
    max_age: timedelta
    otherwise: Constant | Step


Fallback = Constant | Cached | Step


@dataclass(frozen=True, eq=False)
class Budget(Step):
    """A step that may take ``within``; then ``fallback`` takes its place."""

    step: Step
    within: timedelta
    fallback: Fallback

    @property
    def last_resort(self) -> Constant | Step:
        """What takes its place in the end, where nothing is cached."""
        return self.fallback.otherwise if isinstance(self.fallback, Cached) else self.fallback

    def inner(self) -> Iterator[tuple[str, Step]]:
        yield ways.WITHIN, self.step
        if isinstance(self.last_resort, Step):
            yield ways.FALLBACK, self.last_resort

    def head(self) -> Step:
        return self.step.head()


_SHORTEST = timedelta(milliseconds=1)
_LONGEST = timedelta(hours=1)


def constant(payload: Contract) -> Constant:
    """Fall back to ``payload``, which is of the contract that the step emits. Raises :class:`FlowError` for anything
    else."""
    if not isinstance(payload, Contract):
        raise FlowError(
            f"constant() has {type(payload).__name__}",
            remedy="give it a contract: constant(Eta(seconds=600))",
        )
    payload.ref()
    return Constant(payload)


def cached(*by: str, max_age: timedelta, otherwise: Constant | Step) -> Cached:
    """Fall back to the last good outcome for the same values of the input's fields ``by``::

        cached("pickup_zone", "dropoff_zone", max_age=timedelta(minutes=10), otherwise=straight_line)

    Raises :class:`FlowError` without a field, without an age, or without something for when nothing is cached.
    """
    if not by or not all(name.isidentifier() for path in by for name in path.split(".")):
        raise FlowError(
            f"cached() is told to go by {by!r}",
            remedy="name at least one field of the step's input: cached('zone', ...)",
        )
    if max_age < _SHORTEST:
        raise FlowError(f"cached() has max_age={max_age!r}", remedy="say how old an outcome may be")
    if not isinstance(otherwise, Constant):
        as_step(otherwise)
    return Cached(by, max_age, otherwise)


def budget(step: Step, *, within: timedelta, fallback: Fallback) -> Budget:
    """Give ``step`` a time budget, from the moment that it is sent, whether a worker is there or not::

        budget(eta, within=timedelta(milliseconds=300), fallback=cached("zone", max_age=..., otherwise=straight_line))

    When it is spent, the flow goes on with the fallback: an outcome of before, a constant, or another agent's. What the
    step makes later is recorded as late, and counts for nothing. Raises :class:`FlowError` for a budget outside of 1 ms to
    1 hour, or without a fallback.
    """
    if not _SHORTEST <= within <= _LONGEST:
        raise FlowError(
            f"budget() has within={within!r}", remedy=f"a budget is from {_SHORTEST} to {_LONGEST}"
        )
    if not isinstance(fallback, (Constant, Cached, Step)):
        raise FlowError(
            "budget() has no fallback",
            "nothing could take the step's place",
            "give it fallback=constant(...), cached(...), or an agent",
        )
    return Budget(as_step(step), within, fallback)
