"""Steps: the grammar in which flows are written. Plain immutable values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from coordinator.errors import FlowError

_LONGEST_BRANCH = 64


class Step:
    """Part of a flow: an agent, or a composition. ``a >> b`` hands what ``a`` emits over to ``b``."""

    def __rshift__(self, following: Step) -> Sequence:
        if not isinstance(following, Step):
            raise not_a_step(following)
        return Sequence((*parts(self), *parts(following)))


@dataclass(frozen=True, eq=False)
class Sequence(Step):
    """Steps one after another."""

    steps: tuple[Step, ...]


@dataclass(frozen=True, eq=False)
class Parallel(Step):
    """Named branches at the same time. What follows gets their outputs in one contract, a field a branch."""

    branches: tuple[tuple[str, Step], ...]


def parallel(**branches: Step) -> Parallel:
    """Run branches at the same time: ``parallel(stock=reserve, fraud=score) >> ship``.

    The input contract of what follows has one field for each branch, of the contract that the branch emits. Raises
    :class:`FlowError` where there is no branch or a branch is no step.
    """
    if not branches:
        raise FlowError("parallel() has no branch", remedy="name at least one: parallel(stock=reserve)")
    for name, step in branches.items():
        if not name.isidentifier() or len(name) > _LONGEST_BRANCH:
            raise FlowError(
                f"a branch is called {name[:80]!r}",
                remedy=f"a branch is named like a Python variable, in up to {_LONGEST_BRANCH} characters",
            )
        if not isinstance(step, Step):
            raise not_a_step(step)
    return Parallel(tuple(branches.items()))


def parts(step: Step) -> tuple[Step, ...]:
    """The steps of a sequence; a step that is none is a sequence of one."""
    return step.steps if isinstance(step, Sequence) else (step,)


def positions(step: Step, prefix: str = "") -> Iterator[tuple[str, Step]]:
    """The steps of a sequence with their paths: ``prefix`` and the number from 1."""
    for number, part in enumerate(parts(step), 1):
        yield f"{prefix}{number}", part


def not_a_step(value: object) -> FlowError:
    """The error for something in a flow that is no step."""
    return FlowError(
        f"{getattr(value, '__name__', value)!r} is no step of a flow",
        remedy="a step is an @agent, parallel(...), or steps joined by >>",
    )
