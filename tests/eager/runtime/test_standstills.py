"""A run that waits for something does not stand still, however long it waits and however old it is when it is looked at."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from handoffs import (
    Contract,
    Coordinator,
    Flow,
    Key,
    Retry,
    Run,
    agent,
    budget,
    choice,
    constant,
    delay,
    each,
    field,
    go_on,
    on,
    retrying,
    wait_for,
    when,
)
from handoffs.coordinator.client.hosting import Hosting
from handoffs.coordinator.continuation.signature import TIMER
from handoffs.coordinator.deployment.announcer import Announcer
from handoffs.coordinator.errors import QueueFull, Unpublished
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.messaging.publisher import BrokerPublisher
from handoffs.coordinator.messaging.queues import Depth
from handoffs.coordinator.runtime.in_hand import runs_in_hand
from handoffs.coordinator.runtime.standstills import _MOMENT, TOLD, Standstills
from handoffs.coordinator.store.announcements import Announcements
from handoffs.coordinator.store.fields import Kind
from tests.waiting import wait_until

DAYS = timedelta(days=10)
HOURS = timedelta(hours=12)
SOON = timedelta(milliseconds=50)
AGES = tuple(timedelta(**age) for age in ({"minutes": 6}, {"hours": 2}, {"days": 3}, {"days": 4_000}))


class Order(Contract, name="still.order", version=1):
    number: str = Key()


class Orders(Contract, name="still.orders", version=1):
    orders: list[Order]


class Heard(Contract, name="still.heard", version=1):
    number: str = Key()


LEAVE = threading.Event()


@agent("still.passes")
def passes(order: Order) -> Order:
    return order


@agent("still.fails", retry=Retry(attempts=3))
def fails(order: Order) -> Order:
    raise RuntimeError("not now")


@agent("still.blocks")
def blocks(order: Order) -> Order:
    LEAVE.wait(20)
    return order


@agent("still.refuses", retry=Retry(attempts=1))
def refuses(order: Order) -> Order:
    raise RuntimeError("never")


@agent("still.spreads")
def spreads(order: Order) -> Orders:
    return Orders(orders=[Order(number=f"{order.number}-{at}") for at in range(4)])


@agent("still.gathers")
def gathers(orders: Orders) -> Order:
    return orders.orders[0]


@on(Heard, ordered=True)
@agent("still.listens")
def listens(heard: Heard) -> None:
    LEAVE.wait(20)


@pytest.fixture(autouse=True)
def leave() -> Iterator[None]:
    LEAVE.clear()
    yield
    LEAVE.set()


class World:
    """A coordinator with its runs, looked at as if it were later."""

    def __init__(self, live: Coordinator, patch: pytest.MonkeyPatch) -> None:
        self.live, self.patch, self.number = live, patch, 0
        self.redis: Any = live.engine.store.redis

    def start(self, step: Any, **options: Any) -> Run:
        self.number += 1
        flow = Flow(f"still.flow-{self.number}", step, input=Order)
        run = self.live.start(flow, Order(number=str(self.number)), **options)
        if "at" not in options:
            self.published(run)
        return run

    def published(self, run: Run) -> None:
        store = self.live.engine.store
        wait_until(
            lambda: run.status() != "scheduled" and not self.redis.hexists(store.keys.run(run.id), "first"),
            description="it is published",
        )

    def noted(self, run: Run) -> Run:
        """Once it is known that something of the run is delayed."""
        wait_until(lambda: self.record(run).delayed, description="a delay is noted")
        return run

    def said(self, run: Run, kind: str) -> Run:
        wait_until(
            lambda: [one for one in self.live.journal.history.of(run.id).values() if one["kind"] == kind],
            description=f"the journal says {kind}",
        )
        return run

    def record(self, run: Run) -> Any:
        return self.live.engine.runs.get(run.id)

    def no_workers(self) -> None:
        self.patch.setattr(Hosting, "work", lambda *_: None)

    def stands(self, run: Run, age: timedelta) -> bool:
        """Whether it is taken for one that stands still, looked at several times in succession."""
        services = self.live.engine.services
        now = services.server.now() + age
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(services.server, "now", lambda: now)
            standstills = Standstills(services, 0.0, runs_in_hand)
            told = self.live.journal.history.outcomes(run.id, TOLD)
            return any(standstills.is_one(self.record(run), told) for _ in range(3))


@pytest.fixture
def world(live_coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(live_coordinator, monkeypatch)


def _begins_later(world: World, step: Any) -> Run:
    run = world.start(step, at=SOON)
    world.published(run)
    return run


def _without_notes(world: World) -> Run:
    """As the release before left it."""
    run = world.noted(world.start(delay(DAYS) >> passes))
    world.redis.hdel(
        world.live.engine.store.keys.run(run.id),
        *(Kind.DELAYED.of(step) for step in world.record(run).delayed),
    )
    return run


def _in_hand(world: World) -> Run:
    """One that nobody has begun, or that takes its time."""
    run = world.start(blocks)
    wait_until(lambda: world.record(run).began, description="a worker has it")
    return run


def _over_no_worker(world: World) -> Run:
    world.no_workers()
    return world.start(LONG)


def _no_worker(world: World) -> Run:
    world.no_workers()
    return world.start(passes)


def _unpublished(world: World) -> Run:
    world.no_workers()

    def full(*_: Any, **__: Any) -> None:
        raise QueueFull("no room")

    world.patch.setattr(BrokerPublisher, "publish", full)
    with pytest.raises(Unpublished) as found:
        world.start(passes)
    return world.live.run(found.value.run_id)


def _paused(world: World) -> Run:
    world.no_workers()
    run = world.start(passes)
    run.pause()
    return run


def _parked(world: World) -> Run:
    run = world.start(refuses)
    assert run.wait(20) == "parked"
    return run


def _waits(world: World, step: Any) -> Run:
    run = world.start(step)
    wait_until(lambda: world.record(run).waits, description="it waits")
    return run


def _story(world: World) -> Run:
    runs = [world.live.emit(Heard(number=str(number))) for number in range(3)]
    return runs[-1]


LONG = budget(passes, within=DAYS, fallback=constant(Order(number="0")))
MAYBE = choice(when(field("number") == "0", passes), otherwise=go_on)
AGAIN = Retry(attempts=3, backoff=HOURS, longest=HOURS, jitter=0)
WITH_AN_END: dict[str, tuple[timedelta, Callable[[World], Run]]] = {
    "a delay at its beginning": (DAYS, lambda world: world.noted(world.start(delay(DAYS) >> passes))),
    "a delay after a step": (DAYS, lambda world: world.noted(world.start(passes >> delay(DAYS) >> passes))),
    "a delay before a choice": (DAYS, lambda world: world.noted(world.start(passes >> delay(DAYS) >> MAYBE))),
    "a delay of each item": (DAYS, lambda world: world.noted(world.start(spreads >> each("orders", delay(DAYS) >> passes, into="orders", limit=2) >> gathers))),
    "a delay in a budget": (DAYS, lambda world: world.noted(world.start(budget(delay(DAYS) >> passes, within=2 * DAYS, fallback=constant(Order(number="0")))))),
    "a scheduled run that begins with a delay": (DAYS, lambda world: _begins_later(world, delay(DAYS) >> passes)),
    "a scheduled run that goes on by itself": (DAYS, lambda world: _begins_later(world, delay(DAYS) >> MAYBE)),
    "a delay of the release before": (DAYS, _without_notes),
    "a retry": (HOURS, lambda world: world.said(world.start(retrying(fails, AGAIN)), "retried")),
    "a retry in a budget": (HOURS, lambda world: world.said(world.start(budget(retrying(fails, AGAIN), within=DAYS, fallback=constant(Order(number="0")))), "retried")),
}  # fmt: skip
WITHOUT: dict[str, Callable[[World], Run]] = {
    "a queue without a worker": _no_worker,
    "a budget over such a queue": _over_no_worker,
    "a worker's hand": _in_hand,
    "room in a queue": _unpublished,
    "the end of a pause": _paused,
    "a person": _parked,
    "a signal": lambda world: _waits(world, passes >> wait_for("go", Order) >> passes),
    "a signal or a timer": lambda world: _waits(world, wait_for("go", Order, timeout=DAYS, otherwise=constant(Order(number="0")))),
    "the turn of an event": _story,
}  # fmt: skip


@pytest.mark.parametrize("kind", WITH_AN_END)
def test_what_waits_for_a_time_does_not_stand_still(world: World, kind: str) -> None:
    """Until then, and as much longer as its message may be late."""
    wait, begin = WITH_AN_END[kind]
    run = begin(world)
    late = 3 / 2 if "retry" in kind else 1
    for age in (
        timedelta(),
        timedelta(minutes=6),
        wait / 2,
        wait,
        wait * late + timedelta(seconds=_MOMENT / 2),
    ):
        assert not world.stands(run, age), age


@pytest.mark.parametrize("kind", WITHOUT)
def test_what_waits_for_something_else_does_not_stand_still(world: World, kind: str) -> None:
    """Nobody knows for how long."""
    run = WITHOUT[kind](world)
    assert run.status() in {"running", "parked", "paused"}
    for age in AGES:
        assert not world.stands(run, age), age


def test_what_has_been_put_off_has_a_moment(world: World) -> None:
    """For the holder of its key, or the end of a pause: its message is on its way back, which nothing tells of."""
    run = _paused(world)
    wait_until(lambda: world.record(run).paused, description="it is paused")
    run.resume()
    world.patch.setattr(BrokerPublisher, "has_waiting", lambda *_: False)
    world.said(run, "resumed")
    assert not world.stands(run, timedelta(seconds=_MOMENT / 2))
    assert world.stands(run, timedelta(seconds=_MOMENT * 2))


def test_what_the_coordinator_process_has_still_to_read_counts(world: World) -> None:
    """A letter, or the end of a stage, of days in which there was none: nobody knows whose they are before."""
    world.no_workers()
    run = world.start(passes)
    engine = world.live.engine
    asked: list[str] = []

    def none_waits(_: Any, queues: Iterable[str]) -> Iterator[tuple[str, Depth]]:
        asked.extend(queues)
        return iter(())

    world.patch.setattr("handoffs.coordinator.messaging.publisher.depths_on", none_waits)
    world.stands(run, AGES[0])
    assert {engine.topology.timers.name, engine.topology.dead_letters.name} <= set(asked)


def test_a_timer_that_is_put_off_is_noted(world: World) -> None:
    """Its run goes on by that alone, and tries again and again where there is no room."""
    run = world.noted(world.start(passes >> delay(DAYS) >> MAYBE))
    [step] = world.record(run).delayed
    world.redis.hdel(world.live.engine.store.keys.run(run.id), Kind.DELAYED.of(step))
    headers = {
        "id": "x",
        "task": TIMER,
        "handoff_run": run.id,
        "handoff_flow": run.flow,
        "handoff_step": step,
    }

    class Came:
        body, content_type, content_encoding = b"[]", "application/json", "utf-8"

        def __init__(self) -> None:
            self.headers = headers

    published: list[Message] = []
    world.patch.setattr(BrokerPublisher, "publish", lambda _, sent, **__: published.extend(sent))
    world.live._hosting._service._put_off(Came())  # type: ignore[union-attr]
    assert published
    assert step in world.record(run).delayed


def test_what_a_worker_has_in_hand_is_told_of(world: World) -> None:
    """By its thread that announces it, whatever its pool is busy with: the run is known to be alive, and no other is made by it."""
    world.no_workers()
    run, engine = world.start(passes), world.live.engine
    told: list[str] = []

    def in_hand() -> list[str]:
        told.append(run.id)
        return [run.id, "nobody's"]

    said = Announcements(engine.store.redis, engine.settings)
    announcer = Announcer(said, [], "w", timedelta(milliseconds=30), in_hand)
    announcer.start()
    wait_until(lambda: world.record(run).alive, description="it is told of")
    announcer.silence()
    assert not world.redis.exists(engine.store.keys.run("nobody's"))
