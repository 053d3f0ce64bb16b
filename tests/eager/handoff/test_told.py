"""An agent at work is told that nobody wants any more what it makes, or that its worker is to end."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from handoffs import (
    Context,
    Contract,
    Coordinator,
    Flow,
    Key,
    Retry,
    Run,
    agent,
    budget,
    compensate,
    constant,
)
from handoffs.config.settings import Settings
from handoffs.coordinator.handoff import loop as loops
from tests.waiting import wait_until

TIMEOUT = 20.0
SOON = 5.0
"""Seconds, within which an agent has been told."""


class Job(Contract, name="told.job", version=1):
    number: str = Key()
    text: str = ""


class Seen:
    """What the agents have seen."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.heard: list[str] = []
        self.let_go = threading.Event()
        self.undone: Counter[str] = Counter()


seen = Seen()


@pytest.fixture(autouse=True)
def _seen() -> Iterator[None]:
    seen.__dict__.update(Seen().__dict__)
    yield
    seen.let_go.set()


def _until_told(context: Context) -> str:
    seen.began.set()
    until = time.monotonic() + TIMEOUT
    while not context.cancelled and time.monotonic() < until:
        seen.let_go.wait(0.02)
    seen.heard.append(context.ending())
    return context.ending()


@agent("told.asks", retry=Retry(attempts=3))
def asks(job: Job, context: Context) -> Job:
    raise InterruptedError(_until_told(context))


@agent("told.returns", retry=Retry(attempts=3))
def returns(job: Job, context: Context) -> Job:
    return Job(number=job.number, text=_until_told(context))


@agent("told.waits", retry=Retry(attempts=3))
async def waits(job: Job, context: Context) -> Job:
    seen.began.set()
    try:
        await asyncio.sleep(TIMEOUT)
    except asyncio.CancelledError:
        seen.heard.append(context.ending())
        raise
    return job


@agent("told.swallows", retry=Retry(attempts=3))
async def swallows(job: Job, context: Context) -> Job:
    seen.began.set()
    while not seen.let_go.is_set():
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            seen.heard.append(context.ending())
    return job


@agent("told.does-not-ask", retry=Retry(attempts=1))
def does_not_ask(job: Job, context: Context) -> Job:
    seen.began.set()
    time.sleep(1)
    return Job(number=job.number, text="whole")


@agent("told.undo")
def undo(job: Job) -> Job:
    seen.undone[job.text] += 1
    return job


def _start(coordinator: Coordinator, step: object) -> Run:
    run = coordinator.start(Flow("told.flow", step), Job(number="1"))  # type: ignore[arg-type]
    assert seen.began.wait(TIMEOUT)
    return run


def _heard() -> str:
    wait_until(lambda: seen.heard, timeout=SOON, description="the agent has been told")
    return seen.heard[0]


@pytest.mark.parametrize("who", [asks, waits], ids=["asks", "waits"])
@pytest.mark.parametrize("end", [Run.cancel, Run.give_up], ids=["cancel", "give up"])
def test_its_run_ends(live_coordinator: Coordinator, who: object, end: Callable[[Run], object]) -> None:
    """An agent whose run is cancelled or given up is told within seconds, by asking or by cancellation; its step is neither
    retried nor parked, and its worker goes on."""
    run = _start(live_coordinator, who)
    end(run)
    assert _heard() in {"cancelled", "compensating"}
    wait_until(lambda: not live_coordinator.engine.leases._kept, description="it has ended")
    assert run.wait(TIMEOUT) == "cancelled"
    assert not {"retried", "parked", "settled"} & {entry["kind"] for entry in run.history()}
    assert not run.letters()
    assert live_coordinator.start(Flow("told.next", undo), Job(number="2")).wait(TIMEOUT) == "completed"


def test_who_returns_is_undone(live_coordinator: Coordinator) -> None:
    """What an agent returns after it was told of a cancellation is undone, where its step is compensated, as always."""
    run = _start(live_coordinator, compensate(returns, by=undo))
    run.cancel(compensate=True)
    why = _heard()
    assert why in {"cancelled", "compensating"}
    wait_until(lambda: seen.undone, description="it is undone")
    assert dict(seen.undone) == {why: 1}
    assert run.wait(TIMEOUT) == "cancelled"


def test_its_budget_is_spent(live_coordinator: Coordinator) -> None:
    """An agent whose budget is spent is told, and the run goes on with the fallback alone."""
    spent = budget(
        asks, within=timedelta(milliseconds=200), fallback=constant(Job(number="1", text="fallback"))
    )
    run = _start(live_coordinator, spent)
    assert run.result(TIMEOUT).text == "fallback"
    assert _heard() in {"closed", "completed"}
    assert not {"retried", "parked"} & {entry["kind"] for entry in run.history()}


def test_who_does_not_end_hinders_nobody(
    live_coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An async agent that goes on after its cancellation is left to itself: its thread of the pool works on."""
    monkeypatch.setattr(loops, "_UNWIND", 0.2)
    run = _start(live_coordinator, swallows)
    run.cancel()
    assert _heard() == "cancelled"
    wait_until(lambda: not live_coordinator.engine.leases._kept, description="it is left to itself")
    assert run.wait(TIMEOUT) == "cancelled"
    assert not run.letters()


@pytest.mark.parametrize("who", [asks, returns, waits], ids=["asks", "returns", "waits"])
def test_its_worker_ends(live_coordinator: Coordinator, who: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent whose worker is to end is told; its step is left to another worker, with the same attempt, and what it returned
    does not count. Here a worker comes again in the same process."""
    run = _start(live_coordinator, who)
    engine = live_coordinator.engine
    monkeypatch.setattr(engine.stopping, "_grace", 0.1)
    engine.stopping.begin()
    assert _heard() == "stopping"
    wait_until(lambda: len(seen.heard) > 1, description="it came again")
    assert run.status() == "running"
    assert {entry["kind"] for entry in run.history()} == {"started"}


def test_who_does_not_ask_finishes(live_coordinator: Coordinator) -> None:
    """What an agent makes that did not ask counts, also where its worker is to end."""
    run = _start(live_coordinator, does_not_ask)
    live_coordinator.engine.stopping.begin()
    assert run.result(TIMEOUT).text == "whole"


def test_closing_tells() -> None:
    """The end of an embedded coordinator is not held up by an agent that asks, nor by an async one."""
    with Coordinator(Settings(stop_grace=timedelta(milliseconds=100))) as coordinator:
        coordinator.start(Flow("told.flow", asks), Job(number="1"))
        coordinator.start(Flow("told.async", waits), Job(number="2"))
        wait_until(lambda: len(coordinator.engine.leases._kept) == 2, description="both are at work")
        began = time.monotonic()
    assert time.monotonic() - began < SOON
    assert set(seen.heard) == {"stopping"}
