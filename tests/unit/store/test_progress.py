"""What is seen of steps at work is kept for a while, and read whatever is there."""

from __future__ import annotations

from fakeredis import FakeServer, FakeStrictRedis

from handoffs.coordinator.store.progress import Seen
from handoffs.coordinator.store.record import StepRef
from handoffs.coordinator.store.store import Store
from tests.store_suite import make_settings


def _store() -> Store:
    redis = FakeStrictRedis(server=FakeServer(server_type="redis", version=(7,)), decode_responses=True)
    return Store(redis, make_settings(shards=2))


def test_the_newest_by_step() -> None:
    """The newest is there, by step, with when it was written, and since when a step is silent; each key has a time to live."""
    store = _store()
    one, two = (StepRef("run", "f", step) for step in "12")
    store.tell_progress([(one, Seen("first")), (two, Seen("x", None, 5.0))])
    store.tell_progress([(one, Seen("second", 0.5))])
    found = store.progress_of("run")
    assert (found["1"].text, found["1"].share, found["1"].stalled_since) == ("second", 0.5, None)
    assert found["2"].stalled_since == found["2"].at - 5
    assert store.progress_of("other") == {}
    assert all(store.redis.pttl(key) > 0 for key in store.redis.keys("*"))


def test_changed_by_hand() -> None:
    """What is none of ours is left out."""
    store = _store()
    store.tell_progress([(StepRef("run", "f", "1"), Seen("x"))])
    for number, text in enumerate(
        ("", "5", "{}", '{"at":1,"said":["x"]}', '{"at":"1","said":["x",null,null]}')
    ):
        store.redis.hset(store.keys.progress("run"), f"bad{number}", text)
    assert list(store.progress_of("run")) == ["1"]
