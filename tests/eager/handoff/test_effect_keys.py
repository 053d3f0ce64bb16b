"""What names an effect: to systems outside, and to an agent that hears events of several contracts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs import (
    Context,
    Contract,
    Coordinator,
    Event,
    Flow,
    Key,
    Retry,
    Transient,
    agent,
    compensate,
    each,
    field,
    on,
    repeat,
    wait_for,
)
from handoffs.config.settings import Settings
from handoffs.coordinator.handoff.context import effect_of
from tests.examples import examples
from tests.waiting import wait_until

_TEXT = st.text(max_size=12)


class Order(Contract, name="effects.order", version=1):
    number: str = Key()
    rounds: int = 0


class Basket(Contract, name="effects.basket", version=1):
    number: str = Key()
    lines: list[Order]


class Done(Contract, name="effects.done", version=1):
    orders: list[Order]


class Paid(Contract, name="effects.paid", version=1):
    number: str = Key()


class Shipped(Contract, name="effects.shipped", version=1):
    number: str = Key()


class Provider:
    """A system outside that answers the same key with what it said first, as payment providers do."""

    def __init__(self) -> None:
        self.answers: dict[str, str] = {}
        self.asked: list[tuple[str, str]] = []

    def agent(self, name: str, *, fails: int = 0) -> Any:
        @agent(f"effects.{name}", retry=Retry(attempts=3))
        def ask(order: Order, context: Context) -> Order:
            self.asked.append((name, context.idempotency_key))
            answer = self.answers.setdefault(context.idempotency_key, name)
            assert answer == name, f"{name} was answered with what {answer} did"
            if context.attempt <= fails:
                raise Transient("busy")
            return order.model_copy(update={"rounds": order.rounds + 1})

        return ask

    def keys(self, name: str) -> list[str]:
        return [key for asked, key in self.asked if asked == name]


class TestHandedToSystemsOutside:
    """``context.idempotency_key``."""

    def test_two_agents(self, anywhere: Coordinator) -> None:
        """The charge and the refund of one order are two effects, in whichever order and however often they are tried."""
        out = Provider()
        charge, refund = out.agent("charge", fails=1), out.agent("refund")
        flow = Flow("effects.both", compensate(charge, by=refund) >> refund)
        assert anywhere.start(flow, Order(number="17")).result(20).rounds == 2
        assert len(out.keys("charge")) == 2
        assert len(set(out.keys("charge"))) == 1
        assert len(out.answers) == 2

    def test_each_time(self, anywhere: Coordinator) -> None:
        """An agent that stands twice in a flow, in each round and for each item has an effect each time."""
        out = Provider()
        work = out.agent("work")

        @agent("effects.end")
        def end(done: Done) -> Order:
            return done.orders[0]

        flow = Flow("effects.twice", work >> work >> repeat(work, until=field("rounds") >= 5, at_most=5))
        anywhere.start(flow, Order(number="17")).result(20)
        assert len(set(out.keys("work"))) == len(out.keys("work")) == 5
        lines = Flow("effects.lines", each("lines", work, into="orders") >> end, input=Basket)
        anywhere.start(lines, Basket(number="17", lines=[Order(number="18")] * 3)).result(20)
        assert len(set(out.keys("work"))) == len(out.keys("work")) == 8

    def test_replayed(self, coordinator: Coordinator) -> None:
        """A replay hands the same key over as the attempts before it."""
        out = Provider()
        run = coordinator.start(Flow("effects.replayed", out.agent("work", fails=3)), Order(number="17"))
        assert run.status() == "parked"
        run.letters()[0].replay()
        assert len(out.keys("work")) > 3
        assert len(set(out.keys("work"))) == 1

    def test_done_again(self, anywhere: Coordinator) -> None:
        """What was undone and is done again, by another run with the same key, is another effect, and so is undoing that."""
        out = Provider()
        charge, refund = out.agent("charge"), out.agent("refund")
        flow = Flow("effects.undone", compensate(charge, by=refund) >> wait_for("paid", Order))
        for number in range(1, 4):
            run = anywhere.start(flow, Order(number="17"), idempotency_key=f"run-{number}")
            wait_until(lambda: "wait" in str(run.current()), description="it was charged")  # noqa: B023 - at once
            run.cancel(compensate=True)
            assert run.wait(20) == "cancelled"
            for name in ("charge", "refund"):
                assert len(set(out.keys(name))) == len(out.keys(name)) == number

    def test_another_namespace(self) -> None:
        """Two installations that have one order number are two effects; another run of one of them is the same."""
        keys = []
        for namespace in ("blue", "green"):
            out = Provider()
            with Coordinator(Settings(eager=True, namespace=namespace)) as there:
                there.start(Flow("effects.there", out.agent("work")), Order(number="17")).result(5)
            keys += out.keys("work")
        assert len(set(keys)) == 2

    @examples(50)
    @given(st.tuples(_TEXT, _TEXT, _TEXT), st.tuples(_TEXT, _TEXT, _TEXT))
    def test_whatever_the_names(self, one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
        """Other namespaces, agents or keys give other texts, wherever one ends and the next begins; all are 36 plain
        characters."""
        assert (effect_of(*one) == effect_of(*other)) is (one == other)
        assert (effect_of("", "", one[0] + one[1]) == effect_of("", one[0], one[1])) is (one[0] == "")
        assert (len(effect_of(*one)), effect_of(*one).isascii()) == (36, True)

    def test_it_stays(self) -> None:
        """What has been handed over by a release before is handed over by this one."""
        assert effect_of("", "shop.charge", "order-17", 0) == "bac63de4-df07-5e7f-9768-564dae99bfbb"


class TestEventsOfSeveralContracts:
    """An agent that hears a pattern."""

    @pytest.mark.parametrize("keyed", [False, True])
    def test_one_key(self, anywhere: Coordinator, keyed: bool) -> None:
        """Events of two contracts with one key are two pieces of work, also where they say the same; an event that comes
        twice is one."""
        heard: list[str] = []

        @on("effects.#")
        @agent("effects.audit", key=(lambda event: event.data["number"]) if keyed else None)
        def audit(event: Event) -> None:
            heard.append(event.contract)

        anywhere.work([audit])
        events = [Paid(number="17"), Shipped(number="17"), Paid(number="17")]
        stories = [anywhere.emit(event, idempotency_key=f"{at}") for at, event in enumerate(events)]
        assert [story.wait(20) for story in stories] == ["completed"] * 3
        assert sorted(heard) == ["effects.paid", "effects.shipped"]
        assert not anywhere.dead_letters()


def test_nobody_hears_it(anywhere: Coordinator) -> None:
    """The story of an event that nobody hears is over when the event is out."""
    assert anywhere.emit(Paid(number="17")).wait(20) == "completed"
