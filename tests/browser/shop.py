"""A shop whose price list has holes: what a person looks at in a browser, and mends there."""

from __future__ import annotations

from datetime import datetime, timedelta

from handoffs import Contract, Flow, Key, Permanent, Retry, agent, schedule, wait_for


class Order(Contract, name="browser.order", version=1):
    order: str = Key()
    article: str
    note: str = ""


class Priced(Contract, name="browser.priced", version=1):
    order: str = Key()
    cents: int


class Approval(Contract, name="browser.approval", version=1):
    approved: bool


class Prices:
    """What each article costs; what is not here has no price."""

    known: dict[str, int] = {"lamp": 4_990}  # noqa: RUF012 - tests change it


@agent("browser.price", retry=Retry(attempts=1))
def price(order: Order) -> Priced:
    if order.article not in Prices.known:
        raise Permanent(f"no price for {order.article!r} of order {order.order}")
    return Priced(order=order.order, cents=Prices.known[order.article])


@agent("browser.ship")
def ship(priced: Priced) -> Priced:
    return priced


@agent("browser.file")
def file(approval: Approval) -> Approval:
    return approval


SELLING = Flow("browser.selling", price >> ship)
ASKING = Flow("browser.asking", price >> wait_for("approval", Approval) >> file)


def _lamp(due: datetime) -> Order:
    return Order(order=f"nightly-{due:%Y-%m-%d}", article="lamp")


NIGHTLY = schedule("browser.nightly", SELLING, every=timedelta(days=1), payload=_lamp)
