"""A queue with a bound that is full holds up nobody but those whose step comes to it, and no budget at all."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from handoffs import Contract, Flow, Key, agent, budget, constant
from handoffs.config.settings import Settings
from handoffs.coordinator.dispatch.sender import publish
from handoffs.coordinator.errors import QueueFull, Unpublished
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.runs.first_messages import Starter
from handoffs.coordinator.runs.start import Starts
from handoffs.coordinator.runtime.embedded.servers import EmbeddedEngine
from handoffs.coordinator.runtime.service import Service
from handoffs.coordinator.store.record import StepRef
from tests.waiting import wait_until


class Thing(Contract, name="full.thing", version=1):
    """What is handed over."""

    number: str = Key()


@agent("full.narrow")
def narrow(thing: Thing) -> Thing:
    return thing


@agent("full.wide")
def wide(thing: Thing) -> Thing:
    return thing


narrow_flow, wide_flow = Flow("full.narrowly", narrow), Flow("full.widely", wide)
SOON = timedelta(milliseconds=200)
bounded = Flow("full.bounded", budget(narrow, within=SOON, fallback=constant(Thing(number="0"))))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EmbeddedEngine]:
    """Queues that nobody takes anything from; that of ``narrow`` has room for one message."""
    settings = Settings(
        journal_url=f"sqlite:///{tmp_path / 'journal'}",
        queue_limits={"full.narrow": 1},
        unpublished_after=SOON,
    )
    made = EmbeddedEngine(settings, agents=[narrow, wide])
    yield made
    made.close()


@pytest.fixture
def service(engine: EmbeddedEngine) -> Iterator[Service]:
    """The coordinator process, not started yet."""
    journal = Journal(engine.settings.journal, upgrades=True)
    made = Service(engine, journal)
    yield made
    made.stop()
    journal.close()


def fill(engine: EmbeddedEngine) -> None:
    """Leave no room in the queue of ``narrow``."""
    hasty = engine.publisher.impatient()
    hasty.declare(["full.narrow"])
    for number in range(2):  # RabbitMQ refuses once the bound is passed
        hasty.publish([Message(f"f{number}", "full.narrow", {}, "[]")])
    with pytest.raises(QueueFull):
        hasty.publish([Message("f2", "full.narrow", {}, "[]")])


def unpublished(engine: EmbeddedEngine) -> set[str]:
    return {run for run, _ in engine.runs.unpublished(older_than=timedelta())}


def completed(engine: EmbeddedEngine, run: str) -> bool:
    state = engine.runs.state(run)
    return state is not None and state.status == "completed"


def accepted(engine: EmbeddedEngine, flow: Flow, payload: Contract, run: str) -> None:
    """A run whose starter died before it published anything."""
    first = Starter(engine.services.router).first(flow, payload, run)
    engine.publisher.declare([narrow.name, wide.name])
    engine.runs.start(
        StepRef(run, flow.name, ""), key=run, content="c", first=first.stored(), sends=first.named()
    )


def test_what_was_accepted_is_said(engine: EmbeddedEngine) -> None:
    """A start for which there is no room says that the run was accepted, and which it is; it is there, and starting it again is
    the same run."""
    fill(engine)
    starts = Starts(engine.services.impatient())
    with pytest.raises(Unpublished, match="was accepted, and begins as soon as") as caught:
        starts.start(narrow_flow, Thing(number="1"))
    state = engine.runs.state(caught.value.run_id)
    assert state is not None
    assert unpublished(engine) == {caught.value.run_id}
    with pytest.raises(Unpublished) as again:
        starts.start(narrow_flow, Thing(number="1"))
    assert again.value.run_id == caught.value.run_id


def test_the_sweep_goes_on(engine: EmbeddedEngine, service: Service) -> None:
    """Runs for which there is no room, however many, keep none from being published that goes elsewhere; nor does one that
    cannot be read. Once there is room, they begin."""
    fill(engine)
    for number in range(150):  # they are older than all others
        accepted(engine, narrow_flow, Thing(number=str(number)), f"n{number}")
    accepted(engine, narrow_flow, Thing(number="b"), "broken")
    redis, keys = engine.store.redis, engine.runs._keys
    redis.hset(keys.run("broken"), "first", "{}")
    for number in range(20):
        accepted(engine, wide_flow, Thing(number=str(number)), f"w{number}")
    service.start()
    wait_until(
        lambda: not any(run.startswith("w") for run in unpublished(engine)),
        description="the others are published",
    )
    assert "n149" in unpublished(engine)
    assert not service.fault()


@pytest.mark.parametrize("died", [False, True])
def test_a_budget_begins_though_its_step_has_no_room(
    engine: EmbeddedEngine, service: Service, died: bool
) -> None:
    """The timer of a budget does not wait for room in the queue of its step, whether its starter lived on or not: the fallback
    takes the step's place in time."""
    fill(engine)
    service.start()
    if died:
        accepted(engine, bounded, Thing(number="1"), run := "dead")
    else:
        with pytest.raises(Unpublished) as caught:
            Starts(engine.services.impatient()).start(bounded, Thing(number="1"))
        run = caught.value.run_id
    wait_until(lambda: completed(engine, run), description="the fallback", timeout=10)


def test_timers_go_first(engine: EmbeddedEngine) -> None:
    """What begins a budget is asked for before the step, in whatever order they are given."""
    sent = Starter(engine.services.router).first(bounded, Thing(number="1"), "r").sent
    for given in (sent, sent[::-1]):
        asked = [[message.agent for message in request.messages] for request in publish(given)]  # type: ignore[union-attr]
        assert asked[0] == ["coordinator.timer"]
        assert asked[1:] == [["full.narrow"]]


def test_a_timer_whose_course_has_no_room_holds_up_no_other(engine: EmbeddedEngine, service: Service) -> None:
    """Budgets whose fallback leads to a full queue are tried again later; others end in time meanwhile."""
    stuck = Flow("full.stuck", budget(wide, within=SOON, fallback=constant(Thing(number="0"))) >> narrow)
    free = Flow("full.free", budget(wide, within=SOON, fallback=constant(Thing(number="0"))))
    starts = Starts(engine.services)
    fill(engine)
    service.start()
    for number in range(30):
        starts.start(stuck, Thing(number=f"s{number}"))
    run = starts.start(free, Thing(number="1")).run_id
    wait_until(lambda: completed(engine, run), description="the fallback of the other", timeout=6)
    assert not service.fault()
