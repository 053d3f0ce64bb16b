"""Flows to draw: one with a step of every kind, and one that begins with a list."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from handoffs import Contract, Flow, Key, agent, parallel
from handoffs.coordinator.flow.budget import budget, cached, constant
from handoffs.coordinator.flow.condition import field
from handoffs.coordinator.flow.signal import wait_for
from handoffs.coordinator.flow.step import choice, compensate, delay, each, go_on, repeat, when


class Line(Contract, name="drawn.line", version=1):
    sku: str = Key()


class Order(Contract, name="drawn.order", version=1):
    order: str = Key()
    amount: int = 0
    country: str = "DE"
    lines: list[Line] = Field(default_factory=list)


class Priced(Contract, name="drawn.priced", version=1):
    cents: int


class Prices(Contract, name="drawn.prices", version=1):
    prices: list[Priced]


class Score(Contract, name="drawn.score", version=1):
    points: int


class Checked(Contract, name="drawn.checked", version=1):
    stock: Prices
    score: Score


class Draft(Contract, name="drawn.draft", version=1):
    text: str
    approved: bool = False


class Approval(Contract, name="drawn.approval", version=1):
    granted: bool


class Decided(Contract, name="drawn.decided", version=1):
    order: Order
    approval: Approval


@agent("drawn.decide")
def decide(decided: Decided) -> Order:
    return decided.order


@agent("drawn.reopen")
def reopen(order: Order) -> Order:
    return order


@agent("drawn.review")
def review(order: Order) -> Order:
    return order


@agent("drawn.escalate")
def escalate(order: Order) -> Order:
    return order


@agent("drawn.price")
def price(line: Line) -> Priced:
    return Priced(cents=len(line.sku))


@agent("drawn.collect")
def collect(prices: Prices) -> Prices:
    return prices


@agent("drawn.score")
def score(order: Order) -> Score:
    return Score(points=order.amount)


@agent("drawn.estimate")
def estimate(order: Order) -> Score:
    return Score(points=0)


@agent("drawn.write")
def write(checked: Checked) -> Draft:
    return Draft(text=str(checked.score.points))


@agent("drawn.polish")
def polish(draft: Draft) -> Draft:
    return Draft(text=draft.text + "!", approved=draft.text.endswith("!"))


@agent("drawn.send")
def send(draft: Draft) -> Draft:
    return draft


polishing = Flow("drawn.polishing", repeat(polish, until=field("approved") == True, at_most=5))  # noqa: E712
everything = Flow(
    "drawn.everything",
    choice(
        when(field("amount") >= 5000, review >> escalate),
        when((field("country") != "DE") & field("amount").exists(), review),
        otherwise=go_on,
    )
    >> parallel(
        stock=each("lines", price, into="prices", limit=4) >> collect,
        score=budget(
            score,
            within=timedelta(milliseconds=300),
            fallback=cached("country", max_age=timedelta(minutes=10), otherwise=estimate),
        ),
    )
    >> write
    >> polishing
    >> delay(timedelta(minutes=5))
    >> budget(send, within=timedelta(seconds=2), fallback=constant(Draft(text="sorry"))),
)
waiting = Flow(
    "drawn.waiting",
    compensate(review, by=reopen)
    >> wait_for(
        "approval",
        Approval,
        keep="order",
        timeout=timedelta(hours=8),
        otherwise=constant(Approval(granted=False)),
    )
    >> decide,
)
listed = Flow("drawn.listed", each("lines", price, into="prices"), input=Order)
