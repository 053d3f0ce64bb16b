"""One event loop a process: what async agents share, and what cannot end it."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from handoffs.coordinator.handoff import loop as loops
from handoffs.coordinator.handoff.attempt import Attempted, attempt
from handoffs.coordinator.handoff.interruption import signals_told_apart
from handoffs.coordinator.handoff.loop import Loop, close_loop, loop_of_process
from tests.forking import forked
from tests.waiting import wait_until


class Due:
    """To be cancelled when the test says so."""

    def __init__(self) -> None:
        self.why = ""

    def due(self) -> str:
        return self.why


@pytest.fixture(autouse=True)
def _own_loop() -> Iterator[None]:
    close_loop()
    yield
    close_loop()


async def _here() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def test_there_is_one() -> None:
    """All that is awaited is in one loop, from whatever thread, and after one another."""
    found = [attempt(_here).value for _ in range(2)]
    threads = [threading.Thread(target=lambda: found.append(attempt(_here).value)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1


def test_many_wait_at_once() -> None:
    """As many as there are threads wait in it at the same time."""
    everybody = asyncio.Event()
    waiting = 0

    async def wait() -> int:
        nonlocal waiting
        waiting += 1
        if waiting == 50:
            everybody.set()
        await asyncio.wait_for(everybody.wait(), 20)
        return waiting

    found: list[Attempted] = []
    threads = [threading.Thread(target=lambda: found.append(attempt(wait))) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.value for one in found] == [50] * 50


def test_within_a_running_loop() -> None:
    """Where the caller's own thread runs a loop, and where it is the agents' loop that is called from, it is awaited all the
    same."""

    async def deep(depth: int) -> int:
        await asyncio.sleep(0)
        return attempt(lambda: deep(depth - 1)).value + 1 if depth else 0

    async def test() -> int:
        return attempt(lambda: deep(3)).value  # type: ignore[no-any-return]

    assert asyncio.run(test()) == 3


def test_a_plain_function_may_run_a_loop_of_its_own() -> None:
    """A plain function that runs a loop itself does so also where the caller's thread runs one; context variables are seen, and
    what it raises is what came of it."""

    def runs() -> int:
        assert number.get() == 5
        return asyncio.run(_value())

    def fails() -> int:
        raise SystemExit(asyncio.run(_value()))

    def nested(depth: int) -> Any:
        return attempt(lambda: deep(depth)).value

    async def deep(depth: int) -> Any:
        return attempt(lambda: nested(depth - 1)).value + 1 if depth else 0

    async def test() -> tuple[object, object, object]:
        number.set(5)
        return attempt(runs).value, getattr(attempt(fails).error, "code", None), nested(3)

    with signals_told_apart():
        assert asyncio.run(test()) == (7, 7, 3)
        failed = attempt(lambda: _raise(OSError())).error
    assert failed is not None
    assert failed.__context__ is None  # nothing of ours is told of beside it


ENDS: list[BaseException] = [
    SystemExit(1),
    KeyboardInterrupt(),
    GeneratorExit(),
    asyncio.CancelledError(),
    TimeoutError(),
    OSError(),
]


@pytest.mark.parametrize("error", ENDS, ids=repr)
def test_nothing_ends_it(error: BaseException) -> None:
    """Whatever a coroutine raises, or a task that it leaves behind, or a callback: it came of that attempt, and the loop goes
    on."""

    async def fails() -> None:
        raise error

    async def leaves_behind() -> None:
        asyncio.get_running_loop().call_soon(_raise, error)
        asyncio.get_running_loop().create_task(fails())
        await asyncio.sleep(0.01)

    async def stops() -> None:
        asyncio.get_running_loop().stop()

    with signals_told_apart():
        before = attempt(_here).value
        assert attempt(fails).error is error
        assert attempt(leaves_behind).error is None
        assert attempt(stops).error is None
        assert attempt(_here).value is before


def _raise(error: BaseException) -> None:
    raise error


class Later:
    """Something that can be awaited and is no coroutine."""

    def __await__(self) -> Any:
        return asyncio.sleep(0, 5).__await__()


def test_whatever_can_be_awaited() -> None:
    """A function that is not async may return something to be awaited."""
    assert attempt(Later).value == 5


number: contextvars.ContextVar[int] = contextvars.ContextVar("number", default=0)


async def _counts() -> int:
    number.set(number.get() + 1)
    await asyncio.sleep(0)
    return number.get()


@pytest.mark.parametrize(
    "count", [_counts, lambda: (number.set(number.get() + 1), number.get())[1]], ids=["async", "sync"]
)
def test_context_variables(count: Callable[[], int | Awaitable[int]]) -> None:
    """An attempt has its caller's context variables; what it sets is not seen by others, nor by its caller."""

    def work() -> tuple[int, int, int]:
        number.set(10)
        return attempt(count).value, attempt(count).value, number.get()

    assert contextvars.copy_context().run(work) == (11, 11, 10)


def test_cancelled() -> None:
    """It is cancelled once it is due, may clean up, and what came of it is what it raised."""
    due, cleaned = Due(), threading.Event()

    async def waits() -> None:
        due.why = "cancelled"
        try:
            await asyncio.sleep(600)
        finally:
            await asyncio.sleep(0)
            cleaned.set()

    assert isinstance(attempt(waits, due).error, asyncio.CancelledError)
    assert cleaned.is_set()


def test_what_does_not_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who goes on after it was cancelled is not waited for without end."""
    monkeypatch.setattr(loops, "_UNWIND", 0.1)
    monkeypatch.setattr(loops, "_GLANCE", 0.05)
    due, released = Due(), threading.Event()
    due.why = "cancelled"

    async def goes_on() -> None:
        while not released.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.02)

    assert isinstance(attempt(goes_on, due).error, asyncio.CancelledError)
    released.set()


def test_closing_cancels() -> None:
    """Where the process ends, what was left running is cancelled, and the next one that is needed is another."""
    ended = threading.Event()
    tasks = set()

    async def forever() -> None:
        try:
            await asyncio.sleep(600)
        finally:
            ended.set()

    async def leaves() -> None:
        tasks.add(asyncio.get_running_loop().create_task(forever()))
        await asyncio.sleep(0)

    attempt(leaves)
    before = loop_of_process()
    close_loop()
    assert ended.is_set()
    assert loop_of_process() is not before


def test_a_fork_has_its_own() -> None:
    """A child that is forked does not wait for a thread that it does not have, whoever held the lock."""
    attempt(_here)
    with loops._process.lock:
        found = forked(lambda: repr(attempt(_value).value))
    assert found() == "7"
    assert attempt(_value).value == 7


@pytest.mark.parametrize("ends", [0, 3, -1, None, "bye"])
@pytest.mark.parametrize("kind", ["plain", "async"])
def test_a_child_that_comes_back_ends(kind: str, ends: object) -> None:
    """A child that an agent forks itself, and that comes back from its function, ends there with its exit code: what follows is
    done once."""

    def forks() -> int:
        child = os.fork()
        if child == 0 and ends != -1:
            raise SystemExit(ends)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) if child else 0

    async def forks_too() -> int:
        await asyncio.sleep(0)
        return forks()

    assert attempt(forks if kind == "plain" else forks_too).value == {3: 3, "bye": 1}.get(ends, 0)


async def _value() -> int:
    await asyncio.sleep(0)
    return 7


def test_a_loop_that_is_closed_has_ended() -> None:
    """Nothing of a loop that was closed runs on."""
    loop = Loop("of-a-test")
    assert loop.perform(_value()) == 7
    assert loop.within.perform(_value()) == 7
    loop.close()
    names = {f"of-a-test{end}" for end in ("", "-within")}
    wait_until(
        lambda: not names & {thread.name for thread in threading.enumerate()},
        description="its threads have ended",
    )
