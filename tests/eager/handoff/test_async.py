"""Async agents: what they share, and where they may be started from."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import pytest

from handoffs import Contract, Coordinator, Flow, Key, Retry, agent, parallel
from handoffs.config.settings import Settings

TIMEOUT = 20.0
trail: contextvars.ContextVar[str] = contextvars.ContextVar("trail", default="")


class Job(Contract, name="async.job", version=1):
    number: str = Key()
    text: str = ""


class Client:
    """A connection that belongs to the event loop in which it was made, as those of every async library."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[str] | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.answering: asyncio.Task[None] | None = None
        self.answers: dict[str, asyncio.Future[str]] = {}

    async def ask(self, text: str) -> str:
        if self.asked is None:
            self.asked, self.loop = asyncio.Queue(), asyncio.get_running_loop()
            self.answering = self.loop.create_task(self._answer())
        answer = self.answers[text] = asyncio.get_running_loop().create_future()
        await self.asked.put(text)
        return await asyncio.wait_for(answer, 10)

    async def _answer(self) -> None:
        assert self.asked is not None
        while True:
            text = await self.asked.get()
            self.answers.pop(text).set_result(f"answer to {text}")


client = Client()


@agent("async.ask", retry=Retry(attempts=1))
async def ask(job: Job) -> Job:
    return Job(number=job.number, text=await client.ask(job.number))


@agent("async.ask-too", retry=Retry(attempts=1))
async def ask_too(job: Job) -> Job:
    return Job(number=job.number, text=await client.ask(f"{job.number}-too"))


@agent("async.sets", retry=Retry(attempts=1))
async def sets(job: Job) -> Job:
    seen = trail.get()
    trail.set("async")
    await asyncio.sleep(0)
    return Job(number=job.number, text=job.text + seen)


@agent("async.sets-plain", retry=Retry(attempts=1))
def sets_plain(job: Job) -> Job:
    seen = trail.get()
    trail.set("plain")
    return Job(number=job.number, text=job.text + seen)


@agent("async.starts", retry=Retry(attempts=1))
async def starts(job: Job) -> Job:
    """An async agent that uses a flow of its own, in its test's way."""
    with Coordinator(Settings(eager=True)) as inner:
        found = inner.start(Flow("async.inner", sets), Job(number=job.number)).result(TIMEOUT)
    assert isinstance(found, Job)
    return found


def test_a_client_is_shared(anywhere: Coordinator) -> None:
    """A client that was made in one step works in the next, in those of later runs, and in two at once."""
    flow = Flow("async.shared", ask >> parallel(left=ask, right=ask_too))
    runs = [anywhere.start(flow, Job(number=str(number))) for number in range(5)]
    found: list[Any] = [run.result(TIMEOUT) for run in runs]
    assert [one["right"].text for one in found] == [f"answer to {number}-too" for number in range(5)]


@pytest.mark.parametrize(
    "steps", [sets >> sets_plain >> sets, sets_plain >> sets >> sets_plain], ids=["async", "plain"]
)
def test_a_step_does_not_see_what_another_set(anywhere: Coordinator, steps: object) -> None:
    """Context variables that a step sets are not there in the next one, nor in its run's starter."""
    for number in range(10):  # in every thread, several times
        flow = Flow("async.sets", steps)  # type: ignore[arg-type]
        assert anywhere.start(flow, Job(number=str(number))).result(TIMEOUT).text == ""
    assert trail.get() == ""


def test_a_test_may_be_a_coroutine(anywhere: Coordinator) -> None:
    """Runs with async agents are started, and waited for, from within a running loop; and from within an async agent."""

    async def test() -> str:
        run = anywhere.start(Flow("async.of-coroutine", sets >> starts), Job(number="1"))
        return run.wait(TIMEOUT)

    assert asyncio.run(test()) == "completed"
