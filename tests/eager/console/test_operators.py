"""Operators: operations go on in the background of a console, a few at once, and are left where it ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from handoffs import Coordinator
from handoffs.coordinator.client.operation import Pace
from handoffs.coordinator.console import operators
from handoffs.coordinator.console.errors import Busy
from handoffs.coordinator.console.operators import Operators
from handoffs.coordinator.errors import ServerError, UnknownLetter
from tests.eager.console import bench
from tests.waiting import wait_until


@pytest.fixture(autouse=True)
def _mended() -> Iterator[None]:
    with bench.mended():
        yield


@pytest.fixture
def desk(anywhere: Coordinator, monkeypatch: pytest.MonkeyPatch) -> Coordinator:
    """A coordinator with a flow that fails where it is told to."""
    return bench.loaded(anywhere, monkeypatch)


def test_an_operation_is_left_where_the_console_ends(desk: Coordinator) -> None:
    """Nobody stops it: it is running, without a process, and whoever resumes it goes on; each letter is replayed once."""
    letters = bench.failed(desk, 4)
    made = Operators(desk)
    begun = made.begin("replay", {}, Pace(rate=0.5), by="ann", why="mended")
    wait_until(lambda: desk.operation(begun).done >= 1, description="it has begun")
    assert made.is_at_work(begun)
    made.close()
    assert not made.is_at_work(begun)
    left = desk.operation(begun)
    assert (left.state, left.pending) == ("running", 4 - left.done)
    desk.replay_letters([]) if left.done else None
    second = Operators(desk)
    desk.journal.operations.allow(begun, 1, rate=None)
    second.resume(begun, by="bob", why="the console was restarted")
    wait_until(lambda: desk.operation(begun).state == "done", description="it is done")
    second.close()
    assert [desk.find_letter(one.id).replays for one in letters] == [1] * 4


def test_no_more_than_a_few_go_on_at_once(desk: Coordinator, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is refused before anything is written down; when one is over there is room again, also after one that could not begin."""
    letters = bench.failed(desk, 2)
    monkeypatch.setattr(operators, "MOST", 1)
    gate, going = threading.Event(), type(desk.operating).go_on

    def wait(self: object, *given: object, **more: object) -> None:
        assert gate.wait(20)
        going(self, *given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(type(desk.operating), "go_on", wait)
    made = Operators(desk)
    first = made.begin("replay", letters[:1], Pace(), by="", why="")
    with pytest.raises(Busy, match="1 operations already"):
        made.begin("replay", letters[1:], Pace(), by="", why="")
    assert [one.id for one in desk.operations()] == [first]
    gate.set()
    wait_until(lambda: not made.is_at_work(first), description="it is over")
    with pytest.raises(UnknownLetter):
        made.begin("replay", "nobody", Pace(), by="", why="")
    second = made.begin("replay", letters[1:], Pace(), by="", why="")
    wait_until(lambda: desk.operation(second).state == "done", description="the other is done")
    made.close()
    with pytest.raises(Busy):
        made.begin("replay", letters, Pace(), by="", why="")


def test_a_server_that_is_away_leaves_it_to_be_resumed(
    desk: Coordinator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The thread ends, the log says so, and it is running without a process."""
    letters = bench.failed(desk, 1)

    def away(self: object, *given: object, **more: object) -> None:
        raise ServerError("the broker is away")

    with monkeypatch.context() as patch:
        patch.setattr(type(desk.operating), "go_on", away)
        made = Operators(desk)
        begun = made.begin("replay", letters, Pace(), by="", why="")
        wait_until(lambda: not made.is_at_work(begun), description="its thread has ended")
    assert "the broker is away" in caplog.text
    assert desk.operation(begun).state == "running"
    made.resume(begun, by="", why="")
    wait_until(lambda: desk.operation(begun).state == "done", description="it is done")
    made.close()
