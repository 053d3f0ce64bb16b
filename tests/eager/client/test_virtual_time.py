"""Tests that move time: what waits for hours happens in milliseconds, at its time and in order."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handoffs import (
    Context,
    Contract,
    Coordinator,
    Flow,
    Key,
    Retry,
    Run,
    Spending,
    Transient,
    agent,
    budget,
    constant,
    delay,
    schedule,
    wait_for,
)
from handoffs.config import clock
from handoffs.config.settings import Settings
from handoffs.contracts.errors import InvalidData
from handoffs.coordinator.errors import ServerError
from tests.defaults import default_settings

_TIMEOUT = 30.0  # seconds


class Claim(Contract, name="clock.claim", version=1):
    """What the flows are about."""

    claim: str = Key()
    how: str = ""


class Answer(Contract, name="clock.answer", version=1):
    """What a person says."""

    says: str


_said: list[tuple[str, datetime]] = []


@agent("clock.note")
def note(claim: Claim) -> Claim:
    _said.append((claim.claim, clock.now()))
    return claim


@agent("clock.decide")
def decide(answer: Answer) -> Claim:
    return Claim(claim="decided", how=answer.says)


@agent("clock.timed-out")
def timed_out(claim: Claim) -> Claim:
    return Claim(claim=claim.claim, how="nobody has answered")


@agent("clock.spend")
def spend(claim: Claim, context: Context) -> Claim:
    context.usage(tokens=100)
    return claim


@agent(
    "clock.flaky", retry=Retry(attempts=4, backoff=timedelta(hours=1), factor=2.0, longest=timedelta(hours=8))
)
def flaky(claim: Claim) -> Claim:
    _said.append((claim.claim, clock.now()))
    if len(_said) < 4:
        raise Transient("the other side is closed")
    return claim


@pytest.fixture(autouse=True)
def nothing_said() -> None:
    _said.clear()


@pytest.fixture
def held(anywhere: Coordinator) -> Coordinator:
    """A coordinator whose time stands still, in eager and in embedded mode."""
    anywhere.hold_time()
    return anywhere


def _started(coordinator: Coordinator, flow: Flow, name: str = "c") -> tuple[Run, datetime]:
    return coordinator.start(flow, Claim(claim=name)), coordinator.now()


def test_a_delay_ends_when_its_time_has_come(held: Coordinator) -> None:
    """What follows a delay of two hours is not begun after one, and is after three."""
    run, _ = _started(held, Flow("clock.delayed", delay(timedelta(hours=2)) >> note, input=Claim))
    held.advance(hours=1)
    assert (run.status(), _said) == ("running", [])
    held.advance(hours=2)
    assert run.wait(_TIMEOUT) == "completed"


def test_one_delay_after_another(held: Coordinator) -> None:
    """Delays that follow each other end within one move, each at its own time."""
    flow = Flow(
        "clock.twice", delay(timedelta(hours=1)) >> note >> delay(timedelta(hours=1)) >> note, input=Claim
    )
    run, began = _started(held, flow)
    held.advance(hours=3)
    assert run.wait(_TIMEOUT) == "completed"
    first, second = (at - began for _, at in _said)
    assert timedelta(hours=1) <= first < timedelta(hours=1, minutes=30)
    assert timedelta(hours=2) <= second < timedelta(hours=3)


def test_nothing_is_lost_when_time_moves_in_small_steps(held: Coordinator) -> None:
    """Three hours in steps of a quarter are three hours."""
    run, _ = _started(held, Flow("clock.steps", delay(timedelta(hours=2, minutes=20)) >> note, input=Claim))
    for _ in range(12):
        held.advance(minutes=15)
    assert run.wait(_TIMEOUT) == "completed"


def test_who_waits_for_a_signal_gets_it_in_time(held: Coordinator) -> None:
    """A wait with a timeout of three days is answered after two, and its timeout changes nothing afterwards."""
    flow = Flow(
        "clock.approval",
        note
        >> budget(
            wait_for("answer", Answer, timeout=None) >> decide, within=timedelta(days=3), fallback=timed_out
        ),
    )
    run, _ = _started(held, flow)
    held.advance(days=2)
    run.signal("answer", Answer(says="yes"))
    assert run.wait(_TIMEOUT) == "completed"
    answered = run.result(_TIMEOUT)
    held.advance(days=2)
    assert run.status() == "completed"
    assert answered.how == "yes"
    assert not [entry for entry in run.history() if entry["kind"] == "fallback"]


def test_a_wait_times_out(held: Coordinator) -> None:
    """Where nobody answers within the budget, its fallback takes its place then, and not before."""
    flow = Flow(
        "clock.silence",
        note
        >> budget(
            wait_for("answer", Answer, timeout=None) >> decide, within=timedelta(days=3), fallback=timed_out
        ),
    )
    run, _ = _started(held, flow)
    held.advance(days=2, hours=23)
    assert run.status() == "running"
    held.advance(days=1)
    assert run.result(_TIMEOUT).how == "nobody has answered"


def test_a_timeout_of_a_wait(held: Coordinator) -> None:
    """A wait that has a timeout of its own gives what it says for that, then, and not before."""
    silence = constant(Answer(says="nothing"))
    wait = wait_for("answer", Answer, timeout=timedelta(days=1), otherwise=silence)
    run, _ = _started(held, Flow("clock.timeout", note >> wait >> decide))
    held.advance(hours=23)
    assert run.status() == "running"
    held.advance(hours=5)
    assert run.result(_TIMEOUT).how == "nothing"


def test_retries_come_at_their_time(held: Coordinator) -> None:
    """Attempts that wait one, two and four hours are made within ten hours, at those times."""
    run, began = _started(held, Flow("clock.retries", flaky))
    held.advance(hours=12)
    assert run.wait(_TIMEOUT) == "completed"
    assert len(_said) == 4
    waits = [later - earlier for (_, earlier), (_, later) in pairwise(_said)]
    assert all(wait >= timedelta(minutes=30) for wait in waits)
    assert _said[0][1] - began < timedelta(minutes=1)


def test_a_run_begins_at_its_time(held: Coordinator) -> None:
    """A run that was accepted for tomorrow is scheduled until then."""
    run = held.start(Flow("clock.tomorrow", note), Claim(claim="c"), at=timedelta(days=1))
    assert run.status() == "scheduled"
    held.advance(hours=23)
    assert (run.status(), _said) == ("scheduled", [])
    held.advance(hours=2)
    assert run.wait(_TIMEOUT) == "completed"


def test_a_run_that_waits_for_long_is_kept(held: Coordinator) -> None:
    """What is known of runs is kept, however far time is moved: of one that waits, and of one that has ended."""
    waiting, _ = _started(
        held, Flow("clock.long", note >> wait_for("answer", Answer, timeout=None) >> decide), "w"
    )
    ended, _ = _started(held, Flow("clock.short", note), "e")
    assert ended.wait(_TIMEOUT) == "completed"
    spends, _ = _started(held, Flow("clock.spends", spend >> delay(timedelta(days=100)) >> spend >> note, spending=Spending(tokens=150)), "s")  # fmt: skip
    held.advance(days=300)
    waiting.signal("answer", Answer(says="late"))
    assert waiting.wait(_TIMEOUT) == "completed"
    assert ended.result(_TIMEOUT) == Claim(claim="e")
    assert spends.wait(_TIMEOUT) == "parked"
    assert spends.usage().tokens == 200
    assert spends.spending() == Spending(tokens=150)


def test_an_outcome_is_remembered_for_as_long_as_it_is_to_be(held: Coordinator) -> None:
    """The same input within the time that outcomes are kept is not worked on twice; after it, it is."""

    def again(number: int) -> None:
        flow = Flow(f"clock.again-{number}", note)
        assert held.start(flow, Claim(claim="same")).wait(_TIMEOUT) == "completed"

    again(1)
    held.advance(hours=1)
    again(2)
    assert len(_said) == 1
    held.advance(held.settings.outcome_ttl)
    again(3)
    assert len(_said) == 2


def test_history_and_messages_have_the_time_that_it_is(held: Coordinator) -> None:
    """What is told of a run has the time to which it was moved."""
    run, began = _started(held, Flow("clock.told", delay(timedelta(days=7)) >> note, input=Claim))
    held.advance(days=8)
    assert run.wait(_TIMEOUT) == "completed"
    settled = [datetime.fromisoformat(entry["at"]) for entry in run.history() if entry["kind"] == "settled"]
    assert min(settled) - began >= timedelta(days=7) - timedelta(milliseconds=2)  # history has milliseconds


def test_time_is_the_hosts_again(coordinator_settings: Settings) -> None:
    """When the last coordinator of a process is closed, time is what it was before."""
    with Coordinator(coordinator_settings) as one, Coordinator(coordinator_settings) as other:
        one.hold_time()
        one.advance(days=30)
        assert other.now() - datetime.now(UTC) > timedelta(days=29)
        assert one.engine.server.now() - datetime.now(UTC) > timedelta(days=29)
        assert other.engine.server.now() - datetime.now(UTC) > timedelta(days=29)
    assert not clock.is_moved()
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=1)


def test_without_holding_it(live_coordinator: Coordinator) -> None:
    """In embedded mode time goes on by itself, and can be moved on all the same."""
    run, _ = _started(live_coordinator, Flow("clock.unheld", delay(timedelta(hours=2)) >> note, input=Claim))
    live_coordinator.advance(hours=3)
    assert run.wait(_TIMEOUT) == "completed"


@pytest.fixture
def scheduled(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings that name a module with a schedule."""
    module = ModuleType("clock_schedules")
    flow = Flow("clock.nightly", note)
    vars(module).update(
        note=note,
        flow=flow,
        nightly=schedule(
            "clock.each-night", flow, every="0 3 * * *", payload=lambda due: Claim(claim=due.isoformat())
        ),
    )
    monkeypatch.setitem(sys.modules, "clock_schedules", module)
    return default_settings(agents=("clock_schedules",))


@pytest.mark.parametrize("eager", [True, False])
def test_schedules_come_at_their_times(scheduled: Settings, eager: bool) -> None:
    """A schedule of every night has a run for each night that passes."""
    with Coordinator(scheduled.model_copy(update={"eager": eager})) as coordinator:
        coordinator.hold_time()
        coordinator.advance(days=3)
        assert len(_said) == 3
        assert {at.hour for _, at in _said} == {3}


@pytest.mark.parametrize("by", [timedelta(), timedelta(seconds=-1), timedelta(days=400)])
def test_how_far_it_may_be_moved(coordinator: Coordinator, by: timedelta) -> None:
    """Time does not go back, nor more than a year ahead at once."""
    with pytest.raises(InvalidData, match="time cannot be moved"):
        coordinator.advance(by)
    assert not clock.is_moved()


@pytest.mark.parametrize("odd", ["3", None, float("nan"), True])
def test_odd_amounts(coordinator: Coordinator, odd: object) -> None:
    """What is no number is refused in one line."""
    with pytest.raises(InvalidData, match="time is to be moved by"):
        coordinator.advance(hours=odd)  # type: ignore[arg-type]


def test_servers_keep_their_time() -> None:
    """Where there are servers nothing can be moved, which is said before anything is asked of them."""
    settings = default_settings(broker_url="amqp://nowhere.invalid//", redis_url="redis://nowhere.invalid/0")
    with Coordinator(settings) as coordinator:
        for move in (coordinator.hold_time, lambda: coordinator.advance(hours=1)):
            with pytest.raises(ServerError, match="the time of servers cannot be"):
                move()
    assert not clock.is_moved()


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    waits=st.lists(st.integers(1, 5_000), min_size=1, max_size=4),
    parts=st.lists(st.integers(1, 4_000), min_size=1, max_size=8),
)
def test_time_adds_up(coordinator_settings: Settings, waits: list[int], parts: list[int]) -> None:
    """In eager mode: after any moves, as many of the steps between delays are done as their times have come, whatever the moves."""
    _said.clear()
    with Coordinator(coordinator_settings.model_copy(update={"eager": True})) as coordinator:
        coordinator.hold_time()
        step = delay(timedelta(minutes=waits[0])) >> note
        for wait in waits[1:]:
            step = step >> delay(timedelta(minutes=wait)) >> note
        run = coordinator.start(Flow("clock.sums", step, input=Claim), Claim(claim="c"))
        for part in parts:
            coordinator.advance(minutes=part)
        came = sum(sum(waits[: number + 1]) <= sum(parts) for number in range(len(waits)))
        assert len(_said) == came
        assert (run.status() == "completed") == (came == len(waits))


def test_many_who_move_it(held: Coordinator) -> None:
    """Threads that move time at once move it one after the other: it is moved by all of them."""
    before = held.now()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: held.advance(hours=1), range(4)))
    assert held.now() - before == timedelta(hours=4)


def test_an_agent_cannot_move_it(coordinator: Coordinator) -> None:
    """What happens while time is moved cannot move it: it is told so, and fails."""
    coordinator.hold_time()

    @agent("clock.moves")
    def moves(claim: Claim) -> Claim:
        coordinator.advance(hours=1)
        return claim

    run, _ = _started(coordinator, Flow("clock.moving", delay(timedelta(hours=1)) >> moves, input=Claim))
    before = coordinator.now()
    coordinator.advance(hours=3)
    assert coordinator.now() - before == timedelta(hours=3)
    [letter] = run.letters()
    assert "by what happens while it is moved" in letter.text


@pytest.mark.parametrize("eager", [True, False])
def test_a_coordinator_that_is_closed_has_no_time(eager: bool) -> None:
    """It neither holds nor moves time any more, and the next one begins with the host's."""
    with Coordinator(default_settings(eager=eager)) as coordinator:
        pass
    for call in (coordinator.hold_time, lambda: coordinator.advance(hours=1)):
        with pytest.raises(ServerError, match="closed"):
            call()
    assert not clock.is_moved()


def test_one_slow_agent_is_waited_for_once(live_coordinator: Coordinator) -> None:
    """An agent that does not come back costs the seconds of one wait, however many times are due beside it."""
    gate = threading.Event()

    @agent("clock.slow")
    def slow(claim: Claim) -> Claim:
        assert gate.wait(30)
        return claim

    live_coordinator.hold_time()
    _started(live_coordinator, Flow("clock.slowly", slow), "slow")
    later = [
        _started(live_coordinator, Flow(f"clock.delayed{n}", delay(timedelta(minutes=n)) >> note, input=Claim), f"{n}")[0]
        for n in range(1, 9)
    ]  # fmt: skip
    began = time.monotonic()
    live_coordinator.advance(hours=1)
    took = time.monotonic() - began
    assert [run.wait(_TIMEOUT) for run in later] == ["completed"] * 8
    gate.set()
    assert took < 20  # 5 s for each of the times would be 40


def test_a_stalled_agent_is_found_by_the_time_that_is(live_coordinator: Coordinator) -> None:
    """While time is held no agent is idle for too long, and once it is moved by more than the limit one that gives no sign is."""
    began = threading.Event()

    @agent("clock.idles", idle=timedelta(minutes=5), retry=Retry(attempts=1))
    async def idles(claim: Claim) -> Claim:
        began.set()
        await asyncio.sleep(60)
        return claim

    live_coordinator.hold_time()
    run, _ = _started(live_coordinator, Flow("clock.idling", idles))
    assert began.wait(_TIMEOUT)
    live_coordinator.advance(minutes=4)
    assert run.status() == "running"
    live_coordinator.advance(minutes=2)
    assert run.wait(_TIMEOUT) == "parked"
    assert run.letters()[0].error == "Stalled"


@pytest.mark.parametrize("eager", [True, False])
def test_a_schedule_that_fails_once_has_its_run(monkeypatch: pytest.MonkeyPatch, eager: bool) -> None:
    """A time whose payload could not be made is tried again, and has its run; one that never can be does not keep time from moving."""
    failures = [ValueError("once")]

    def payload(due: datetime) -> Claim:
        if failures:
            raise failures.pop()
        return Claim(claim=due.isoformat())

    def never(due: datetime) -> Claim:
        raise ValueError(due)

    flow, module = Flow("clock.hourly", note), ModuleType("clock_failing")
    vars(module).update(note=note, flow=flow, hourly=schedule("clock.each-hour", flow, every=timedelta(hours=1), payload=payload))  # fmt: skip
    vars(module).update(broken=schedule("clock.broken", flow, every=timedelta(hours=1), payload=never))
    monkeypatch.setitem(sys.modules, "clock_failing", module)
    with Coordinator(default_settings(agents=("clock_failing",), eager=eager)) as coordinator:
        coordinator.hold_time()
        coordinator.advance(hours=3)
        assert len(_said) == 3
