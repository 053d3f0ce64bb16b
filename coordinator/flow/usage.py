"""Usage: what agents have used up of models and tools, in tokens, money and counts of their own; and what a run may use up."""

from __future__ import annotations

import decimal
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Protocol

from handoffs.contracts.text import named
from handoffs.coordinator.errors import AgentError, FlowError

_MOST = 10**12
_DEAREST = Decimal(100_000)
_MOST_COUNTERS = 20
_LONGEST_NAME = 40  # characters
_BILLION = 10**9

TOKENS, COST = "tokens", "cost"

Amounts = Mapping[str, int]
"""What was used up, by name, in whole numbers: the cost in thousand millionths of its unit."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used up: ``tokens``, the ``cost`` in the one unit that all of them count in, exact to nine places, and the
    ``counters`` of the agents' own, by name."""

    tokens: int = 0
    cost: Decimal = Decimal(0)
    counters: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, amounts: Amounts) -> Usage:
        """The usage that these amounts are."""
        counters = {name: number for name, number in sorted(amounts.items()) if name not in {TOKENS, COST}}
        return cls(amounts.get(TOKENS, 0), _decimal(amounts.get(COST, 0)), MappingProxyType(counters))

    def to_json(self) -> dict[str, Any]:
        """As JSON values; the cost as text, for it is exact."""
        return {TOKENS: self.tokens, COST: plain(self.cost), **self.counters}

    def __str__(self) -> str:
        counted = "".join(f", {number:,} {name}" for name, number in self.counters.items())
        return f"{self.tokens:,} tokens, cost {plain(self.cost)}{counted}"

    def __bool__(self) -> bool:
        return bool(self.tokens or self.cost or self.counters)


@dataclass(frozen=True, slots=True)
class Spending:
    """What a run may use up, as its agents report it by ``context.usage``: ``Flow(..., spending=Spending(tokens=50_000, cost=2))``.

    tokens
        At most so many, 1 to a million million; None: any number.
    cost
        At most so much, above 0 and up to 100,000, in the unit that the agents count in; None: any amount.

    Once more than that is used up, no further step of the run begins and no further call of ``context.once`` is made: the step is
    parked as ``over-budget``. Raises :class:`FlowError` for anything else, and where neither is given.
    """

    tokens: int | None = None
    cost: Decimal | float | None = None

    def __post_init__(self) -> None:
        try:
            amounts = amounts_of({TOKENS: self.tokens, COST: self.cost})
        except AgentError as error:
            raise FlowError(f"Spending: {error.cause}", remedy=error.remedy) from None
        if not amounts or not all(amounts.values()):
            raise FlowError(
                f"Spending has tokens={named(self.tokens)} and cost={named(self.cost)}",
                remedy="say what a run may use up, above nothing: Spending(tokens=50_000), Spending(cost=2)",
            )

    @classmethod
    def of(cls, limits: Amounts) -> Spending | None:
        """The limits that these are; None where there is none."""
        tokens, cost = limits.get(TOKENS), limits.get(COST)
        return cls(tokens, None if cost is None else _decimal(cost)) if tokens or cost else None

    def __str__(self) -> str:
        said = [f"{self.tokens:,} tokens"] if self.tokens is not None else []
        said += [f"cost {plain(self.cost)}"] if self.cost is not None else []
        return ", ".join(said)

    def amounts(self) -> Amounts:
        """The limits, by name."""
        return amounts_of({TOKENS: self.tokens, COST: self.cost})


class Meter(Protocol):
    """Who is told what an agent at work uses up."""

    def use(self, amounts: Amounts, of: str, model: str = "") -> None:
        """So much more was used up, by the call that is called ``of`` where that is not empty, of ``model`` where that is named."""

    def check(self, *, asked: bool = False) -> None:
        """Raise :class:`~handoffs.coordinator.errors.OverBudget` where the run has used up more than it may; with ``asked`` as it
        is now."""

    def begin(self) -> None:
        """A call begins whose result is to be recorded, whatever it uses up."""

    def end(self) -> None:
        """That call has ended."""


class Unmetered:
    """Of a function that is called without an engine, in a test for example."""

    def use(self, amounts: Amounts, of: str, model: str = "") -> None:
        """Nobody counts."""

    def check(self, *, asked: bool = False) -> None:
        """Nobody counts."""

    def begin(self) -> None:
        """Nobody counts."""

    def end(self) -> None:
        """Nobody counts."""


def amounts_of(given: Mapping[str, object]) -> dict[str, int]:
    """What was given as used up, without what is None. Raises :class:`AgentError` for what is no amount."""
    if len(given) > _MOST_COUNTERS:
        raise AgentError(
            f"usage() is given {len(given.keys() - {TOKENS, COST})} counters",
            remedy=f"count at most {_MOST_COUNTERS - len({TOKENS, COST})} things of your own",
        )
    for name in given:
        if not name.isascii() or not name.isidentifier() or len(name) > _LONGEST_NAME:
            raise AgentError(
                f"usage() is given a counter called {named(name)}",
                remedy=f"a name has at most {_LONGEST_NAME} plain letters, digits and underscores",
            )
    return {
        name: _billionths(value) if name == COST else _count(name, value)
        for name, value in given.items()
        if value is not None
    }


def _count(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST:
        raise AgentError(
            f"usage is given as {name}={named(value)}", remedy=f"give a whole number from 0 to {_MOST:,}"
        )
    return value


def _billionths(value: object) -> int:
    """A cost as it is counted, rounded half to even."""
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        cost = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
        if cost.is_finite() and 0 <= cost <= _DEAREST:
            return int((cost * _BILLION).to_integral_value(decimal.ROUND_HALF_EVEN))
    raise AgentError(
        f"usage is given as cost={named(value)}",
        remedy=f"give a number from 0 to {_DEAREST:,}, in one unit for all agents: Decimal('0.0125')",
    )


def as_float(billionths: int) -> float:
    """A cost as it is counted, in its unit, for who knows no exact numbers."""
    return billionths / _BILLION


def plain(cost: Decimal | float) -> str:
    """A cost as people write it, without an exponent."""
    return f"{cost if isinstance(cost, Decimal) else Decimal(repr(cost)):f}"


def _decimal(billionths: int) -> Decimal:
    """A cost without zeros at its end."""
    whole, rest = divmod(billionths, _BILLION)
    return Decimal(f"{whole}.{rest:09d}".rstrip("0").rstrip("."))
