"""Async agents that are begun: many are at work at once, and no thread waits for any of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextvars import ContextVar
from typing import Any

import pytest

from handoffs.coordinator.handoff import attempt as attempts
from handoffs.coordinator.handoff import loop as loops
from handoffs.coordinator.handoff.attempt import Attempted, begin
from handoffs.coordinator.handoff.loop import Loop

_SAID: ContextVar[str] = ContextVar("said", default="nothing")


class Stop:
    """Says when it is to end."""

    def __init__(self) -> None:
        self.why = ""
        self.fails = False

    def due(self) -> str:
        if self.fails:
            raise ValueError("no")
        return self.why


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loop]:
    """A loop of its own, that looks around often."""
    monkeypatch.setattr(loops, "_GLANCE", 0.02)
    monkeypatch.setattr(loops, "_UNWIND", 0.1)
    made = Loop("begun")
    monkeypatch.setattr(attempts, "loop_of_process", lambda: made)
    yield made
    made.close()


def begun(function: Any, stop: Stop | None = None) -> Future[Attempted]:
    told: Future[Attempted] = Future()
    begin(function, stop or Stop(), told.set_result)
    return told


@pytest.mark.usefixtures("loop")
class TestBegin:
    def test_many_wait_at_once(self, loop: Loop) -> None:
        """Two thousand are at work, and there are no more threads than before."""
        let, before = asyncio.Event(), threading.active_count()

        async def waits(number: int) -> int:
            await let.wait()
            return number

        told = [begun(lambda number=number: waits(number)) for number in range(2000)]
        assert threading.active_count() <= before
        loop._loop.call_soon_threadsafe(let.set)
        assert [one.result(20).value for one in told] == [*range(2000)]

    @pytest.mark.parametrize(
        "raised", [ValueError("no"), SystemExit(3), KeyboardInterrupt(), GeneratorExit()]
    )
    def test_whatever_is_raised(self, raised: BaseException) -> None:
        """It is what came of the call, and ends neither the loop nor another."""

        async def raises() -> None:
            raise raised

        async def works() -> int:
            await asyncio.sleep(0.01)
            return 1

        other = begun(works)
        assert begun(raises).result(10).error is raised
        assert other.result(10) == Attempted(1)

    def test_what_is_raised_before_there_is_anything_to_await(self) -> None:
        """So is that."""

        def raises() -> Any:
            raise ValueError("no")

        assert isinstance(begun(raises).result(10).error, ValueError)

    def test_its_context(self) -> None:
        """It sees what its caller has set; what it sets, nobody else sees."""

        async def sets(what: str) -> str:
            seen = _SAID.get()
            _SAID.set(what)
            await asyncio.sleep(0.01)
            return f"{seen} {_SAID.get()}"

        token = _SAID.set("caller")
        try:
            told = [begun(lambda what=what: sets(what)) for what in "ab"]
        finally:
            _SAID.reset(token)
        assert [one.result(10).value for one in told] == ["caller a", "caller b"]

    def test_it_is_told_to_end(self, loop: Loop) -> None:
        """It is cancelled, and what it makes of that is what came of it; the others go on."""
        stop = Stop()

        async def deals() -> str:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                return "dealt with"
            return "slept"

        async def sleeps() -> None:
            await asyncio.sleep(60)

        let = asyncio.Event()

        async def other() -> str:
            await let.wait()
            return "well"

        well = begun(other)
        dealt, cancelled = begun(deals, stop), begun(sleeps, stop)
        stop.why = "cancelled"
        assert dealt.result(10) == Attempted("dealt with")
        assert isinstance(cancelled.result(10).error, asyncio.CancelledError)
        assert not well.done()
        loop._loop.call_soon_threadsafe(let.set)
        assert well.result(10) == Attempted("well")

    def test_it_does_not_end(self, loop: Loop) -> None:
        """What goes on all the same is left to itself, and counts as cancelled."""
        stop, let = Stop(), asyncio.Event()
        stop.why = "cancelled"

        async def goes_on() -> str:
            while not let.is_set():
                try:
                    await let.wait()
                except asyncio.CancelledError:
                    continue
            return "late"

        assert isinstance(begun(goes_on, stop).result(10).error, asyncio.CancelledError)
        loop._loop.call_soon_threadsafe(let.set)

    def test_one_that_cannot_be_asked(self, loop: Loop) -> None:
        """Where nobody can say whether one is to end, the others are told all the same."""
        broken, stop = Stop(), Stop()
        broken.fails, stop.why = True, "cancelled"
        let = asyncio.Event()

        async def waits() -> str:
            await let.wait()
            return "well"

        odd, cancelled = begun(waits, broken), begun(waits, stop)
        assert isinstance(cancelled.result(10).error, asyncio.CancelledError)
        loop._loop.call_soon_threadsafe(let.set)
        assert odd.result(10) == Attempted("well")


def test_the_loop_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is at work then is cancelled, and told of."""
    loop = Loop("ends")
    monkeypatch.setattr(attempts, "loop_of_process", lambda: loop)

    async def sleeps() -> None:
        await asyncio.sleep(60)

    told = begun(sleeps)
    loop.close()
    assert isinstance(told.result(10).error, asyncio.CancelledError)
