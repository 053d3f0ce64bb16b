"""Orders, agents that work on them, and flows of these: what the tests of the flow language share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any

from pydantic import Field

from handoffs import Contract, Coordinator, Flow, Key, Permanent, Retry, agent
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.flow.agent import Agent

_number = count()
SOON = timedelta(milliseconds=100)


class Line(Contract, name="steps.line", version=1):
    sku: str = Key()
    pieces: int = 1


class Order(Contract, name="steps.order", version=1):
    order: str = Key()
    amount: int = 0
    lines: list[Line] = Field(default_factory=list)
    trail: list[str] = Field(default_factory=list)


class Priced(Contract, name="steps.priced", version=1):
    sku: str
    cents: int


class Prices(Contract, name="steps.prices", version=1):
    prices: list[Priced]


class Total(Contract, name="steps.total", version=1):
    cents: int
    skus: list[str]


def worked(name: str, change: Callable[[Order], dict[str, Any]] = lambda order: {}) -> Agent:
    """An agent that leaves its name in the trail."""

    @agent(f"steps.{name}-{next(_number)}")
    def work(order: Order) -> Order:
        return order.model_copy(update={"trail": [*order.trail, name], **change(order)})

    return work


def pricing(broken: Callable[[Line], bool] = lambda line: False) -> Agent:
    @agent(f"steps.price-{next(_number)}")
    def price(line: Line) -> Priced:
        if broken(line):
            raise Permanent("this one cannot be priced")
        return Priced(sku=line.sku, cents=line.pieces * 100)

    return price


@agent("steps.sum")
def total(prices: Prices) -> Total:
    return Total(
        cents=sum(price.cents for price in prices.prices), skus=[price.sku for price in prices.prices]
    )


def flow(step: Any, **options: Any) -> Flow:
    return Flow(f"steps.flow-{next(_number)}", step, **options)


def order(**fields: Any) -> Order:
    return Order(order=f"o-{next(_number)}", **fields)


def trail(running: Coordinator, made: Flow, given: Order) -> list[str]:
    result = running.start(made, given).result(timeout=20)
    assert isinstance(result, Order)
    return result.trail


class Approval(Contract, name="steps.approval", version=1):
    approved: bool
    who: str = ""


class Approved(Contract, name="steps.approved", version=1):
    given: Order
    approval: Approval


@agent("steps.take")
def take(approved: Approved) -> Order:
    trail = [*approved.given.trail, f"approved={approved.approval.approved} by {approved.approval.who}"]
    return approved.given.model_copy(update={"trail": trail})


def waits(running: Coordinator, run: Run) -> bool:
    record = running.engine.runs.get(run.id)
    return record is not None and bool(record.waits)


class Declined(Exception):
    """An error that is of no use to try again, as a flow says."""


QUICK = Retry(attempts=5, backoff=timedelta(milliseconds=5), jitter=0.5, never=(Declined,))
