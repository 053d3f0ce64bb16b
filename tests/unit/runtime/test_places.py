"""The places of a pool: who has none waits, and goes back where another worker may be idle."""

from __future__ import annotations

from typing import Any

import pytest

from handoffs.coordinator.errors import QueueFull
from handoffs.coordinator.messaging.queues import Depth
from handoffs.coordinator.runtime import places as module
from handoffs.coordinator.runtime.places import Places, Waiting
from tests.waiting import wait_until


class Pool:
    """Notes what begins and what goes back."""

    def __init__(self, number: int) -> None:
        self.places = Places(None, number, lambda begin: begin())
        self.begun: list[str] = []
        self.returned: list[str] = []
        self.full = False

    def take(self, name: str, queue: str = "q", *, since: float = 0.0) -> None:
        """A message comes, which has waited ``since`` then."""
        self.places.take(
            Waiting(queue, "", lambda: self.begun.append(name), lambda: self._give_back(name), since=since)
        )

    def end(self) -> None:
        """A message ends, as it is acknowledged and then, by mistake, rejected."""
        for end in self.places.leaving(lambda: None, lambda: None):
            end()

    def _give_back(self, name: str) -> None:
        if self.full:
            raise QueueFull("no room")
        self.returned.append(name)


@pytest.fixture
def depths(monkeypatch: pytest.MonkeyPatch) -> dict[str, Depth]:
    """What the broker says of its queues."""
    found: dict[str, Depth] = {}

    def look(_app: Any, queues: set[str], **_: Any) -> dict[str, Depth]:
        return {queue: found[queue] for queue in queues}

    monkeypatch.setattr(module, "depths", look)
    return found


def looked(pool: Pool) -> None:
    """Look, and wait until that is done."""
    pool.places.look()
    wait_until(lambda: not pool.places._looking, description="it has looked")


def test_who_has_no_place_waits() -> None:
    """As many are begun as there are places; each that ends, once, lets the next begin, in their order."""
    pool = Pool(2)
    for name in "abcd":
        pool.take(name)
    assert pool.begun == ["a", "b"]
    pool.end()
    assert pool.begun == ["a", "b", "c"]
    pool.end()
    pool.end()
    pool.take("e")
    assert pool.begun == ["a", "b", "c", "d", "e"]


def test_what_another_could_begin_goes_back(depths: dict[str, Depth]) -> None:
    """What has waited for a moment goes back if its queue is empty and others take from it. Where messages wait, all others are
    busy too; what is heard in order keeps its place."""
    depths.update(idle=Depth(0, 2), busy=Depth(7, 2), own=Depth(0, 1))
    pool = Pool(1)
    pool.take("long")
    for queue in ("idle", "busy", "own", ""):
        pool.take(f"of {queue}", queue)
    pool.take("new", "idle", since=float("inf"))
    looked(pool)
    assert pool.returned == ["of idle"]
    for _ in range(4):
        pool.end()
    assert pool.begun == ["long", "of busy", "of own", "of ", "new"]


def test_what_cannot_go_back_waits_on(depths: dict[str, Depth]) -> None:
    """Where the broker does not take it, it is not lost: it is begun here, before those that came later."""
    depths.update(idle=Depth(0, 2))
    pool = Pool(1)
    pool.full = True
    for name in ("long", "first", "second"):
        pool.take(name, "idle")
    looked(pool)
    pool.end()
    pool.end()
    assert pool.begun == ["long", "first", "second"]


def test_the_runs_that_wait_are_known() -> None:
    """Those that are begun are not among them: Celery knows of these."""
    places = Places(None, 1, lambda begin: begin())
    for run in ("a", "b", "c"):
        places.take(Waiting("q", run, lambda: None, lambda: None))
    assert places.runs() == {"b", "c"}
