"""Waiting is not failing: what waits for a server, for a person or for its turn has no counter that ends it."""

import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from redis import Redis

from handoffs import Contract, Coordinator, Flow, Key, agent, budget, constant
from handoffs.coordinator.continuation.signature import TIMER
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.handoff.open import look_again
from handoffs.coordinator.handoff.outcome import Reason
from handoffs.coordinator.messaging.delivery import Delivery
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.messaging.wire import read_message
from handoffs.coordinator.runs.first_messages import Starter
from handoffs.coordinator.runtime import queue_reader
from handoffs.coordinator.store import scripts
from handoffs.coordinator.store.asking import Call, Command
from handoffs.coordinator.store.record import StepRef
from tests.deliveries import given_up
from tests.waiting import wait_until


class Order(Contract, name="wait.order", version=1):
    number: str = Key()


@agent("wait.work")
def work(order: Order) -> Order:
    return order


FLOW = Flow("wait.flow", work)


@pytest.fixture
def sent(coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Message, Any]]:
    """What is published from here on, and after which wait; it goes nowhere."""
    found: list[tuple[Message, Any]] = []
    monkeypatch.setattr(
        coordinator.engine.publisher,
        "publish",
        lambda messages, delay=None, **_: found.extend((message, delay) for message in messages),
    )
    return found


def _first(coordinator: Coordinator, run: str = "run-1") -> Message:
    starter = Starter(coordinator.engine.services.router)
    [message] = starter.first(FLOW, Order(number="1"), run).messages
    return message


class TestWhatTheBrokerGivesUp:
    def test_a_step_that_has_not_begun_goes_back(
        self, coordinator: Coordinator, sent: list[tuple[Message, Any]]
    ) -> None:
        """Its workers were restarted, or a server was away, while it lay ready there: it is delivered again, without a letter."""
        message = _first(coordinator)
        coordinator.desk.receive(given_up(message, "wait.work"))
        [(again, delay)] = sent
        assert (again.id, again.agent, again.body) == (message.id, "wait.work", message.body)
        assert "x-death" not in again.headers
        assert delay > timedelta()
        assert coordinator.dead_letters() == []

    def test_a_step_that_has_its_outcome_goes_back(
        self, coordinator: Coordinator, sent: list[tuple[Message, Any]]
    ) -> None:
        """Perhaps nobody could pass it on, for the next queue was full: as often as that happens."""
        store, place = coordinator.engine.store, StepRef("run-1", FLOW.name, "1")
        store.redis.hset(store.keys.run("run-1"), mapping={"status": "running", "s:1": "", "r:1": "1"})
        for _ in range(3):
            coordinator.desk.receive(given_up(_first(coordinator), "wait.work"))
        assert len(sent) == 3
        assert coordinator.engine.store.settled(place)

    def test_a_step_that_was_at_work_is_parked(
        self, coordinator: Coordinator, sent: list[tuple[Message, Any]]
    ) -> None:
        """An agent that dies at it each time is poison."""
        claimed = coordinator.engine.store.claim(
            StepRef("run-1", FLOW.name, "1"), agent="wait.work", key="1", content="c", owner="w", replays=0
        )
        assert claimed.verdict == "granted"
        coordinator.desk.receive(given_up(_first(coordinator), "wait.work"))
        assert sent == []
        [letter] = coordinator.dead_letters()
        assert letter.kind == "delivery-limit"

    def test_a_timer_goes_back(self, coordinator: Coordinator, sent: list[tuple[Message, Any]]) -> None:
        """However often the processes that take timers came and went."""
        flow = Flow("wait.b", budget(work, within=timedelta(hours=1), fallback=constant(Order(number="2"))))
        starter = Starter(coordinator.engine.services.router)
        timer = next(
            one for one in starter.first(flow, Order(number="1"), "r").messages if one.agent == TIMER
        )
        coordinator.desk.receive(given_up(timer, "coordinator.timer"))
        assert [message.id for message, _ in sent] == [timer.id]
        assert coordinator.dead_letters() == []


def test_timers_outlast_an_outage(live_coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch) -> None:
    """While Redis is away a timer is kept in hand, however often it is tried: it fires when Redis is back, and was delivered
    once."""
    coordinator = live_coordinator
    monkeypatch.setattr(queue_reader, "_SERVER_PAUSE", 0.01)
    service = coordinator._hosting._service
    assert service is not None
    fire, tried, fired = service._timers.fire, [], threading.Event()

    def away(body: bytes | str, content_type: str) -> str:
        tried.append(body)
        if len(tried) <= 2 * coordinator.settings.delivery_limit:
            raise ServerError("Redis cannot be used", "nothing was recorded")
        said = fire(body, content_type)
        fired.set()
        return said

    monkeypatch.setattr(service._timers, "fire", away)

    @agent("wait.never")
    def never(order: Order) -> Order:
        wait_until(fired.is_set, description="Redis is back, and the budget is spent")
        return order

    instead = Order(number="instead")
    flow = Flow(
        "wait.b", budget(never, within=timedelta(milliseconds=20), fallback=constant(instead)) >> work
    )
    assert coordinator.start(flow, Order(number="1")).result(20) == instead
    assert coordinator.dead_letters() == []


class TestLooks:
    def test_a_message_may_be_held_for_years(self, coordinator: Coordinator) -> None:
        """How often a message was looked at says how long to wait, and nothing else: one that was held for ever can be read."""
        message = _first(coordinator)
        held = Delivery("id", "wait.work", "{}", {}, [], None, 1, 0, 1_000_000, "w", message.headers)
        later = look_again(held, held, timedelta(seconds=2), Reason.PAUSED)
        assert (later.wait, later.looks) == (timedelta(seconds=2), 1_000)

    def test_what_an_older_release_has_counted_is_read(self, coordinator: Coordinator) -> None:
        """It counted on and on, and refused its own message then."""
        message = _first(coordinator)
        headers = {**message.headers, "handoff_looks": 1_000_001}
        limits = coordinator.settings.message_limits
        assert read_message(headers, message.body, "application/json", "utf-8", limits).kwargs["step"] == "1"


class TestCrashLimit:
    """Only deaths at work count."""

    @pytest.mark.parametrize("broken", ["claim_outcome", "settle_run"])
    def test_redis_that_goes_away_is_no_death(
        self, live_coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch, broken: str
    ) -> None:
        """However often Redis goes away just then, its answer is lost or its question: the step goes on when it is back, within
        seconds."""
        coordinator = live_coordinator
        lost: list[Sequence[Call | Command]] = []
        answers, nobody_knows = scripts.run_together, ServerError("Redis cannot be used", "nobody knows")

        def fragile(redis: Redis, asked: Sequence[Sequence[Call | Command]]) -> list[list[Any] | ServerError]:
            found: list[list[Any] | ServerError] = []
            for calls in asked:
                is_lost = any(isinstance(call, Call) and call.script == broken for call in calls)
                is_lost = is_lost and len(lost) <= coordinator.settings.crash_limit
                if is_lost:
                    lost.append(calls)
                if is_lost and broken == "settle_run":
                    found.append(nobody_knows)
                    continue
                [answer] = answers(redis, [calls])
                found.append(nobody_knows if is_lost else answer)  # it was granted, and nobody heard that
            return found

        monkeypatch.setattr(scripts, "run_together", fragile)
        monkeypatch.setattr("handoffs.coordinator.runtime.task._SERVER_PAUSE", timedelta(milliseconds=10))
        run = coordinator.start(FLOW, Order(number="1"))
        assert run.wait(10) == "completed"
        assert len(lost) == coordinator.settings.crash_limit + 1
