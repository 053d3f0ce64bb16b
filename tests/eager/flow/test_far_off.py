"""Waits of days, months and years: they are declared as any other, wait in stages, and end when they are over."""

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from handoffs import Contract, Coordinator, Flow, Key, agent, budget, constant, delay, gather, on, wait_for
from handoffs.config.delays import LONGEST_DELAY, LONGEST_WAIT, delay_ms, is_usual, stage
from handoffs.contracts.errors import InvalidInput
from handoffs.coordinator.continuation.signature import TIMER
from handoffs.coordinator.dispatch import sender
from handoffs.coordinator.errors import FlowError
from handoffs.coordinator.messaging.far_off import far_off, is_far_off, left
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.messaging.publisher import BrokerPublisher
from tests.waiting import wait_until

_LONG = timedelta(milliseconds=470)
_AT_ONCE = timedelta(milliseconds=100)


class Order(Contract, name="far.order", version=1):
    number: str = Key()


class Orders(Contract, name="far.orders", version=1):
    orders: list[Order]


INSTEAD = Order(number="instead")


@agent("far.first")
def first(order: Order) -> Order:
    return order


@agent("far.last")
def last(order: Order) -> Order:
    return order


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, timedelta]]:
    """Queues that hold nothing for longer than 0.1 s; gives the stages that messages went through, by agent."""
    monkeypatch.setattr(sender, "LONGEST_DELAY", _AT_ONCE)
    found: list[tuple[str, timedelta]] = []
    publish = BrokerPublisher.publish

    def noted(self: Any, messages: Any, *, delay: timedelta | None = None, exact: bool = False) -> None:
        sent = list(messages)
        found.extend((one.headers["task"], delay) for one in sent if delay and is_far_off(one.headers))
        publish(self, sent, delay=delay, exact=exact)

    monkeypatch.setattr(BrokerPublisher, "publish", noted)
    return found


class TestDeclared:
    @pytest.mark.parametrize("days", [1, 3, 30, 366, 3_660, 36_525])
    def test_waits_of_days_and_years(self, days: int) -> None:
        """A delay, a wait and a budget may be as long as a business process takes."""
        long = timedelta(days=days)
        waiting = wait_for("approval", Order, timeout=long, otherwise=constant(INSTEAD))
        guarded = budget(first, within=long, fallback=constant(INSTEAD))
        assert Flow("far.flow", guarded >> delay(long) >> first >> waiting >> last).accepts is Order
        assert gather("orders", by="number", until="number", within=long).within == long

    def test_no_longer_than_a_hundred_years(self) -> None:
        """Then it is a mistake."""
        too_long = LONGEST_WAIT + timedelta(days=1)
        for declare in (
            lambda: delay(too_long),
            lambda: budget(first, within=too_long, fallback=constant(INSTEAD)),
            lambda: wait_for("approval", Order, timeout=too_long, otherwise=constant(INSTEAD)),
        ):
            with pytest.raises(FlowError, match="36525 days"):
                declare()


class TestStages:
    @pytest.mark.parametrize(
        "wait", [timedelta(milliseconds=1), LONGEST_DELAY, timedelta(days=1), LONGEST_WAIT]
    )
    def test_a_wait_comes_to_its_end(self, wait: timedelta) -> None:
        """Each stage is of a usual length, so that no queue is made for it, and leaves less than half after a few."""
        left, count = wait, 0
        while left > timedelta() and left < LONGEST_DELAY:
            one = stage(left)
            assert delay_ms(one) * timedelta(milliseconds=1) == one
            left, count = left - one, count + 1
        assert count <= 30
        assert stage(wait) <= max(wait, timedelta(milliseconds=10))
        assert stage(wait) <= timedelta(hours=20)

    @pytest.mark.parametrize(
        "headers", [{}, {"handoff_due": "1", "handoff_for": "a"}, {"handoff_due": True, "handoff_for": "a"}]
    )
    def test_others_are_told_apart(self, headers: dict[str, Any]) -> None:
        """Anybody may send a message to the queue of timers."""
        assert not is_far_off(headers)

    def test_what_is_left_is_told_by_redis_clock(self) -> None:
        """However long a stage took, or lay in a queue."""
        message = far_off(Message("id", "far.last", {}, ""), timedelta(seconds=5), 1_000)
        assert (message.agent, left(message, 4_000), left(message, 9_000)) == (
            TIMER, timedelta(seconds=2), timedelta(seconds=-3),
        )  # fmt: skip


class TestEmbedded:
    def test_a_delay(self, live_coordinator: Coordinator, stages: list[Any]) -> None:
        """The step comes when its delay is over, and not before."""
        run = live_coordinator.start(Flow("far.flow", first >> delay(_LONG) >> last), Order(number="1"))
        assert run.result(20) == Order(number="1")
        sent, ended = (_at(run, step) for step in ("1", "3"))
        assert ended - sent >= _LONG.total_seconds() - 0.002
        assert 2 <= len([one for one in stages if one[0] == "far.last"]) <= 20

    def test_a_budget(self, live_coordinator: Coordinator, stages: list[Any], freed: threading.Event) -> None:
        """It is spent when its time is over."""

        @agent("far.stuck")
        def stuck(order: Order) -> Order:
            assert freed.wait(20)
            return order

        flow = Flow("far.flow", budget(stuck, within=_LONG, fallback=constant(INSTEAD)) >> last)
        run = live_coordinator.start(flow, Order(number="1"))
        assert run.result(20) == INSTEAD
        assert len([one for one in stages if one[0] == TIMER]) >= 2

    @pytest.mark.parametrize("own", [237, 13.7, 4])
    def test_a_budget_of_a_length_of_its_own(
        self, live_coordinator: Coordinator, freed: threading.Event, own: float
    ) -> None:
        """It is spent when its time is over, not later, and leaves no queue of its length behind."""

        @agent("far.stuck")
        def stuck(order: Order) -> Order:
            assert freed.wait(20)
            return order

        within = timedelta(milliseconds=own)
        flow = Flow("far.flow", budget(stuck, within=within, fallback=constant(INSTEAD)) >> last)
        run = live_coordinator.start(flow, Order(number="1"))
        assert run.result(20) == INSTEAD
        publisher: Any = live_coordinator.engine.publisher
        lengths = [
            int(name.rpartition(".")[2]) for name in publisher._declared if name.startswith("handoff.delay.")
        ]
        assert lengths
        assert all(is_usual(timedelta(milliseconds=length)) for length in lengths)

    def test_a_wait(self, live_coordinator: Coordinator, stages: list[Any]) -> None:
        """What stands in for the signal comes when its time is over."""
        waiting = wait_for("approval", Order, timeout=_LONG, otherwise=constant(INSTEAD))
        run = live_coordinator.start(Flow("far.flow", first >> waiting >> last), Order(number="1"))
        assert run.result(20) == INSTEAD
        assert len(stages) >= 2

    def test_a_set(self, live_coordinator: Coordinator, stages: list[Any]) -> None:
        """What is not complete in time is given to the agent as it is."""
        came: list[Orders] = []

        @on(Order, gather=gather("orders", by="number", until=lambda _: False, within=_LONG, partial=True))
        @agent("far.gather")
        def gathering(orders: Orders) -> None:
            came.append(orders)

        live_coordinator.work([gathering])
        live_coordinator.emit(Order(number="1"))
        wait_until(lambda: came, description="the time of the set is over")
        assert stages

    @pytest.mark.parametrize("ending", ["cancel", "signal"])
    def test_what_nobody_needs_waits_no_more(
        self, live_coordinator: Coordinator, stages: list[Any], monkeypatch: pytest.MonkeyPatch, ending: str
    ) -> None:
        """The timer of a wait that is over, or of a run that was cancelled, goes with its next stage."""
        said: list[str] = []
        service = live_coordinator._hosting._service
        assert service is not None
        take = service._stages.take
        monkeypatch.setattr(service._stages, "take", lambda *given: said.append(take(*given)))
        waiting = wait_for("approval", Order, timeout=timedelta(days=1_000), otherwise=constant(INSTEAD))
        monkeypatch.setattr(sender, "stage", lambda _: _LONG)
        run = live_coordinator.start(Flow("far.flow", first >> waiting >> last), Order(number="1"))
        wait_until(lambda: stages, description="the timer waits")
        wait_until(run.current, description="it waits")
        if ending == "cancel":
            run.cancel()
        else:
            run.signal("approval", Order(number="2"))
        wait_until(lambda: said, description="its stage is over")
        assert said[0].startswith("not needed any more")
        assert len(stages) == 1

    def test_a_pause_holds_what_arrives(self, live_coordinator: Coordinator, stages: list[Any]) -> None:
        """A step whose time comes while its run is held is held with it."""
        run = live_coordinator.start(Flow("far.flow", first >> delay(_LONG) >> last), Order(number="1"))
        wait_until(lambda: stages, description="the step waits")
        run.pause()
        wait_until(lambda: "held" in [one.state for one in run.current()], description="it is held")
        run.resume()
        assert run.result(20) == Order(number="1")

    def test_what_is_no_message_is_parked(self, live_coordinator: Coordinator) -> None:
        """Among the timers may be anything."""
        service = live_coordinator._hosting._service
        assert service is not None
        headers = {"id": "x", "handoff_due": 1, "handoff_for": TIMER}
        with pytest.raises(InvalidInput):
            service._stages.take(headers, b"{")
        with pytest.raises(InvalidInput):
            service._stages.take(headers, b"\xff")


@pytest.fixture
def freed() -> Iterator[threading.Event]:
    """What a stuck agent waits for; it is let go with the test."""
    event = threading.Event()
    yield event
    event.set()


def test_eager_mode_waits_for_nothing(coordinator: Coordinator) -> None:
    """There a budget of years is spent when nothing else can be done, the shorter one first."""
    short, long = timedelta(days=400), timedelta(days=4_000)
    waiting = wait_for("approval", Order, timeout=long, otherwise=constant(INSTEAD))
    flow = Flow(
        "far.flow",
        first
        >> delay(long)
        >> first
        >> budget(waiting, within=short, fallback=constant(Order(number="b")))
        >> last,
    )
    assert coordinator.start(flow, Order(number="1")).result() == Order(number="b")


def _at(run: Any, step: str) -> float:

    [entry] = [one for one in run.history() if one["kind"] == "settled" and one["step"] == step]
    return datetime.fromisoformat(entry["at"]).timestamp()
