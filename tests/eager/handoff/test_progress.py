"""Progress: how far an agent is can be seen while it is at work; one that gives no sign for too long is stalled."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from handoffs import Context, Contract, Coordinator, Flow, Key, Retry, agent
from handoffs.config.logs import PROGRESS
from handoffs.coordinator.errors import AgentError, Stalled
from handoffs.coordinator.observe.current import Current
from tests.eager.command import Command
from tests.waiting import wait_until

TIMEOUT = 20.0
let_go = threading.Event()
heard: list[str] = []


class Job(Contract, name="progress.job", version=1):
    number: str = Key()
    text: str = ""


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    let_go.clear()
    heard.clear()
    yield
    let_go.set()


ONCE = Retry(attempts=1)
AGAIN = Retry(attempts=2, backoff=timedelta(milliseconds=1))
SECOND = timedelta(seconds=1)


@agent("progress.plain", retry=ONCE)
def plain(job: Job, context: Context) -> Job:
    context.progress("page 1 of 4\x1b[2J", 0.25)
    assert let_go.wait(TIMEOUT)
    return job


@agent("progress.async", retry=ONCE)
async def waits(job: Job, context: Context) -> Job:
    context.progress("page 1 of 4\x1b[2J", 0.25)
    while not let_go.is_set():  # noqa: ASYNC110 - another thread lets go
        await asyncio.sleep(0.01)
    return job


@agent("progress.often", retry=ONCE)
def often(job: Job, context: Context) -> Job:
    for number in range(10_000):
        context.progress(f"item {number}", number / 10_000)
    return job


@agent("progress.silent", retry=AGAIN, idle=SECOND)
def silent(job: Job, context: Context) -> Job:
    until = time.monotonic() + TIMEOUT
    while not context.cancelled and context.attempt == 1 and time.monotonic() < until:
        let_go.wait(0.02)
    heard.append(context.ending())
    context.progress("it goes on")
    return Job(number=job.number, text=str(context.attempt))


@agent("progress.silent-async", retry=AGAIN, idle=SECOND)
async def silent_async(job: Job, context: Context) -> Job:
    if context.attempt == 1:
        try:
            await asyncio.sleep(TIMEOUT)
        finally:
            heard.append(context.ending())
    return Job(number=job.number, text=str(context.attempt))


@agent("progress.busy", retry=ONCE, idle=SECOND)
def busy(job: Job, context: Context) -> Job:
    for number in range(8):
        time.sleep(0.2)
        if number % 2:
            context.progress("more")
        else:
            context.once(f"call {number}", lambda: 1)
    return job


@agent("progress.stuck", retry=ONCE, idle=SECOND)
def stuck(job: Job, context: Context) -> Job:
    assert let_go.wait(TIMEOUT)
    return Job(number=job.number, text="whole")


@agent("progress.nonsense", retry=ONCE)
def nonsense(job: Job, context: Context) -> Job:
    context.progress("far", 7)
    return job


def _running(coordinator: Coordinator, step: Any) -> tuple[Any, Any]:
    run = coordinator.start(Flow("progress.flow", step), Job(number="1"))

    def seen() -> Current | None:
        return next((one for one in run.current() if one.progress or one.stalled), None)

    return run, wait_until(seen, description="it is seen how far it is")


@pytest.mark.parametrize("who", [plain, waits], ids=["plain", "async"])
def test_seen(live_coordinator: Coordinator, command: Command, who: Any) -> None:
    """Python, `runs show` and its JSON have what an agent at work said last, without what a terminal obeys; the history has nothing, and
    what is there in Redis ends by itself."""
    run, found = _running(live_coordinator, who)
    assert (found.progress, found.share, found.state) == ("page 1 of 4\\u001b[2J", 0.25, "running")
    assert found.words() == "running, 25 %: page 1 of 4\\u001b[2J"
    assert found.to_json()["share"] == 0.25
    [now] = command.json(live_coordinator, "runs", "show", run.id)["now"]
    assert (now["progress"], now["share"]) == (found.progress, 0.25)
    assert "25 %: page 1 of 4" in command(live_coordinator, "runs", "show", run.id)[1]
    store = live_coordinator.engine.store
    assert store.redis.pttl(store.keys.progress(run.id)) > 0
    let_go.set()
    assert run.wait(TIMEOUT) == "completed"
    assert {entry["kind"] for entry in run.history()} == {"started", "settled"}
    assert not run.current()


def test_very_often(anywhere: Coordinator, caplog: pytest.LogCaptureFixture) -> None:
    """Ten thousand calls take no time to speak of: no history, and a line of the log a second."""
    caplog.set_level(logging.INFO, PROGRESS)
    began = time.monotonic()
    run = anywhere.start(Flow("progress.flow", often), Job(number="1"))
    assert run.wait(TIMEOUT) == "completed"
    took = time.monotonic() - began
    lines = [record.getMessage() for record in caplog.records if record.name == PROGRESS]
    assert 1 <= len(lines) <= took + 1
    assert lines[0].endswith("agent=progress.often: 0 %: item 0")
    assert len(run.history()) == 2


@pytest.mark.parametrize("who", [silent, silent_async], ids=["plain", "async"])
def test_stalled(anywhere: Coordinator, caplog: pytest.LogCaptureFixture, who: Any) -> None:
    """Who gives no sign for longer than the idle limit is told to end, an async agent by being cancelled; the attempt has failed, the log
    says so, and the next one is made."""
    run = anywhere.start(Flow("progress.flow", who), Job(number="1"))
    assert run.result(TIMEOUT).text == "2"
    assert heard[0] == "stalled"
    [retried] = [entry for entry in run.history() if entry["kind"] == "retried"]
    assert retried["error"].startswith(
        "Stalled: the agent gave no sign for longer than its idle limit of 0:00:01"
    )
    assert any("is stalled" in record.getMessage() for record in caplog.records)


def test_seen_to_be_stalled(live_coordinator: Coordinator) -> None:
    """A plain agent that never asks cannot be stopped: that it has stalled is shown, since when, and what it returns counts."""
    run, found = _running(live_coordinator, stuck)
    assert found.stalled is not None
    assert found.since is not None
    assert timedelta(seconds=-1) < found.stalled - found.since < SECOND
    assert found.words().startswith("running, stalled for ")
    let_go.set()
    assert run.result(TIMEOUT).text == "whole"


def test_signs_of_life(anywhere: Coordinator) -> None:
    """Whoever says how far it is, or has a call recorded, may take as long as it likes."""
    assert anywhere.start(Flow("progress.flow", busy), Job(number="1")).wait(TIMEOUT) == "completed"


def test_nonsense(anywhere: Coordinator) -> None:
    """What is no progress is the agent's error, with a remedy."""
    run = anywhere.start(Flow("progress.flow", nonsense), Job(number="1"))
    assert run.wait(TIMEOUT) == "parked"
    [parked] = [entry for entry in run.history() if entry["kind"] == "parked"]
    assert "AgentError: progress() is given 7 as the share that is done" in parked["error"]


@pytest.mark.parametrize(
    "idle", [5, timedelta(0), timedelta(milliseconds=999), "1 s", timedelta(days=40_000)]
)
def test_no_idle_limit(idle: Any) -> None:
    """What is no idle limit is refused where the agent is declared."""
    with pytest.raises(AgentError, match="idle limit"):
        agent("progress.none", idle=idle)


def test_is_retried_unless_the_policy_says_otherwise() -> None:
    """To stall is a transient failure with a name, so that a policy can treat it in another way; it uses up attempts."""
    assert Retry().verdict(1, Stalled("no sign")).counts
    assert Retry(never=("Stalled",)).wait(1, Stalled("no sign")) is None
