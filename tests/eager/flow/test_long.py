"""Flows of many steps: what is far off travels packed, and goes on like any other."""

from __future__ import annotations

import json
from functools import reduce
from operator import rshift

import pytest

from handoffs import Contract, Coordinator, Permanent, agent, parallel
from handoffs.config.settings import Settings
from handoffs.contracts.errors import TooLarge
from handoffs.coordinator.continuation.canvas import AT_HAND
from handoffs.coordinator.continuation.signature import PACKED
from handoffs.coordinator.flow.budget import budget, constant
from handoffs.coordinator.flow.condition import field
from handoffs.coordinator.flow.step import Step, choice, each, go_on, repeat, when
from handoffs.coordinator.flow.trigger import agents_of
from handoffs.coordinator.messaging.message import Message
from tests.deliveries import start
from tests.eager.flow.orders import (
    SOON,
    Line,
    Order,
    Priced,
    Total,
    _number,
    flow,
    order,
    total,
    worked,
)
from tests.waiting import wait_until

LONG = 2 * AT_HAND + 5


class Both(Contract, name="long.both", version=1):
    left: Order
    right: Order


def many(step: Step, times: int = LONG) -> Step:
    """A step so many times, one after the other."""
    return reduce(rshift, [step] * times)


@agent("long.add")
def add(order: Order) -> Order:
    return order.model_copy(update={"amount": order.amount + 1})


@agent("long.one-more")
def one_more(line: Line) -> Line:
    return line.model_copy(update={"pieces": line.pieces + 1})


@agent("long.price")
def price(line: Line) -> Priced:
    return Priced(sku=line.sku, cents=line.pieces)


def amount(running: Coordinator, step: Step, given: Order) -> int:
    result = running.start(flow(step), given).result(timeout=60)
    assert isinstance(result, Order)
    return result.amount


def test_a_long_flow(running: Coordinator) -> None:
    """Every step is run once, in its place, in what is at hand and in what is packed."""
    step = many(add) >> worked("middle") >> many(add) >> worked("last")
    run = running.start(flow(step), order())
    result = run.result(timeout=60)
    assert isinstance(result, Order)
    assert (result.amount, result.trail) == (2 * LONG, ["middle", "last"])
    settled = [entry["step"] for entry in run.history() if entry["kind"] == "settled"]
    assert settled == [str(number) for number in range(1, 2 * LONG + 3)]


def test_long_rounds_cases_and_flows_within(running: Coordinator) -> None:
    """A long sequence within a repetition, a case, a budget or another flow is packed and runs there as often as it is to."""
    assert (
        amount(running, repeat(many(add), until=field("amount") > 2 * LONG, at_most=9), order()) == 3 * LONG
    )
    long_case = choice(when(field("amount") == 0, many(add)), otherwise=go_on)
    assert amount(running, many(long_case >> add), order()) == 2 * LONG
    inner = flow(many(add))
    assert amount(running, many(inner, 3) >> inner, order()) == 4 * LONG


def test_long_branches_and_lists(running: Coordinator) -> None:
    """So is one in a branch, whose last step arrives at the join, and one for each item, whatever the limit."""
    made = flow(many(add) >> each("lines", many(one_more) >> price, into="prices", limit=2) >> total)
    lines = [Line(sku=f"s{number}", pieces=number) for number in range(5)]
    result = running.start(made, order(lines=lines)).result(timeout=60)
    assert isinstance(result, Total)
    assert result.cents == 5 * LONG + 10

    @agent(f"long.join-{next(_number)}")
    def join(both: Both) -> Order:
        return both.left.model_copy(update={"amount": both.left.amount + both.right.amount})

    assert amount(
        running, many(add) >> parallel(left=many(add), right=add) >> join >> many(add), order()
    ) == (4 * LONG + 1)


def test_a_budget_around_many_steps(running: Coordinator) -> None:
    """Of a budget around a long sequence it is known at each step which it is: its fallback takes the place of one that failed."""

    @agent(f"long.down-{next(_number)}")
    def down(order: Order) -> Order:
        raise Permanent("away")

    fallback = constant(Order(order="instead", amount=-1))
    within = budget(many(add) >> down >> many(add), within=SOON, fallback=fallback)
    run = running.start(flow(add >> within >> many(add)), order())
    result = run.result(timeout=60)
    assert isinstance(result, Order)
    assert result.amount == LONG - 1
    assert {entry["step"] for entry in run.history() if entry["kind"] == "parked"} <= {f"2.b.{LONG + 1}"}


def test_letters_of_steps_far_off(running: Coordinator) -> None:
    """A step that fails in what was packed is parked with all that follows, and is replayed, edited or skipped like any other."""
    mended: list[str] = []

    @agent(f"long.fails-{next(_number)}")
    def fails(order: Order) -> Order:
        if order.order not in mended:
            raise Permanent("not yet")
        return order

    made = flow(many(add) >> fails >> many(add) >> fails >> many(add))
    run = running.start(made, given := order())
    assert run.wait(timeout=60) == "parked"
    mended.append(given.order)
    [letter] = run.letters()
    assert letter.step == str(LONG + 1)
    letter.replay()
    assert run.result(timeout=60).amount == 3 * LONG

    run = running.start(made, other := order())
    assert run.wait(timeout=60) == "parked"
    [letter] = run.letters()
    mended.append(other.order)
    running.skip(letter, Order(order=other.order, amount=100))
    assert run.result(timeout=60).amount == 100 + 2 * LONG


@pytest.mark.parametrize("text", ["7:eJyLjgUAARUAuQ==", "9:x", "20:eJyrVkosSC3JTFayUlDKTFGqBQA2bwWT"])
def test_what_is_packed_wrongly_is_a_letter(running: Coordinator, text: str) -> None:
    """Where the steps that are next cannot be read, the step before them is parked as invalid input, and its agent is not begun."""
    begun: list[Order] = []

    @agent(f"long.first-{next(_number)}")
    def first(order: Order) -> Order:
        begun.append(order)
        return order

    made = flow(first >> many(add))
    [sent] = start(made, order(), run := f"r-{next(_number)}")
    running.work(agents_of(made).values())
    envelope, kwargs, rest = json.loads(sent.body)
    packed, *_, second = rest["chain"]
    assert packed["task"] == PACKED
    packed["kwargs"]["packed"] = text
    rest["chain"] = [packed, second]
    running.engine.publisher.publish(
        [Message(sent.id, sent.agent, sent.headers, json.dumps([envelope, kwargs, rest]))]
    )
    [letter] = wait_until(lambda: running.dead_letters(run=run), description="there is a letter")
    assert letter.row.kind == "invalid-input"
    assert "the continuation of the message is malformed: what is packed" in letter.text
    assert begun == []


def test_where_messages_are_small(coordinator_settings: Settings) -> None:
    """Where no message may have a text as long as what is packed of a flow, its runs are not accepted; others are."""
    small = coordinator_settings.model_copy(update={"eager": True, "max_message_bytes": 1_024})
    with Coordinator(small) as narrow:
        with pytest.raises(TooLarge, match="characters"):
            narrow.start(flow(many(add, 200)), order())
        assert amount(narrow, many(add), order()) == LONG
