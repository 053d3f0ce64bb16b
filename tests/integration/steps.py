"""Agents and flows with every kind of step, for workers in processes of their own."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from handoffs import (
    Contract,
    Flow,
    Key,
    agent,
    budget,
    cached,
    choice,
    constant,
    delay,
    each,
    field,
    parallel,
    repeat,
    when,
)


class Line(Contract, name="basket.line", version=1):
    """One thing that is bought."""

    sku: str = Key()
    pieces: int


class Basket(Contract, name="basket.basket", version=1):
    """What is bought. ``trail`` has the agents that worked on it."""

    basket: str = Key()
    lines: list[Line] = Field(default_factory=list)
    rounds: int = 0
    trail: list[str] = Field(default_factory=list)


class Priced(Contract, name="basket.priced", version=1):
    """What a line costs."""

    sku: str
    cents: int


class Halves(Contract, name="basket.halves", version=1):
    """The basket, and its prices, as two branches made them."""

    class Prices(Contract):
        prices: list[Priced]

    basket: Basket
    prices: Prices


class Receipt(Contract, name="basket.receipt", version=1):
    """What came of it."""

    cents: int
    trail: list[str]


def _left(basket: Basket, name: str, rounds: int = 0) -> Basket:
    return basket.model_copy(update={"trail": [*basket.trail, name], "rounds": basket.rounds + rounds})


@agent("basket.pack")
def pack(basket: Basket) -> Basket:
    """One round of packing."""
    return _left(basket, "pack", 1)


@agent("basket.insure")
def insure(basket: Basket) -> Basket:
    """For large ones."""
    return _left(basket, "insure")


@agent("basket.locate")
def locate(basket: Basket) -> Basket:
    """The agent whose worker is stopped."""
    return _left(basket, "locate")


@agent("basket.guess")
def guess(basket: Basket) -> Basket:
    """What takes its place."""
    return _left(basket, "guess")


@agent("basket.price")
def price(line: Line) -> Priced:
    """What a line costs."""
    return Priced(sku=line.sku, cents=line.pieces * 100)


@agent("basket.receipt")
def receipt(halves: Halves) -> Receipt:
    """The end."""
    return Receipt(cents=sum(line.cents for line in halves.prices.prices), trail=halves.basket.trail)


SOON = timedelta(milliseconds=1500)  # longer than a busy machine needs
free = constant(Priced(sku="free", cents=0))
fixed = Basket(basket="b", trail=["fixed"])

everything = Flow(
    "basket.everything",
    repeat(pack, until=field("rounds") >= 3, at_most=5)
    >> choice(when(field("rounds") > 2, insure), otherwise=pack)
    >> delay(timedelta(milliseconds=200))
    >> parallel(
        basket=budget(locate, within=SOON, fallback=guess),
        prices=each(
            "lines", budget(price, within=timedelta(seconds=20), fallback=free), into="prices", limit=3
        ),
    )
    >> receipt,
)
remembered = Flow(
    "basket.remembered",
    budget(
        locate,
        within=SOON,
        fallback=cached("rounds", max_age=timedelta(minutes=1), otherwise=constant(fixed), shared=True),
    ),
)
