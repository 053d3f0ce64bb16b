"""Threads: where a server hangs, coroutines wait for it side by side, however many they are and however few the threads."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from handoffs.coordinator.client.threads import Threads
from handoffs.coordinator.errors import ServerError

PATIENCE = 0.5  # seconds


@pytest.fixture
def threads() -> Iterator[Threads]:
    threads = Threads(timedelta(seconds=PATIENCE))
    yield threads
    threads.close()


class Server:
    """One that leaves calls without an answer while it hangs."""

    def __init__(self) -> None:
        self.called = 0
        self._back = threading.Event()

    def ask(self) -> str:
        self.called += 1
        if self._back.wait(PATIENCE):
            return "answer"
        raise ServerError("no answer")

    def comes_back(self) -> None:
        self._back.set()


async def ask(threads: Threads, server: Server, many: int) -> list[str | BaseException]:
    return await asyncio.gather(*(threads.call(server.ask) for _ in range(many)), return_exceptions=True)


class TestServerThatHangs:
    def test_it_is_not_waited_for_in_turns(self, threads: Threads) -> None:
        """Whoever had to wait for a turn that long is told, and asks for nothing any more."""
        server = Server()
        began = time.monotonic()
        found = asyncio.run(ask(threads, server, 320))
        assert time.monotonic() - began < 10 * PATIENCE  # in turns it would be 20
        assert {type(one) for one in found} == {ServerError}
        assert server.called < 160

    def test_who_comes_after_that_asks(self, threads: Threads) -> None:
        """Also where the one who came before was told that it hangs."""
        server = Server()
        asyncio.run(ask(threads, server, 40))
        server.comes_back()
        assert asyncio.run(ask(threads, server, 40)) == ["answer"] * 40

    def test_one_that_comes_back_answers_all_who_wait(self, threads: Threads) -> None:
        """Nobody is told that it hangs before it has left anybody without an answer."""
        server = Server()
        timer = threading.Timer(PATIENCE / 5, server.comes_back)
        timer.start()
        assert asyncio.run(ask(threads, server, 100)) == ["answer"] * 100
        timer.join()

    def test_what_is_refused_at_once_is_no_reason(self, threads: Threads) -> None:
        """Each asks for itself, however long it has waited for its turn."""
        called: list[int] = []

        def refuse() -> None:
            called.append(1)
            time.sleep(PATIENCE / 10)
            raise ServerError("refused")

        async def main() -> list[BaseException | None]:
            return await asyncio.gather(*(threads.call(refuse) for _ in range(200)), return_exceptions=True)

        asyncio.run(main())
        assert len(called) == 200
