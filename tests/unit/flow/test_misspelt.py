"""What is declared in the wrong words is told in a line that names what was given, and shows how it is written."""

from __future__ import annotations

import types
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from handoffs import Contract, CoordinationError, Flow, Retry, agent, downcast, field, gather, on, upcast
from handoffs.contracts.text import named
from handoffs.coordinator.flow.budget import budget, cached, constant
from handoffs.coordinator.flow.schedule import schedule
from handoffs.coordinator.flow.signal import wait_for
from handoffs.coordinator.flow.step import choice, delay, each, parallel, repeat, when


class Order(Contract, name="misspelt.order", version=2):
    number: str = ""


def set_price(order: Order) -> Order:
    return order


class Thing:
    """Something that Python writes with its address."""


wrong: Any = set_price
priced: Any = agent("misspelt.price")(set_price)
thing: Any = Thing()
SOON = timedelta(seconds=1)

MISSPELT: dict[str, tuple[Callable[[], Any], str, str]] = {
    "a bare agent": (lambda: agent(wrong), "the function set_price", '@agent("shop.set-price")'),
    "a bare agent of a lambda": (lambda: agent(lambda order: order), "the function", '@agent("shop.lambda")'),  # type: ignore[arg-type]
    "an agent with a class": (lambda: agent(Order), "the class Order", "a name is lower case"),  # type: ignore[arg-type]
    "an agent above on": (lambda: agent(on(Order)), "the function subscribe", '@agent("shop.subscribe")'),  # type: ignore[arg-type]
    "an agent's events": (lambda: agent("misspelt.events", events=wrong), "the function set_price", "events=(Extra,)"),
    "an agent's event": (lambda: agent("misspelt.events", events=(thing,))(set_price), "the class Thing", "-> OrderPriced"),
    "an agent's key": (lambda: agent("misspelt.key", key=thing), "the class Thing", "key=lambda order"),
    "an agent's limit": (lambda: agent("misspelt.limit", time_limit=wrong), "the function set_price", "timedelta(seconds=30)"),
    "a bare on": (lambda: on(wrong), "the function set_price", "@on(TheContract)"),
    "on above an agent": (lambda: on(priced), "called misspelt.price", "@on(TheContract)"),
    "on of a thing": (lambda: on(thing)(priced), "the class Thing", "name a contract"),
    "where": (lambda: on(Order, where=wrong)(priced), "the function set_price", 'where=field("height")'),
    "gather": (lambda: on(Order, gather=wrong), "the function set_price", 'gather=gather("parts"'),
    "into": (lambda: gather(wrong, by="n", until="n", within=SOON), "the function set_price", "name fields"),
    "gathered until": (lambda: gather("n", by="n", until=thing, within=SOON), "the class Thing", "give a function"),
    "upcast": (lambda: upcast(wrong, 1, 2), "the function set_price", "@upcast(TheContract, 1, 2)"),
    "downcast": (lambda: downcast(thing, 2, 1), "the class Thing", "@downcast(TheContract, 2, 1)"),
    "versions": (lambda: upcast(Order, thing, wrong), "the function set_price", "@upcast(Order, 1, 2)"),
    "a flow": (lambda: Flow(wrong, priced), "the function set_price", "a name is lower case"),
    "a flow's event": (lambda: Flow("misspelt.flow", priced, on=wrong), "the function set_price", "on=OrderPlaced"),
    "a flow of a function": (lambda: Flow("misspelt.flow", wrong), "'set_price'", "a step is an @agent"),
    "a schedule": (lambda: schedule(wrong, priced, every=SOON, payload=Order()), "the function set_price", "a name is"),
    "when": (lambda: when(wrong, priced), "the function set_price", 'when(field("amount")'),
    "a case": (lambda: choice(priced, otherwise=priced), "called misspelt.price", "when(condition, step)"),
    "until": (lambda: repeat(priced, until=wrong, at_most=2), "the function set_price", 'until=field("approved")'),
    "at most": (lambda: repeat(priced, until=field("number") == "1", at_most=wrong), "the function set_price", "a bound"),
    "each": (lambda: each(wrong, priced, into="n"), "the function set_price", "name a field"),
    "a delay": (lambda: delay(wrong), "the function set_price", "give a timedelta"),
    "a branch": (lambda: parallel(a=wrong), "'set_price'", "a step is an @agent"),
    "a signal": (lambda: wait_for("said", wrong), "the function set_price", "name a contract"),
    "cached": (lambda: cached(wrong, max_age=SOON, otherwise=constant(Order())), "the class tuple", "cached('zone'"),
    "a budget": (lambda: budget(priced, within=wrong, fallback=constant(Order())), "the function set_price", "a budget is"),
    "a condition": (lambda: (field("number") == "1") & thing, "the class Thing", "write one: field"),
    "a policy": (lambda: Retry(attempts=wrong), "the function set_price", "attempts is 1 to 100"),
    "a policy's wait": (lambda: Retry(backoff=wrong), "the function set_price", "a wait is above 0"),
    "a contract": (lambda: types.new_class("Odd", (Contract,), {"name": wrong, "version": 1}), "set_price", "a name is"),
}  # fmt: skip


@pytest.mark.parametrize("case", MISSPELT)
def test_names_and_no_addresses(case: str) -> None:
    """Whatever is put in the wrong place is named, how it is written is shown, and there is no address in it."""
    declare, name, remedy = MISSPELT[case]
    with pytest.raises(CoordinationError) as caught:
        declare()
    text = str(caught.value)
    assert name in text
    assert remedy in text
    assert "0x" not in text
    assert "\n" not in text


class Odd:
    name = "odd\nname"

    def __repr__(self) -> str:
        raise RuntimeError("not now")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "'a'"), (5, "5"), (None, "None"), (int, "the class int"), (len, "the function len"), (set_price, "the function set_price"),
        (thing, "something of the class Thing"), (partial(set_price), "something of the class partial"), ([thing], "something of the class list"),
        (Odd(), "something of the class Odd"), ("x" * 500, "'" + "x" * 118 + "…"), ("\x1b[2J", "'\\x1b[2J'"),
        (priced, "something of the class Agent, called misspelt.price"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_named(value: object, text: str) -> None:
    """Functions and classes have names, values are as Python writes them, and what Python writes with an address is of a class."""
    assert named(value) == text
