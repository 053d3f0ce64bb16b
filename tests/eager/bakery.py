"""A bakery: agents that fail for their inputs, and flows of the shapes that a run can have, as a module that others load by its name."""

from __future__ import annotations

from datetime import datetime, timedelta

from handoffs import (
    Contract,
    ExactDecimal,
    Flow,
    Key,
    Permanent,
    Retry,
    Sensitive,
    Transient,
    agent,
    budget,
    constant,
    delay,
    each,
    on,
    parallel,
    wait_for,
)

CALLED: list[str] = []
"""Which agents' functions were called."""


class Order(Contract, name="bakery.order", version=1):
    number: str = Key()
    loaves: int = 1
    price: ExactDecimal
    card: Sensitive | None = None
    note: str = ""
    at: datetime | None = None


class Baked(Contract, name="bakery.baked", version=1):
    number: str = Key()
    loaves: int


class Both(Contract, name="bakery.both", version=1):
    dough: Baked
    oven: Baked


class Answer(Contract, name="bakery.answer", version=1):
    yes: bool


class Tray(Contract, name="bakery.tray", version=1):
    number: str = Key()
    orders: list[Order]


class Trayed(Contract, name="bakery.trayed", version=1):
    number: str = Key()
    baked: list[Baked]


def _baked(order: Order, word: str) -> Baked:
    CALLED.append(word)
    if order.loaves < 0:
        raise ValueError(f'"{order.loaves}" loaves cannot be baked\n{{}}')
    return Baked(number=order.number, loaves=order.loaves)


@agent("bakery.take")
def take(order: Order) -> Order:
    CALLED.append("take")
    return order


@agent("bakery.bake", retry=Retry(attempts=2))
def bake(order: Order) -> Baked:
    return _baked(order, "bake")


@agent("bakery.bake-later", retry=Retry(attempts=2))
async def bake_later(order: Order) -> Baked:
    return _baked(order, "bake-later")


@agent("bakery.dough")
def dough(order: Order) -> Baked:
    return _baked(order, "dough")


@agent("bakery.wrong")
def wrong(order: Order) -> Baked:
    return order  # type: ignore[return-value]


@agent("bakery.join")
def join(both: Both) -> Baked:
    CALLED.append("join")
    return Baked(number=both.dough.number, loaves=both.dough.loaves + both.oven.loaves)


@agent("bakery.answered")
def answered(answer: Answer) -> Answer:
    CALLED.append("answered")
    return answer


@agent("bakery.slow", retry=Retry(attempts=1))
def slow(order: Order) -> Baked:
    CALLED.append("slow")
    raise Permanent("the oven is cold")


@agent("bakery.busy", retry=Retry(allowance=timedelta(minutes=1)))
def busy(order: Order) -> Baked:
    raise Transient("busy", retry_after=timedelta(hours=1))


@on(Baked)
@agent("bakery.smell", retry=Retry(attempts=1))
def smell(baked: Baked) -> None:
    if baked.loaves < 0:
        raise KeyError("nose")


BAKING = Flow("bakery.baking", take >> bake)
WRONG = Flow("bakery.mistaken", take >> wrong)
BUSY = Flow("bakery.at-work", busy)
JOINED = Flow("bakery.joined", parallel(dough=dough, oven=bake) >> join)
BRANCHES = Flow("bakery.branches", parallel(dough=dough, oven=bake))
TRAYS = Flow("bakery.trays", each("orders", bake_later, into="baked"), input=Tray)
ASKED = Flow(
    "bakery.asked",
    take
    >> delay(timedelta(hours=1))
    >> bake
    >> wait_for("answer", Answer, timeout=timedelta(days=2), otherwise=constant(Answer(yes=False)))
    >> answered,
)
COLD = Flow(
    "bakery.cold",
    budget(slow, within=timedelta(seconds=5), fallback=constant(Baked(number="cold", loaves=0))),
)
