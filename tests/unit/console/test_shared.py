"""What is asked for once for all who look."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from handoffs.coordinator.console.shared import Shared
from handoffs.coordinator.errors import ServerError
from tests.waiting import wait_until


def test_many_who_look_ask_once() -> None:
    """Ten who look at the same time get one answer, for which was asked once; so do those who look while it is fresh."""
    asked: list[int] = []
    everybody = threading.Barrier(10)
    released = threading.Event()

    def ask() -> int:
        asked.append(1)
        assert released.wait(20)
        return len(asked)

    shared = Shared("it", ask, fresh=60, within=20)

    def look() -> int:
        everybody.wait(20)
        return shared.get()

    with ThreadPoolExecutor(10) as pool:
        found = [pool.submit(look) for _ in range(10)]
        released.set()
        assert {one.result(20) for one in found} == {1}
    assert shared.get() == 1
    assert asked == [1]


def test_what_is_old_is_asked_for_again() -> None:
    """Where it may not be old at all, each look asks."""
    numbers = iter(range(10))
    shared = Shared("it", lambda: next(numbers), fresh=0)
    assert [shared.get(), shared.get()] == [0, 1]


def test_a_server_that_hangs_holds_nobody_up() -> None:
    """Who looks is told within the time that is given, and it is not asked a second time meanwhile; once it answers, it is good again."""
    released, asked = threading.Event(), list[int]()

    def ask() -> str:
        asked.append(1)
        assert released.wait(20)
        return "there"

    shared = Shared("the map", ask, fresh=60, within=0.05)
    for _ in range(3):
        with pytest.raises(ServerError, match=r"the map took longer than 0.05 s"):
            shared.get()
    assert asked == [1]
    released.set()

    def answered() -> bool:
        try:
            return shared.get() == "there"
        except ServerError:
            return False

    wait_until(answered, description="it answers again")
    assert asked == [1]


def test_what_fails_is_told_to_all() -> None:
    """An error is raised where it was looked, and the next look asks again."""
    answers: list[object] = [ServerError("Redis is away"), "there"]

    def ask() -> object:
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    shared = Shared("it", ask)
    with pytest.raises(ServerError, match="Redis is away"):
        shared.get()
    assert shared.get() == "there"
