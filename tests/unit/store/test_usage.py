"""Usage is counted once for each attempt, however often it is said, and by whoever says it first."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

import pytest
from fakeredis import FakeServer, FakeStrictRedis
from hypothesis import given
from hypothesis import strategies as st

from handoffs.coordinator.flow.usage import Usage, amounts_of
from handoffs.coordinator.store.runs import Runs
from handoffs.coordinator.store.store import Store
from tests.store_suite import make_settings

said = st.tuples(
    st.sampled_from(["run-1", "run-2"]),
    st.sampled_from("ab"),
    st.sampled_from(["tokens", "cost"]),
    st.integers(0, 10**15),
)


def _store() -> Store:
    redis = FakeStrictRedis(server=FakeServer(server_type="redis", version=(7,)), decode_responses=True)
    return Store(redis, make_settings(shards=4))


@given(st.lists(said, max_size=12))
def test_the_most_that_was_said(story: list[tuple[str, str, str, int]]) -> None:
    """An attempt has used up the most that was ever said of it; runs are the sums of their attempts, and the flow is that of its runs."""
    store, meant = _store(), defaultdict[tuple[str, str], dict[str, int]](dict)
    for run, attempt, name, number in story:
        store.use(run, "shop.order", {attempt: {name: number}})
        of_one = meant[run, name]
        of_one[attempt] = max(of_one.get(attempt, 0), number)
    for name in ("tokens", "cost"):
        sums = {run: sum(meant[run, name].values()) for run in ("run-1", "run-2")}
        for run, number in sums.items():
            assert store.usage_of(run).sums.get(name, 0) == number
        assert store.usage_of_flow("shop.order", 1).get(name, 0) == sum(sums.values())
    assert store.usage_of_flow("shop.other", 1) == {}


def test_over() -> None:
    """Only what is limited is over, and only when it is more."""
    store = _store()
    store.limit_usage("run", {"tokens": 10})
    assert store.use("run", "f", {"a": {"tokens": 10, "cost": 99}}).over == ()
    assert store.use("run", "f", {"b": {"tokens": 1}}).over == ("tokens",)
    store.limit_usage("run", {"tokens": 11})
    assert store.usage_of("run").over == ()
    assert all(store.redis.pttl(key) > 0 for key in store.redis.keys("*"))


def test_days() -> None:
    """A flow is asked about by days, with today, and what is older than a year goes when a day begins."""
    store = _store()
    key = store.keys.usage_of("f", store.keys.shard("run"))
    store.use("run", "f", {"a": {"tokens": 1}})
    [field] = store.redis.hkeys(key)
    today = int(field.split()[0])
    for before, number in ((1, 10), (29, 100), (30, 1_000), (400, 10_000)):
        store.redis.hset(key, f"{today - before} tokens", number)
    assert [store.usage_of_flow("f", days)["tokens"] for days in (1, 2, 30, 31)] == [1, 11, 111, 1_111]
    store.use("run", "f", {"a": {"cost": 1}})
    assert store.redis.hlen(key) == 5
    assert store.redis.hget(key, f"{today - 400} tokens") is None


def test_as_long_as_the_run() -> None:
    """What a run has used up and may is kept as long as the run is, however long that waits."""
    store = _store()
    runs = Runs(store.redis, make_settings(shards=4))
    store.limit_usage("run", {"tokens": 10})
    store.redis.pexpire(store.keys.usage("run"), 1_000)
    runs.touch(["run", "other"])
    assert store.redis.pttl(store.keys.usage("run")) > 1_000
    assert not store.redis.exists(store.keys.usage("other"))


@given(st.decimals(0, 100_000, places=9, allow_nan=False))
def test_costs_are_exact(cost: Decimal) -> None:
    """A cost of nine places is what it was after it was counted."""
    assert Usage.of(amounts_of({"cost": cost})).cost == cost


@pytest.mark.parametrize(
    ("cost", "text"), [(0.1, "0.1"), (2, "2"), (1e-9, "0.000000001"), (1e-10, "0"), (100, "100")]
)
def test_costs_as_they_are_written(cost: float, text: str) -> None:
    """A cost that is no decimal counts as it is written, and is shown without zeros at its end."""
    assert Usage.of(amounts_of({"cost": cost})).to_json()["cost"] == text
