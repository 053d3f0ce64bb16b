"""What async agents share is opened once in a process, and closed when it ends, after those who use it."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from handoffs import lifespan
from handoffs.coordinator.errors import AgentError
from handoffs.coordinator.handoff.loop import Loop

_STEP: contextvars.ContextVar[str] = contextvars.ContextVar("step", default="no step")


class Opened:
    """What was opened and closed, in order, by functions that are made for it."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.fails: list[BaseException] = []

    def make(self, name: str, needs: Any = None) -> Any:
        async def opened() -> AsyncIterator[str]:
            if needs is not None:
                await needs()
            await asyncio.sleep(0)
            if self.fails:
                raise self.fails.pop()
            self.events.append(f"{name} opened in {_STEP.get()}")
            yield name
            await asyncio.sleep(0)
            self.events.append(f"{name} closed")

        return lifespan(opened)


@pytest.fixture
def opened() -> Opened:
    return Opened()


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop("lifespans")
    yield made
    made.close()


async def each(*asked: Any) -> list[Any]:
    return list(await asyncio.gather(*(one() for one in asked)))


def test_it_is_opened_once(opened: Opened, loop: Loop) -> None:
    """However many ask for it at the same time and later: in the context of none of them."""
    client = opened.make("client")
    _STEP.set("a step")
    assert loop.perform(each(*[client] * 20)) == ["client"] * 20
    assert loop.perform(client()) == "client"
    assert opened.events == ["client opened in no step"]


def test_it_is_closed_at_the_end(opened: Opened) -> None:
    """After those who are at work have ended, what was opened last first, since it may need what was opened before."""
    loop = Loop("ends")
    pool = opened.make("pool")
    client = opened.make("client", needs=pool)

    begun = asyncio.Event()

    async def works() -> None:
        await client()
        opened.events.append("at work")
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            opened.events.append("not at work")

    tasks: list[asyncio.Task[None]] = []  # the loop alone would not keep it

    async def begins() -> None:
        tasks.append(asyncio.get_running_loop().create_task(works()))
        await begun.wait()

    loop.perform(begins())
    loop.close()
    assert opened.events == [
        "pool opened in no step",
        "client opened in no step",
        "at work",
        "not at work",
        "client closed",
        "pool closed",
    ]


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), KeyboardInterrupt()])
def test_it_cannot_be_opened(opened: Opened, loop: Loop, error: BaseException) -> None:
    """Whoever asks is told, all that ask at the same time; who asks later tries again."""
    client = opened.make("client")
    opened.fails.append(error)

    async def both() -> list[Any]:
        return list(await asyncio.gather(client(), client(), return_exceptions=True))

    if isinstance(error, Exception):
        assert loop.perform(both()) == [error, error]
    else:
        with pytest.raises(type(error)):
            loop.perform(client())
    assert loop.perform(client()) == "client"


def test_one_who_asks_is_cancelled(opened: Opened, loop: Loop) -> None:
    """The others get it all the same."""
    client = opened.make("client")

    async def one_is_cancelled() -> Any:
        first = asyncio.ensure_future(client())
        second = asyncio.ensure_future(client())
        await asyncio.sleep(0)
        first.cancel()
        return await second

    assert loop.perform(one_is_cancelled()) == "client"
    assert opened.events == ["client opened in no step"]


def test_each_loop_has_its_own(opened: Opened) -> None:
    """A test that runs an agent by itself, in a loop of its own, leaves nothing open."""
    client = opened.make("client")
    for _ in range(2):
        assert asyncio.run(client()) == "client"
    assert opened.events == ["client opened in no step", "client closed"] * 2


def test_it_cannot_be_closed(opened: Opened, caplog: pytest.LogCaptureFixture) -> None:
    """That is said, and keeps nobody from ending."""

    async def odd() -> AsyncIterator[str]:
        yield "odd"
        raise ValueError("no")

    found: Any = lifespan(odd)
    assert asyncio.run(found()) == "odd"
    assert "odd could not be closed: ValueError" in caplog.text


async def _plain() -> str:
    return ""


async def _with_parameter(what: str) -> AsyncIterator[str]:
    yield what


@pytest.mark.parametrize("wrong", [_plain, _with_parameter, lambda: None, "text", None])
def test_wrong_uses(wrong: Any) -> None:
    """It is said in one line what it is for."""
    with pytest.raises(AgentError, match=r"^@lifespan is given [^\n]*yields it once"):
        lifespan(wrong)
