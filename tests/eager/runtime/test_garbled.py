"""What somebody has changed by hand in Redis or in the journal holds up nothing else, and is shown as far as it can be."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from handoffs import Coordinator
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.errors import Refused
from handoffs.coordinator.journal import tables
from handoffs.coordinator.runtime.service import Service
from tests.eager.command import Command
from tests.eager.shop import Shop, thing

Change = Callable[[Any, str], None]


def _values(value: str | bytes) -> Change:
    """Give every field of a hash, or the whole of a key, this value."""

    def change(redis: Any, key: str) -> None:
        for name in redis.hkeys(key):
            redis.hset(key, name, value)

    return change


def _another_type(redis: Any, key: str) -> None:
    redis.delete(key)
    redis.set(key, "nonsense")


def _half(redis: Any, key: str) -> None:
    for name in sorted(redis.hkeys(key))[::2]:
        redis.hdel(key, name)


def _strange(redis: Any, key: str) -> None:
    """Fields that nobody has written, of every kind."""
    for kind in "snfriphdcxjmewvgoqak":
        for name in ("", "1", "\x00", "\x1b[2J", "9" * 5_000, "²", "a.b.c", "x.undo", "y.timer", "z@q"):
            redis.hset(key, f"{kind}:{name}", "nonsense")


GARBLED: dict[str, Change] = {
    "another type": _another_type,
    "half deleted": _half,
    "no JSON": _values("nonsense"),
    "no text": _values(b"\xff\xfe\x00"),
    "a list": _values('[1, {"a": null}, "\\ud800"]'),
    "null": _values("null"),
    "an object of nothing": _values("{}"),
    "strange values": _values(
        '{"kind": [1], "attempt": "x", "at": 7, "signal": {}, "since": 1e400, "budgets": 3}'
    ),
    "out of range": _values("9" * 400),
    "negative": _values("-1"),
    "strange fields": _strange,
    "control characters": _values("\x1b[2J\u202e"),
}


def runs(coordinator: Coordinator, shop: Shop) -> dict[str, Run]:
    """Runs that stand in every way that one may stand."""
    flow = shop.flows["chain"]
    found = {"completed": coordinator.start(flow, thing("o-1"))}
    found["scheduled"] = coordinator.start(flow, thing("o-2"), at=timedelta(hours=1))
    shop.broken = {"b"}
    found["parked"] = coordinator.start(flow, thing("o-3"))
    found["paused"] = coordinator.start(flow, thing("o-4"))
    found["paused"].pause()
    shop.broken.clear()
    return found


def work(service: Service) -> None:
    """Everything that the coordinator process does again and again."""
    for job in (service.drain_history, service.sweep, service.begin, service.touch, service.look_after):
        job()


@pytest.mark.parametrize("change", GARBLED)
def test_a_run_in_redis(coordinator: Coordinator, command: Command, change: str) -> None:
    """Whatever the hashes of runs hold, and the lists of those that are to begin: every job of the coordinator process goes on with
    the others, and every command answers with what can be shown, or with an error in a line."""
    shop = Shop()
    victims, store = runs(coordinator, shop), coordinator.engine.store
    shop.broken = {"b"}
    other = coordinator.start(shop.flows["chain"], thing("o-8"))
    shop.broken.clear()
    for victim in victims.values():
        GARBLED[change](store.redis, store.keys.run(victim.id))
        shard = store.keys.shard(victim.id)
        store.redis.zadd(store.keys.starting(shard), {victim.id: 1, "nobody": 1, "\x1b[2J": 1})
        store.redis.zadd(store.keys.scheduled(shard), {victim.id: 1, "nobody": 1, "\x1b[2J": 1})
    service = Service(coordinator.engine, coordinator.journal)
    for _ in range(2):
        work(service)
    for shard in range(store.keys.shards):  # what is no run is not tried for ever
        left = store.redis.zrangebyscore(store.keys.starting(shard), 0, 1)
        assert not {"nobody", "\x1b[2J"} & set(left)
        assert not store.redis.zrangebyscore(store.keys.scheduled(shard), 0, 1)
    for arguments in (
        ("runs", "list"), ("dead-letters", "list"), ("events", "list"),
        *((*words, victim.id) for victim in victims.values() for words in (("runs", "show"), ("trace",), ("runs", "cancel"))),
    ):  # fmt: skip
        status, out, err = command(coordinator, *arguments)
        assert status in {0, 1, 2, 3}
        assert "\x1b[2J" not in out + err
        assert "\u202e" not in out + err
    other.letters()[0].replay()
    assert other.status() == "completed"


SHARED = ["history", "starting", "scheduled", "later", "outstanding", "mark"]


@pytest.mark.parametrize("name", SHARED)
def test_what_runs_share(coordinator: Coordinator, command: Command, name: str) -> None:
    """Where what the runs of one shard share is of another type, those of the other shards go on, and commands say what is wrong."""
    shop = Shop()
    found = runs(coordinator, shop)
    store = coordinator.engine.store
    shards = {run.id: store.keys.shard(run.id) for run in found.values()}
    key = getattr(store.keys, name)(shards[found["parked"].id])
    _another_type(store.redis, key)
    service = Service(coordinator.engine, coordinator.journal)
    for job in (service.drain_history, service.sweep, service.begin, service.look_after):
        with contextlib.suppress(Refused):  # what it says is shown by the health of the process
            job()
    told = {row["run"] for row in coordinator.journal.history.recent_runs()}
    assert {run for run, shard in shards.items() if shard != shards[found["parked"].id]} <= told
    for arguments in (("runs", "list"), ("runs", "show", found["parked"].id), ("dead-letters", "list")):
        assert command(coordinator, *arguments)[0] in {0, 1}


ENTRIES = [
    "", "nonsense", "[]", "null", "{}", '{"kind": 7}', '{"kind": "settled", "run": ["a"]}', '{"kind": "settled", "emitted": [1]}',
    '{"kind": "\\u0000\\ud800", "run": "\\u0000", "flow": "\\ud800", "at": ""}', '{"kind": "' + "k" * 500 + '", "run": "' + "r" * 5000 + '"}',
    '{"kind": "settled", "run": "r", "step": "1", "attempt": 1e400}', "[" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("text", ENTRIES, ids=range(len(ENTRIES)))
def test_an_entry_of_the_history(coordinator: Coordinator, command: Command, text: str) -> None:
    """An entry that is none becomes a letter; those beside it are written down, and it is not looked at again."""
    shop = Shop()
    run = coordinator.start(shop.flows["chain"], thing())
    store = coordinator.engine.store
    history = store.keys.history(store.keys.shard(run.id))
    store.redis.xadd(history, {"entry": text})
    store.redis.xadd(history, {"other": text})
    again = coordinator.start(shop.flows["chain"], thing("o-2"))
    Service(coordinator.engine, coordinator.journal).drain_history()
    assert store.redis.xlen(history) == 0
    for one in (run, again):
        assert [entry["kind"] for entry in coordinator.journal.history.of(one.id).values()][-1] == "settled"
    letters = coordinator.dead_letters(kind="undecodable")
    assert 1 <= len(letters) <= 2
    status, out, _ = command(coordinator, "dead-letters", "show", letters[0].id)
    assert (status, "cannot be read" in out) == (0, True)
    with pytest.raises(Exception, match="cannot be replayed"):
        letters[0].replay()


COLUMNS: dict[str, tuple[Any, dict[str, Any]]] = {
    "the payload of a letter": (tables.dead_letters, {"payload": "nonsense"}),
    "the message of a letter": (tables.dead_letters, {"message": "{"}),
    "a message that is a list": (tables.dead_letters, {"message": "[1]"}),
    "half characters in a letter": (
        tables.dead_letters,
        {"payload": '{"a": "\\ud800"}', "message": '{"body": "\\ud800"}'},
    ),
    "the kind of a letter": (tables.dead_letters, {"kind": "\x1b[2J", "state": "waiting"}),
    "the times of a letter": (tables.dead_letters, {"first_failed_at": "never", "last_failed_at": ""}),
    "the entries": (tables.history, {"entry": "nonsense"}),
    "entries that are a list": (tables.history, {"entry": "[1]"}),
    "entries of other types": (tables.history, {"entry": '{"kind": "settled", "emitted": {"a": 1}}'}),
    "entries without a kind": (tables.history, {"entry": '{"at": "never", "step": "1"}'}),
    "entries of no kind": (
        tables.history,
        {"entry": '{"kind": "\\u001b[2J", "at": "x", "run": "r"}', "kind": "x"},
    ),
    "the state of a run": (tables.runs, {"state": "nonsense", "at": ""}),
}


@pytest.mark.parametrize("column", COLUMNS)
def test_rows_of_the_journal(coordinator: Coordinator, command: Command, column: str) -> None:
    """Whatever a column of the journal holds: every command answers with what can be shown, or with an error in a line, and what
    comes from now on is written and read."""
    shop = Shop()
    found = runs(coordinator, shop)
    service = Service(coordinator.engine, coordinator.journal)
    work(service)
    [letter] = found["parked"].letters()
    table, values = COLUMNS[column]
    with coordinator.journal._database.begin() as connection:
        connection.execute(update(table).values(**values))
    work(service)
    for arguments in (
        ("runs", "list"), ("runs", "show", found["parked"].id), ("runs", "show", found["completed"].id), ("trace", found["parked"].id),
        ("dead-letters", "list", "--all"), ("dead-letters", "show", letter.id), ("events", "list"), ("dead-letters", "replay", letter.id),
    ):  # fmt: skip
        for more in ((), ("--json",)):
            status, out, err = command(coordinator, *arguments, *more)
            assert status in {0, 1, 3}
            assert "\x1b[2J" not in out + err
    shop.broken = {"a"}
    run = coordinator.start(shop.flows["header"], thing("o-9"))
    assert run.status() == "parked"
    assert run.letters()
