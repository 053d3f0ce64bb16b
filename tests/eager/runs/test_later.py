"""Runs that are accepted now and begin later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import Field

from handoffs import Coordinator, Flow, agent, budget, delay, each, emit, parallel, wait_for
from handoffs.contracts.contract import Contract, Key
from handoffs.contracts.envelope import message_id
from handoffs.contracts.errors import InvalidData
from handoffs.coordinator.errors import Conflict
from handoffs.coordinator.runs.outbox import Outbox
from tests.waiting import wait_until


class Order(Contract, name="later.order", version=1):
    """What is ordered."""

    order: str = Key()
    lines: list[Line] = Field(default_factory=list)


class Line(Contract, name="later.line", version=1):
    """One thing of it."""

    sku: str = Key()


class Lines(Contract, name="later.lines", version=1):
    """What became of the things."""

    lines: list[Line]


class Approval(Contract, name="later.approval", version=1):
    """Somebody says yes."""

    by: str


class Both(Contract, name="later.both", version=1):
    """An order and who approved it."""

    order: Order
    approval: Approval


Order.model_rebuild()


@agent("later.take")
def take(order: Order) -> Order:
    return order


@agent("later.pick")
def pick(line: Line) -> Line:
    return line


@agent("later.pack")
def pack(lines: Lines) -> Lines:
    return lines


@agent("later.approve")
def approve(both: Both) -> Both:
    return both


FLOWS = {
    "one step": Flow("later.take", take),
    "branches": Flow("later.branches", parallel(a=take, b=take)),
    "budget": Flow("later.budget", budget(take, within=timedelta(seconds=30), fallback=take)),
    "delay first": Flow("later.delay", delay(timedelta(milliseconds=20)) >> take, input=Order),
    "list with a limit": Flow("later.each", each("lines", pick, into="lines", limit=1) >> pack, input=Order),
    "event first": Flow("later.event", emit() >> take, input=Order),
    "signal first": Flow(
        "later.signal", wait_for("approval", Approval, keep="order") >> approve, input=Order
    ),
}
_SOON = timedelta(seconds=3)  # a machine that is at work needs some of it to accept the run
_LATER = timedelta(days=300)
LONG = timedelta(hours=1)


def _order(number: str, *skus: str) -> Order:
    return Order(order=number, lines=[Line(sku=sku) for sku in skus])


def _story(run: Any) -> list[str]:
    return [entry["kind"] for entry in run.history()]


@pytest.mark.parametrize("name", FLOWS)
@pytest.mark.parametrize("given", ["moment", "duration"])
def test_begins_when_its_time_has_come(live_coordinator: Coordinator, name: str, given: str) -> None:
    """However a flow begins, its run is scheduled until then, and nothing happens before; then it goes on to its end."""
    began = datetime.now(UTC)
    run = live_coordinator.start(
        FLOWS[name],
        _order("o-1", "a", "b", "c"),
        at=began + _SOON if given == "moment" else _SOON,
        deadline=timedelta(seconds=30),
    )
    assert run.created
    assert run.status() == "scheduled"
    assert _story(run) == ["started"]
    if name == "signal first":
        run.signal("approval", Approval(by="ann"))
        assert run.status() == "scheduled"
    assert run.wait(20) == "completed"
    story = run.history()
    begun = next(entry for entry in story if entry["kind"] == "begun")
    due = run.due()
    assert due is not None
    assert due >= began + _SOON
    late = datetime.fromisoformat(begun["at"]) - due
    assert timedelta(milliseconds=-1) <= late < timedelta(seconds=5)  # what is told has whole milliseconds
    assert all(entry["at"] >= begun["at"] for entry in story if entry["kind"] == "settled")


@pytest.mark.parametrize("when", ["later", "cancelled", "past", "dead"])
def test_its_first_event_is_told_when_it_begins(live_coordinator: Coordinator, when: str) -> None:
    """The history tells of the event with which a flow begins when it has begun, and once; not where it was cancelled before,
    and also where who began it died before it was published."""
    at = {"past": -LONG, "cancelled": LONG, "dead": LONG}.get(when, _SOON)
    run = live_coordinator.start(FLOWS["event first"], _order("o-1"), at=at)
    engine = live_coordinator.engine
    if when == "later":
        assert "emitted" not in run.history()[0]
    elif when == "cancelled":
        run.cancel()
    elif when == "dead":
        redis, keys = engine.store.redis, engine.store.keys
        shard = keys.shard(run.id)
        redis.hset(keys.run(run.id), mapping={"status": "running", "due": "1"})
        redis.zrem(keys.scheduled(shard), run.id)
        redis.zadd(keys.starting(shard), {run.id: 1})
    if when == "cancelled":
        assert run.status() == "cancelled"
    else:
        assert run.wait(20) == "completed"
    emitted = [one["id"] for entry in run.history() for one in entry.get("emitted", ())]
    assert emitted == ([] if when == "cancelled" else [message_id(run.id, "1!")])


@pytest.mark.parametrize("name", ["one step", "list with a limit", "signal first"])
def test_the_first_time_stands(live_coordinator: Coordinator, name: str) -> None:
    """The same key gives the same run, which keeps the time that it was first given, whatever is asked now; another input
    is a conflict."""
    first = live_coordinator.start(FLOWS[name], _order("o-1", "a", "b"), at=_LATER)
    due = first.due()
    for at in (timedelta(seconds=-1), timedelta(hours=1), None, datetime.now(UTC) + _LATER):
        again = live_coordinator.start(FLOWS[name], _order("o-1", "a", "b"), at=at)
        assert (again.id, again.created, again.status(), again.due()) == (first.id, False, "scheduled", due)
    record = live_coordinator.engine.runs.get(first.id)
    assert record is not None
    assert record.waits == ()
    with pytest.raises(Conflict):
        live_coordinator.start(FLOWS[name], _order("o-1", "other"), idempotency_key="o-1", at=_LATER)


def test_of_a_run_that_runs_the_time_changes_nothing(anywhere: Coordinator) -> None:
    """A run that has begun does not wait again."""
    run = anywhere.start(FLOWS["one step"], _order("o-1"))
    again = anywhere.start(FLOWS["one step"], _order("o-1"), at=_LATER)
    assert (again.id, again.wait(20), again.due()) == (run.id, "completed", None)


@pytest.mark.parametrize("at", [timedelta(), timedelta(seconds=-5), datetime(2020, 1, 1, tzinfo=UTC)])
def test_past_is_now(anywhere: Coordinator, at: Any) -> None:
    """What is past begins at once."""
    run = anywhere.start(FLOWS["one step"], _order("o-1"), at=at)
    assert run.wait(20) == "completed"
    assert "begun" not in _story(run)


def test_cancelled_before(live_coordinator: Coordinator) -> None:
    """A scheduled run can be cancelled, and is not paused; it never begins."""
    run = live_coordinator.start(FLOWS["one step"], _order("o-1"), at=_SOON)
    assert run.pause() == "scheduled"
    assert run.cancel("ann") == "cancelled"
    other = live_coordinator.start(FLOWS["one step"], _order("o-2"), at=_SOON)
    assert other.wait(20) == "completed"
    assert _story(run) == ["started", "cancelled"]
    assert live_coordinator.engine.outstanding.counts() == {}


def test_wrong_input_is_told_now(anywhere: Coordinator) -> None:
    """Input and time are looked at when the run is accepted."""
    with pytest.raises(InvalidData):
        anywhere.start(FLOWS["one step"], {"order": 5}, at=_LATER)
    with pytest.raises(InvalidData, match="no time zone"):
        anywhere.start(FLOWS["one step"], _order("o-1"), at=datetime.fromisoformat("2026-01-01T00:00:00"))
    with pytest.raises(InvalidData, match="366 days"):
        anywhere.start(FLOWS["one step"], _order("o-1"), at=timedelta(days=400))
    assert anywhere.engine.store.redis.keys("*run:*") == []


def test_eager_does_not_wait(coordinator: Coordinator) -> None:
    """In eager mode there is no clock: like a delay, the time is not waited for. The history has it."""
    run = coordinator.start(FLOWS["signal first"], _order("o-1"), at=_LATER)
    assert run.status() == "running"
    run.signal("approval", Approval(by="ann"))
    assert run.status() == "completed"
    assert run.history()[0]["due"] > datetime.now(UTC).isoformat()


def test_what_it_will_send_is_outstanding(live_coordinator: Coordinator) -> None:
    """The gate and can-i-deploy count what a scheduled run will send: it is written in a version of today."""
    live_coordinator.start(FLOWS["branches"], _order("o-1"), at=_LATER)
    assert live_coordinator.engine.outstanding.counts() == {("later.take", "later.order/1"): 2}


def test_a_deadline_counts_from_then(live_coordinator: Coordinator) -> None:
    """What is left of a deadline when the run begins is all of it."""
    later, deadline = timedelta(seconds=1.5), timedelta(seconds=1.4)
    run = live_coordinator.start(FLOWS["one step"], _order("o-1"), at=later, deadline=deadline)
    assert run.wait(20) == "completed"


def test_it_is_published_once(live_coordinator: Coordinator) -> None:
    """Once it has begun nothing of it waits to be published."""
    run = live_coordinator.start(FLOWS["one step"], _order("o-1"), at=_SOON)
    assert run.wait(20) == "completed"
    runs = live_coordinator.engine.runs
    wait_until(lambda: not list(runs.unpublished(older_than=-LONG)), description="it is marked", timeout=5)


def test_published_twice_it_takes_effect_once(live_coordinator: Coordinator) -> None:
    """What was stored is all it takes, in a list with a limit too, and publishing it once more changes nothing."""
    store = live_coordinator.engine.store
    run = live_coordinator.start(FLOWS["list with a limit"], _order("o-1", "a", "b", "c"), at=_SOON)
    first = store.redis.hget(store.keys.run(run.id), "first")
    assert run.wait(20) == "completed"
    Outbox(live_coordinator.engine.services).publish(run.id, str(first))
    after = live_coordinator.start(FLOWS["one step"], _order("o-2"))
    assert after.wait(20) == "completed"
    settled = [entry["step"] for entry in run.history() if entry["kind"] == "settled"]
    assert settled == ["1.i0.1", "1.i1.1", "1.i2.1", "2"]
    assert run.result() == Lines(lines=[Line(sku=sku) for sku in "abc"])
