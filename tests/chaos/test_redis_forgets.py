"""Redis goes back to an earlier state, has nothing any more, or is away for long: whatever was accepted ends, or waits in the open."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from redis import Redis

from handoffs.coordinator.client.run import Run
from handoffs.coordinator.flow.budget import budget
from handoffs.coordinator.flow.flow import Flow
from tests.integration import shop
from tests.integration.bench import Bench, new_order, open_bench
from tests.servers import Control, Servers
from tests.waiting import wait_until

_RUNS = 30
_TIMEOUT = 90.0
_ENDED = frozenset({"completed", "parked"})


@pytest.fixture(scope="module")
def bench(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The shop with a worker, a coordinator process and a client; of the broker's deliveries two are too many."""
    with open_bench(servers, tmp_path_factory.mktemp("forgets"), LEASE="2s", DELIVERY_LIMIT="1") as opened:
        yield opened


_KEEP = """
local found = {}
for _, name in ipairs(redis.call('KEYS', ARGV[1])) do
  for _, part in ipairs({name, math.max(redis.call('PTTL', name), 0), redis.call('DUMP', name)}) do table.insert(found, part) end
end
return found
"""
_GO_BACK = """
for _, name in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('DEL', name) end
for i = 2, #ARGV, 3 do redis.call('RESTORE', ARGV[i], ARGV[i + 1], ARGV[i + 2]) end
"""


@dataclass
class Copy:
    """All that an installation has in Redis at one moment, as a snapshot has it that is restored, or a replica that takes over: a copy
    key by key would have outcomes and runs of different moments, which one Redis never gives."""

    redis: Any
    pattern: str
    kept: list[Any] = field(default_factory=list)

    @classmethod
    def of(cls, bench: Bench) -> Copy:
        engine = bench.client.engine
        url = bench.installation.servers.redis_url

        return cls(Redis.from_url(url), f"{engine.settings.prefix}*")

    def keep(self) -> None:
        self.kept = self.redis.eval(_KEEP, 0, self.pattern)

    def flush(self) -> None:
        self.redis.eval(_GO_BACK, 0, self.pattern)

    def go_back(self) -> None:
        self.redis.eval(_GO_BACK, 0, self.pattern, *self.kept)


def _load(bench: Bench) -> list[Run]:
    flows = (shop.chain, shop.header, shop.nested)
    return [bench.start(flow, new_order()) for flow in flows * (_RUNS // len(flows))]


def _end(bench: Bench, runs: list[Run]) -> Counter[str]:
    """Wait until all runs have ended or are parked, and give how many of each; what is parked has a letter that says why: what was done again,
    since nobody had written it down, may have turned out otherwise than before (these agents' outcomes do)."""
    left: list[Run] = []

    def ended() -> bool:
        left[:] = [
            run for run, status in zip(runs, bench.client.statuses(runs), strict=True) if status not in _ENDED
        ]
        return not left

    try:
        wait_until(ended, description="all have ended", timeout=_TIMEOUT, interval=0.2)
    except BaseException:
        for run in left:
            print(run, run.status(), run.current(), *run.history(), sep="\n    ")  # noqa: T201 - pytest shows it where it fails
        print(bench.installation.logs()[-4000:])  # noqa: T201
        raise
    statuses = bench.client.statuses(runs)
    for run, status in zip(runs, statuses, strict=True):
        if status == "parked":
            letters = wait_until(run.letters, description="there is a letter that says why", timeout=30)
            assert {letter.kind for letter in letters} <= {"lost", "conflict"}, letters
    return Counter(map(str, statuses))


def _written_down(bench: Bench, runs: list[Run]) -> list[Run]:
    """The runs that have completed, and of which the journal has all there is to know."""
    statuses = bench.client.statuses(runs)
    left = _not_written_down(bench)
    return [
        run
        for run, status in zip(runs, statuses, strict=True)
        if status == "completed" and run.id not in left
    ]


def _not_written_down(bench: Bench) -> set[str]:
    """The runs of which the journal does not have all yet. What is lost before it is written down, nobody knows of."""
    return {entry.get("run", "") for entry in _unwritten(bench)}


def _unwritten(bench: Bench) -> list[dict[str, Any]]:
    """The entries that are not in the journal yet."""
    engine = bench.client.engine
    shards = range(engine.settings.shards)
    return [json.loads(text) for shard in shards for _, text in engine.entries.oldest(shard, count=10_000)]


def _marks(bench: Bench) -> list[Any]:
    """Up to which entries the history is in the journal: where these go back, it is noticed that Redis has."""
    store, shards = bench.client.engine.store, range(bench.client.engine.settings.shards)
    return [store.redis.hget(store.keys.mark(shard), "id") for shard in shards]


@pytest.mark.parametrize("completed", [1, 10, 25], ids=lambda count: f"{count} completed")
def test_redis_loses_its_last_seconds(bench: Bench, completed: int) -> None:
    """Whatever was settled since: outcomes, joins, ends. What the journal knows is put back, and the runs complete. What nobody had
    written down is done again, and may conflict with what was made of it: then it is in the open."""
    copy, runs = Copy.of(bench), _load(bench)
    copy.keep()
    marks, known = _marks(bench), list[Run]()
    bench.start(shop.chain, new_order())  # where the others are written down by now, this one is not

    def so_many() -> bool:
        known[:] = _written_down(bench, runs)
        return (
            len(known) >= completed and _marks(bench) != marks
        )  # a server that goes back is not a new one here

    wait_until(so_many, description="some have completed, and are written down", timeout=_TIMEOUT)
    copy.go_back()
    _end(bench, runs)
    assert set(bench.client.statuses(known)) == {"completed"}


def test_redis_has_nothing_any_more(bench: Bench) -> None:
    """What has a message goes on with that; of what has none, a letter says so; nothing is called completed that is not."""
    runs = _load(bench)
    started, known = {run.id for run in runs}, list[Run]()

    def so_many() -> bool:
        known[:] = _written_down(bench, runs)
        return len(known) >= 3 and not started & _begun_just_now(bench)

    wait_until(so_many, description="all are known, and some have completed", timeout=_TIMEOUT)
    Copy.of(bench).flush()
    _end(bench, runs)
    assert set(bench.client.statuses(known)) == {"completed"}


def _begun_just_now(bench: Bench) -> set[str]:
    """The runs of which the journal does not even know that they are."""
    return {entry["run"] for entry in _unwritten(bench) if entry["kind"] == "started"}


def test_redis_is_away_for_longer_than_deliveries_last(bench: Bench, control: Control) -> None:
    """Budgets that end meanwhile, steps that are at work and steps that begin: all wait, and nothing is parked but what has a hard
    time limit, which counts the wait; that completes when it is replayed."""
    within = timedelta(seconds=2)
    flow = Flow(
        "shop.hasty", shop.one >> budget(shop.patient, within=within, fallback=shop.other) >> shop.three
    )
    held = [new_order() for _ in range(2)]
    runs = [bench.start(flow, order, patient="hold") for order in held]
    runs += [bench.start(flow, new_order()) for _ in range(10)]
    limited = _load(bench)
    wait_until(lambda: bench.client.engine.runs.get(runs[0].id).began, description="one is at work")  # type: ignore[union-attr]
    control.kill("redis")
    wait_until(_elapsed(12), description="it is away", timeout=60)
    control.start("redis")
    for order in held:  # their agents had gone on all the time
        bench.mend(order)
    assert _end(bench, runs) == {"completed": len(runs)}
    wait_until(lambda: _replayed(bench, limited), description="the others have completed", timeout=_TIMEOUT)


def _replayed(bench: Bench, runs: list[Run]) -> bool:
    """Replay what has overrun its time limit, and tell whether all have completed. Nothing else is parked."""
    statuses = bench.client.statuses(runs)
    for run, status in zip(runs, statuses, strict=True):
        for letter in run.letters() if status == "parked" else ():
            assert letter.kind == "time-limit", letter
            letter.replay()
    return set(statuses) == {"completed"}


def _elapsed(seconds: float) -> Any:

    began = time.monotonic()
    return lambda: time.monotonic() - began > seconds
