"""Whatever code of a user raises, wherever: its step is parked, its lease given back, and the worker goes on."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from pydantic import field_validator

from handoffs import Context, Contract, Coordinator, Flow, Key, Retry, Transient, agent, gather, on
from tests.waiting import wait_until

TIMEOUT = 20.0


class Own(BaseException):
    """An exception that is no ``Exception``; as an extension's panic is none."""


class Mute(Exception):
    """Nothing can be had of it: no text, and no copy for another process."""

    def __str__(self) -> str:
        raise KeyboardInterrupt

    __repr__ = __str__

    def __reduce__(self) -> Any:
        raise SystemExit(1)


def _deep() -> None:
    _deep()


def _raises(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


RAISED: dict[str, Callable[[], None]] = {
    "CancelledError": _raises(asyncio.CancelledError()),
    "SystemExit": lambda: sys.exit(3),
    "SystemExit of a signal": lambda: sys.exit(-241),
    "GeneratorExit": _raises(GeneratorExit()),
    "KeyboardInterrupt": _raises(KeyboardInterrupt()),
    "Own": _raises(Own()),
    "Mute": _raises(Mute()),
    "StopIteration": _raises(StopIteration(1)),
    "RecursionError": _deep,
    "MemoryError": _raises(MemoryError()),
    "BaseExceptionGroup": _raises(BaseExceptionGroup("two", [ValueError("no"), SystemExit(3)])),
}
armed: dict[str, str] = {}
"""Where what is to be raised."""


def _at(place: str) -> None:
    if kind := armed.get(place):
        RAISED[kind]()


class Job(Contract, name="raised.job", version=1):
    number: str = Key()
    text: str = ""

    @field_validator("text")
    @classmethod
    def _text(cls, text: str) -> str:
        _at(text)
        return text


class Made(Contract, name="raised.made", version=1):
    number: str = Key()
    text: str = ""

    @field_validator("text")
    @classmethod
    def _text(cls, text: str) -> str:
        _at(f"made of {text}" if text else "")
        return text


class News(Contract, name="raised.news", version=1):
    number: str = Key()
    page: str


class Page(Contract, name="raised.page", version=1):
    parts: list[News]


def _key(job: Job) -> str:
    _at("key")
    return job.number


@agent("raised.sync", retry=Retry(attempts=1), key=_key)
def work(job: Job) -> Made:
    _at("sync")
    return Made.model_construct(number=job.number, text=job.text)


@agent("raised.async", retry=Retry(attempts=1))
async def work_async(job: Job) -> Made:
    await asyncio.sleep(0)
    _at("async")
    return Made(number=job.number)


@agent("raised.later", retry=Retry(attempts=2, backoff=timedelta(milliseconds=1)))
def later(job: Job, context: Context) -> Made:
    if "later" in armed:  # its input is not what it was when it comes again
        armed["input"] = armed.pop("later")
        raise Transient("again")
    return Made(number=job.number)


@agent("raised.again", retry=Retry(attempts=3, backoff=timedelta(milliseconds=1)))
def again(job: Job, context: Context) -> Made:
    if context.attempt < 3:
        raise ExceptionGroup("two", [OSError(), Transient("busy", retry_after=timedelta())])
    return Made(number=job.number)


FLOWS = {
    "sync": (Flow("raised.of-sync", work), ""),
    "async": (Flow("raised.of-async", work_async), ""),
    "key": (Flow("raised.of-key", work), ""),
    "made of output": (Flow("raised.of-output", work), "output"),
    "later": (Flow("raised.of-input", later), "input"),
}


@pytest.fixture(autouse=True)
def _nothing_armed() -> Iterator[None]:
    armed.clear()
    yield
    armed.clear()


@pytest.mark.parametrize("place", FLOWS)
def test_it_is_parked(anywhere: Coordinator, place: str) -> None:
    """Whatever an agent, its key function, or a validator of its input or output raises: the step is parked with that name; once
    it is mended a replay completes the run at once, for nothing holds its key, and another run is not hindered."""
    flow, text = FLOWS[place]
    for raised in RAISED:
        armed[place] = raised
        run = anywhere.start(flow, Job.model_construct(number=raised, text=text))
        assert run.wait(TIMEOUT) == "parked", raised
        [letter] = wait_until(run.letters, description="the letter is there")
        assert raised.partition(" ")[0] in f"{letter.error} {letter.text}"
        armed.clear()
        assert anywhere.start(flow, Job(number=f"after {raised}")).wait(TIMEOUT) == "completed"
        letter.replay()
        assert run.wait(TIMEOUT) == "completed"


def test_a_group_is_tried_again(anywhere: Coordinator) -> None:
    """A group of exceptions that all may pass is one failed attempt of as many as the policy has."""
    run = anywhere.start(Flow("raised.of-again", again), Job(number="1"))
    assert run.wait(TIMEOUT) == "completed"
    assert [entry["kind"] for entry in run.history()].count("retried") == 2


@pytest.mark.parametrize("raised", ["SystemExit", "GeneratorExit", "Own"])
def test_a_set_is_parked(anywhere: Coordinator, raised: str) -> None:
    """What decides whether a set of events is complete may raise anything: its event is parked, and no worker ends."""

    def complete(parts: Sequence[News]) -> bool:
        _at("set")
        return len(parts) == 2

    page = on(News, gather=gather("parts", by="page", until=complete, within=timedelta(hours=1)))(
        agent("raised.page", retry=Retry(attempts=1))(_page)
    )
    anywhere.work([page])
    armed["set"] = raised
    story = anywhere.emit(News(number="1", page="p"))
    [letter] = wait_until(story.letters, description="the letter is there")
    assert letter.error == raised
    armed.clear()
    letter.replay()
    other = anywhere.emit(News(number="2", page="p"))
    wait_until(
        lambda: any(one["kind"] == "settled" for one in (*story.history(), *other.history())),
        description="it is set",
    )


def _page(page: Page) -> None:
    pass
