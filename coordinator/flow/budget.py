"""Budgets: how long a step may take, and what takes its place when that is over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from handoffs.config.delays import LONGEST_WAIT
from handoffs.contracts import strictjson
from handoffs.contracts.contract import Contract
from handoffs.contracts.errors import TooLarge
from handoffs.contracts.text import named
from handoffs.coordinator.errors import FlowError
from handoffs.coordinator.flow import ways
from handoffs.coordinator.flow.duration import is_duration
from handoffs.coordinator.flow.names import is_path
from handoffs.coordinator.flow.step import Step, as_step


@dataclass(frozen=True)
class Constant:
    """Always the same payload."""

    payload: Contract


@dataclass(frozen=True)
class Cached:
    """The last good outcome for an input that has the same values in the fields ``by``, at most ``max_age`` old; where
    there is none, ``otherwise``. ``shared``: also one that says of another input's fields what they are."""

    by: tuple[str, ...]
    max_age: timedelta
    otherwise: Constant | Step
    shared: bool = False


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


_READABLE = strictjson.Limits(octets=134_217_728, depth=60, nodes=134_217_728)
"""What is read of data whatever the settings are; some depth is left for the envelope and for joins."""


def constant(payload: Contract) -> Constant:
    """Fall back to ``payload``, which is of the contract that the step emits. Raises :class:`FlowError` for anything
    else."""
    if not isinstance(payload, Contract):
        raise FlowError(
            f"constant() has {type(payload).__name__}",
            remedy="give it a contract: constant(Eta(seconds=600))",
        )
    payload.ref()
    try:
        strictjson.loads(strictjson.dumps(payload.to_data()), _READABLE)
    except TooLarge as error:
        raise FlowError(
            f"constant() has a {payload.ref()} that no agent could read: {error.cause}",
            remedy="give it a smaller one, and send what is large by reference",
        ) from None
    return Constant(payload)


def cached(*by: str, max_age: timedelta, otherwise: Constant | Step, shared: bool = False) -> Cached:
    """Fall back to the last good outcome for the same values of the input's fields ``by``::

        cached("pickup_zone", "dropoff_zone", max_age=timedelta(minutes=10), otherwise=straight_line)

    The outcome was made for another input. So the fields ``by`` have to say what is in it: a flow is refused where they
    leave out a key field of the outcome, or, where that has none, a field that it has in common with the input: it would
    say whose that one was. With ``shared`` you say that this is meant.

    Raises :class:`FlowError` without a field, without an age, or without something for when nothing is cached.
    """
    if not by or not all(map(is_path, by)):
        raise FlowError(
            f"cached() is told to go by {named(by)}",
            remedy="name at least one field of the step's input: cached('zone', ...)",
        )
    if not is_duration(max_age, shortest=_SHORTEST):
        raise FlowError(
            f"cached() has max_age={named(max_age)}",
            remedy="say how old an outcome may be: max_age=timedelta(minutes=10)",
        )
    if not isinstance(otherwise, Constant):
        as_step(otherwise)
    return Cached(by, max_age, otherwise, shared)


def budget(step: Step, *, within: timedelta, fallback: Fallback) -> Budget:
    """Give ``step`` a time budget, from the moment that it is sent, whether a worker is there or not::

        budget(eta, within=timedelta(milliseconds=300), fallback=cached("zone", max_age=..., otherwise=straight_line))

    When it is spent, the flow goes on with the fallback: an outcome of before, a constant, or another agent's. What the
    step makes later is recorded as late, and counts for nothing. Raises :class:`FlowError` for a budget outside of 1 ms to
    a hundred years, or without a fallback.
    """
    if not is_duration(within, shortest=_SHORTEST):
        raise FlowError(
            f"budget() has within={named(within)}",
            remedy=f"a budget is from {_SHORTEST} to {LONGEST_WAIT.days} days: within=timedelta(seconds=5)",
        )
    if not isinstance(fallback, (Constant, Cached, Step)):
        raise FlowError(
            "budget() has no fallback",
            "nothing could take the step's place",
            "give it fallback=constant(...), cached(...), or an agent",
        )
    return Budget(as_step(step), within, fallback)
