"""Steps: the grammar in which flows are written. Plain immutable values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn

from handoffs.config.delays import LONGEST_WAIT
from handoffs.contracts.contract import Contract
from handoffs.contracts.text import named
from handoffs.coordinator.errors import FlowError
from handoffs.coordinator.flow import ways
from handoffs.coordinator.flow.condition import Condition, asked_of
from handoffs.coordinator.flow.duration import is_duration
from handoffs.coordinator.flow.names import LONGEST_NAME, is_name
from handoffs.coordinator.flow.retry import Retry

_MOST_ROUNDS = 1_000
_MOST_AT_A_TIME = 10_000


class Step:
    """Part of a flow: an agent, or a composition. ``a >> b`` hands what ``a`` emits over to ``b``.

    Each kind says what is inside it, and what it takes.
    """

    def __rshift__(self, following: Step) -> Sequence:
        return Sequence((*parts(self), *parts(as_step(following))))

    def __rrshift__(self, before: object) -> Sequence:
        raise not_a_step(before)

    def __gt__(self, following: object) -> NoReturn:
        raise _no_arrow(">")

    def __or__(self, following: object) -> NoReturn:
        raise _no_arrow("|")

    def inner(self) -> Iterator[tuple[str, Step]]:
        """The steps inside it, each with the way to it in its path (:mod:`handoffs.coordinator.flow.ways`): a branch's name,
        ``c1``, ``i*``; empty for the steps of a flow within the flow."""
        return iter(())

    def head(self) -> Step:
        """The step that what arrives comes to first: itself, or one inside it."""
        return self

    def takes(self) -> type[Contract] | None:
        """The contract that it accepts, where it says that by itself; None for what passes on, or looks into, whatever
        arrives."""
        return None

    def title(self) -> str:
        """What it is called where a flow is found to be wrong: ``delay``."""
        return type(self).__name__.lower()


@dataclass(frozen=True, eq=False)
class Sequence(Step):
    """Steps one after another."""

    steps: tuple[Step, ...]

    def head(self) -> Step:
        return self.steps[0].head()


@dataclass(frozen=True, eq=False)
class Parallel(Step):
    """Named branches at the same time. What follows gets their outputs in one contract, a field a branch."""

    branches: tuple[tuple[str, Step], ...]

    def inner(self) -> Iterator[tuple[str, Step]]:
        return iter(self.branches)

    def head(self) -> Step:
        return self.branches[0][1].head()

    def title(self) -> str:
        return f"parallel: {', '.join(name for name, _ in self.branches)}"


@dataclass(frozen=True, eq=False)
class Choice(Step):
    """The first case whose condition holds, or else ``otherwise``; None there passes the payload on as it is."""

    cases: tuple[tuple[Condition, Step], ...]
    otherwise: Step | None

    def inner(self) -> Iterator[tuple[str, Step]]:
        for number, (_, step) in enumerate(self.cases, 1):
            yield ways.case(number), step
        if self.otherwise is not None:
            yield ways.OTHERWISE, self.otherwise

    def head(self) -> Step:
        return self.cases[0][1].head()


@dataclass(frozen=True, eq=False)
class Each(Step):
    """A step for each item of a list field, at most ``limit`` at a time; what follows gets their outputs in order, in the
    field ``into``."""

    field: str
    step: Step
    into: str
    limit: int | None

    def inner(self) -> Iterator[tuple[str, Step]]:
        yield ways.ITEM, self.step


@dataclass(frozen=True, eq=False)
class Repeat(Step):
    """A step on its own output, until a condition holds or it has run ``at_most`` times."""

    step: Step
    until: Condition
    at_most: int

    def inner(self) -> Iterator[tuple[str, Step]]:
        yield ways.ROUND, self.step

    def head(self) -> Step:
        return self.step.head()


@dataclass(frozen=True, eq=False)
class Delay(Step):
    """Nothing, for a while: what follows is sent so much later."""

    wait: timedelta


@dataclass(frozen=True, eq=False)
class Emit(Step):
    """The payload goes out as an event, and on as it is."""


@dataclass(frozen=True, eq=False)
class Compensate(Step):
    """An agent, and another that undoes what it did when the run is cancelled with compensation."""

    step: Step
    by: Step

    def head(self) -> Step:
        return self.step.head()

    def title(self) -> str:
        return self.step.title()


@dataclass(frozen=True, eq=False)
class Retrying(Step):
    """An agent whose failures are treated by another policy than its own, at this place in this flow."""

    step: Step
    policy: Retry

    def head(self) -> Step:
        return self.step.head()

    def title(self) -> str:
        return self.step.title()


class _GoOn:
    """The payload passes on unchanged: ``choice(..., otherwise=go_on)``."""

    def __repr__(self) -> str:
        return "go_on"


go_on = _GoOn()


def when(condition: Condition, step: Step) -> tuple[Condition, Step]:
    """A case of a :func:`choice`. Raises :class:`FlowError` for what is no condition, or no step."""
    if not _is_condition(condition):
        raise FlowError(
            f"{named(condition)} is no condition",
            remedy=asked_of(condition, 'write when(field("amount") > 5000, step): data, not a function'),
        )
    return condition, as_step(step)


def choice(*cases: tuple[Condition, Step], otherwise: Step | _GoOn | None = None) -> Choice:
    """Take the first case whose condition holds for the payload::

        choice(when(field("risk_score") >= 70, review), otherwise=go_on)

    Each case accepts the payload that arrives, and all emit one contract. Raises :class:`FlowError` without a case, or
    without ``otherwise``.
    """
    if not cases:
        raise FlowError("choice() has no case", remedy="give at least one: when(condition, step)")
    for case in cases:
        if not _is_case(case):
            raise FlowError(
                f"{named(case)} is no case of a choice", remedy="write it as when(condition, step)"
            )
    if otherwise is None:
        raise FlowError(
            "choice() does not say what happens where no case holds",
            remedy="add otherwise=step, or otherwise=go_on to pass the payload on",
        )
    return Choice(tuple(cases), None if isinstance(otherwise, _GoOn) else as_step(otherwise))


def each(field: str, step: Step, *, into: str, limit: int | None = None) -> Each:
    """Run ``step`` for each item of the list ``field``: ``each("lines", price, into="prices", limit=10) >> total``.

    The field is a list of contracts, ``step`` accepts one of them, and what follows has a list ``into`` of what it emits, in
    the order of the items. ``limit`` is how many run at a time; None: all at once. Raises :class:`FlowError` for a name that
    is none, and a limit below 1.
    """
    for word, name in (("field", field), ("into", into)):
        if not is_name(name):
            raise FlowError(f"each() has {word}={named(name)}", remedy="name a field, like a Python variable")
    if limit is not None and not _is_count(limit, _MOST_AT_A_TIME):
        raise FlowError(f"each() has limit={named(limit)}", remedy=f"a limit is from 1 to {_MOST_AT_A_TIME}")
    return Each(field, as_step(step), into, limit)


def repeat(step: Step, *, until: Condition, at_most: int) -> Repeat:
    """Run ``step``, and again on its own output, until the condition holds or it has run ``at_most`` times::

        repeat(draft >> review, until=field("approved") == True, at_most=5)

    The flow goes on with the last output in either case: ask it again with a :func:`choice` where that matters. Raises
    :class:`FlowError` without a condition or a bound.
    """
    if not _is_condition(until):
        raise FlowError(
            f"repeat() has until={named(until)}, which is no condition",
            remedy=asked_of(until, 'write until=field("approved") == True'),
        )
    if not _is_count(at_most, _MOST_ROUNDS):
        raise FlowError(
            f"repeat() has at_most={named(at_most)}",
            remedy=f"a repetition has a bound, from 1 to {_MOST_ROUNDS} rounds",
        )
    return Repeat(as_step(step), until, at_most)


def delay(wait: timedelta) -> Delay:
    """Wait before the next step is sent: ``charge >> delay(timedelta(minutes=5)) >> remind``. Seconds, days or years: up to a
    hundred of those. A long wait needs the coordinator process, and outlives restarts of everything.

    Raises :class:`FlowError` for any other duration.
    """
    if not is_duration(wait):
        raise FlowError(
            f"delay() has {named(wait)}",
            remedy=f"give a timedelta of up to {LONGEST_WAIT.days} days: delay(timedelta(minutes=5))",
        )
    return Delay(wait)


def emit() -> Emit:
    """Emit the payload as an event to all who subscribe to it, and go on with it: ``assemble >> emit() >> package``."""
    return Emit()


def _is_count(value: object, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


def _is_condition(value: object) -> bool:
    return isinstance(value, Condition)


def _is_case(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and _is_condition(value[0])


def compensate(step: Step, *, by: Step) -> Compensate:
    """Say which agent undoes what an agent did: ``compensate(charge, by=refund) >> compensate(book, by=release)``.

    When the run is cancelled with compensation, or given up, ``by`` gets what the step emitted, for each step that has its
    outcome, the last one first. Raises :class:`FlowError` where one of them is no agent (checked by the flow).
    """
    return Compensate(as_step(step), as_step(by))


def retrying(step: Step, policy: Retry) -> Retrying:
    """Say how often, and when, an agent is tried again at this place, in place of the policy that it declares::

        retrying(charge, Retry(attempts=6, backoff=timedelta(seconds=2), never=("CardDeclined",)))

    The policy travels in the message, so a run keeps the one that it was started with. It stands around an agent, or one that
    is compensated; ``compensate(retrying(charge, ...), by=retrying(refund, ...))`` has one for each. Raises
    :class:`FlowError` for what is no policy; where the step is no agent, or has two policies, the flow does.
    """
    if not isinstance(policy, Retry):
        raise FlowError(
            f"retrying() has {type(policy).__name__} as its policy",
            remedy="write retrying(charge, Retry(attempts=6, backoff=timedelta(seconds=2)))",
        )
    return Retrying(as_step(step), policy)


def as_step(value: object) -> Step:
    """The value itself where it is a step; raises :class:`FlowError` where it is none."""
    if not isinstance(value, Step):
        raise not_a_step(value)
    return value


def parallel(**branches: Step) -> Parallel:
    """Run branches at the same time: ``parallel(stock=reserve, fraud=score) >> ship``.

    The input contract of what follows has one field for each branch, of the contract that the branch emits. Raises
    :class:`FlowError` where there is no branch, a branch is no step, or one is called ``one`` beside a ``b`` or ``f``: those are the
    names by which a run knows a budget.
    """
    if not branches:
        raise FlowError("parallel() has no branch", remedy="name at least one: parallel(stock=reserve)")
    if "one" in branches and {ways.WITHIN, ways.FALLBACK} & branches.keys():
        raise FlowError(
            "a branch is called 'one' beside one called 'b' or 'f', as the parts of a budget are",
            remedy="give one of them another name",
        )
    for name, step in branches.items():
        if not is_name(name):
            raise FlowError(
                f"a branch is called {name[:80]!r}",
                remedy=f"a branch is named like a Python variable, in up to {LONGEST_NAME} characters",
            )
        as_step(step)
    return Parallel(tuple(branches.items()))


def parts(step: Step) -> tuple[Step, ...]:
    """The steps of a sequence; a step that is none is a sequence of one."""
    return step.steps if isinstance(step, Sequence) else (step,)


def firsts(step: Step) -> Iterator[Step]:
    """The steps to which what arrives may come first, however deep they are."""
    first = parts(step)[0]
    inner = [] if isinstance(first, Each) else [inside for _, inside in first.inner()]
    yield first
    for inside in inner:
        yield from firsts(inside)


def positions(step: Step, prefix: str = "") -> Iterator[tuple[str, Step]]:
    """The steps of a sequence with their paths: ``prefix`` and the number from 1."""
    for number, part in enumerate(parts(step), 1):
        yield f"{prefix}{number}", part


def _no_arrow(written: str) -> FlowError:
    return FlowError(
        f"two steps of a flow are joined by {written}",
        "nothing was joined",
        "one after the other is written a >> b, at the same time parallel(x=a, y=b)",
    )


def not_a_step(value: object) -> FlowError:
    """The error for something in a flow that is no step."""
    called = getattr(value, "__name__", None)
    several = isinstance(value, (list, tuple, set, frozenset, dict))
    given = repr(called) if called else f"a {type(value).__name__}" if several else named(value)
    return FlowError(
        f"{given} is no step of a flow",
        remedy="a step is an @agent, a flow, parallel(...), choice(...), each(...), repeat(...), delay(...), wait_for(...), "
        "budget(...), compensate(...), retrying(...), emit(), or steps joined by >>"
        + (": write first >> second, and not a list of them" if several else ""),
    )
