"""Runs that begin later, and schedules, on real servers: begun in time, never before, and once, whoever dies."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from handoffs.coordinator.client.run import Run
from handoffs.coordinator.deployment.deployments import Deployments
from handoffs.coordinator.observe.moments import moment
from tests.integration import nights, shop
from tests.integration.bench import Bench, new_order, open_bench
from tests.servers import Servers
from tests.waiting import wait_until
from tests.workers import CoordinatorProcess

_STARTER = """
import os, signal, sys
from datetime import timedelta
from handoffs.coordinator.client.coordinator import Coordinator
run = Coordinator().start("shop.chain", {"order": sys.argv[1]}, at=timedelta(seconds=2))
print(run.id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
_LATE = timedelta(seconds=1)


@pytest.fixture(scope="module")
def bench(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The shop with its schedule, a worker, a coordinator process and a client."""
    modules = "tests.integration.shop,tests.integration.nights"
    folder = tmp_path_factory.mktemp("nights")
    with open_bench(servers, folder, AGENTS=modules, CONTRACTS_ENFORCED="false") as opened:
        yield opened


def _process(bench: Bench) -> CoordinatorProcess:
    [process] = [one for one in bench.installation._programs if isinstance(one, CoordinatorProcess)]
    return process


def _late(run: Run) -> timedelta:
    """How much later than its time a run began; it began once."""
    [begun] = [entry for entry in run.history() if entry["kind"] == "begun"]
    due = run.due()
    assert due is not None
    return datetime.fromisoformat(begun["at"]) - due


def test_a_starter_that_dies_when_it_was_accepted(bench: Bench) -> None:
    """A run whose starter is killed the moment it was accepted begins in its time, within a second."""
    done = subprocess.run(
        [sys.executable, "-c", _STARTER, new_order()],
        env=bench.installation.environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == -9, done.stderr
    run = bench.client.run(done.stdout.strip())
    assert run.status() == "scheduled"
    bench.completed(run)
    assert timedelta(milliseconds=-1) <= _late(run) < _LATE
    assert bench.effects(run) == {"one": 1, "two": 1, "three": 1}


def test_no_coordinator_process_when_it_is_due(bench: Bench) -> None:
    """Where none is up the run waits, and begins when one is: killed before it was due, begun by the next."""
    process = _process(bench)
    run = bench.client.start(shop.chain, {"order": new_order()}, at=timedelta(seconds=1))
    process.kill()
    due = run.due()
    assert due is not None
    wait_until(lambda: datetime.now(UTC) > due + _LATE, description="its time has passed")
    assert run.status() == "scheduled"
    process.start()
    process.wait_ready()
    bench.completed(run)
    assert bench.effects(run) == {"one": 1, "two": 1, "three": 1}


@pytest.mark.alone  # it measures how late runs begin
def test_many_at_one_moment_with_two_processes(bench: Bench) -> None:
    """Of two hundred runs of one moment each is begun once, by one of two processes, and none a second late."""
    second = bench.installation.coordinator_process()
    try:
        moment = datetime.now(UTC) + timedelta(seconds=12)
        runs = [bench.client.start(shop.single, {"order": new_order()}, at=moment) for _ in range(200)]
        assert set(bench.client.statuses(runs)) == {"scheduled"}
        wait_until(
            lambda: set(bench.client.statuses(runs)) == {"completed"},
            description="all are completed",
            timeout=40,
        )
        bench.wait_idle()
        late = sorted(map(_late, runs))
        assert timedelta(milliseconds=-1) <= late[0]
        assert late[-1] < _LATE
        assert {count for run in runs[::20] for count in bench.effects(run).values()} == {1}
    finally:
        second.stop()
        bench.installation._programs.remove(second)


def test_a_deploy_in_between(bench: Bench) -> None:
    """What was written in an older version before a deploy counts as outstanding, and is upcast when its time has come."""
    order = new_order()
    bench.mend(order)
    engine, journal = bench.client.engine, bench.client.journal
    store = engine.store
    run = bench.client.start(shop.chain, {"order": order}, at=timedelta(seconds=2))
    outstanding = Deployments(journal, engine.announcements, engine.outstanding).outstanding("shop.one")
    assert [(left.contract.name, left.contract.version, left.other) for left in outstanding] == [
        ("shop.item", 2, 1)
    ]
    key = store.keys.run(run.id)
    store.redis.hset(key, "first", _as_once_written(str(store.redis.hget(key, "first"))))
    bench.completed(run)
    [first] = [entry for entry in run.history() if entry["kind"] == "settled" and entry["step"] == "1"]
    assert (first["read"], first["migrated"]) == ("shop.item/1", ["upcast shop.item 1 -> 2"])


def test_people_see_it(bench: Bench) -> None:
    """The command line accepts a run for later, and shows when it begins."""
    payload = json.dumps({"order": new_order()})
    started = _command(bench, "start", "shop.chain", "--payload", payload, "--at", "2099-01-01T00:00:00Z")
    assert "366 days" in started.stderr
    at = (datetime.now(UTC) + timedelta(days=30)).replace(microsecond=0)
    started = _command(bench, "start", "shop.chain", "--payload", payload, "--at", at.isoformat(), "--json")
    assert started.returncode == 0, started.stderr
    told = json.loads(started.stdout)
    assert (told["status"], told["due"]) == ("scheduled", at.isoformat())
    shown = _command(bench, "runs", "show", told["run"]).stdout
    assert f"status: scheduled, due {moment(at)}" in shown

    def listed() -> dict[str, Any]:
        rows = json.loads(_command(bench, "runs", "list", "--json").stdout)
        return next((row for row in rows if row["run"] == told["run"]), {})

    row = wait_until(listed, description="it is listed")
    assert (row["status"], row["due"][:19]) == ("scheduled", at.isoformat()[:19])
    assert bench.client.run(told["run"]).cancel() == "cancelled"


def test_two_beats_and_one_that_dies(bench: Bench) -> None:
    """Two beats at once start one run for each second, and so they do when one is killed and another takes its place."""
    first, second = bench.installation.beat(), bench.installation.beat()
    _wait_nights(bench, 3)
    first.kill()
    _wait_nights(bench, 6)
    second.kill()  # for some seconds there is none: these are made up
    before = _dues(bench)
    wait_until(lambda: datetime.now(UTC) > before[-1] + timedelta(seconds=4), description="seconds passed")
    third = bench.installation.beat()
    _wait_nights(bench, len(before) + 7)
    third.stop()
    assert third.status == 0
    dues = _dues(bench)
    assert {after - earlier for earlier, after in pairwise(dues)} == {timedelta(seconds=1)}
    runs = list(map(bench.client.run, _nights(bench).values()))
    wait_until(lambda: set(bench.client.statuses(runs)) == {"completed"}, description="all are completed")
    bench.wait_idle()
    done = shop.effects(bench.folder, "one")
    assert [len(done[nights.order_of(due)]) for due in dues] == [1] * len(dues)
    [row] = json.loads(_command(bench, "schedules", "list", "--json").stdout)
    assert (row["schedule"], row["when"]) == ("shop.each-second", "every 1s")
    assert datetime.fromisoformat(row["last"]) == dues[-1]
    assert row["last_run"] == list(_nights(bench).values())[-1]


def _as_once_written(first: str) -> str:
    """The first messages of a run, as an earlier release has written them."""
    [stored] = json.loads(first)
    [[envelope], kwargs, continuation] = json.loads(stored["body"])
    event = json.loads(envelope)
    del event["data"]["trail"]
    event["dataschema"] = shop.ItemV1.ref().uri
    stored["body"] = json.dumps([[json.dumps(event)], kwargs, continuation])
    return json.dumps([stored])


def _command(bench: Bench, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "handoffs.coordinator", *arguments],
        env={**bench.installation.environment, "COLUMNS": "100"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def _nights(bench: Bench) -> dict[datetime, str]:
    """The runs of the schedule by their time, as its key names it."""
    begun = [entry for _, entry in bench.client.journal.history.since(0) if entry["kind"] == "started"]
    runs = [entry["run"] for entry in begun if entry["flow"] == nights.nightly.name]
    records = bench.client.engine.runs.states(runs)
    found = [
        (datetime.fromisoformat(record.key.partition("@")[2]), record.id)
        for record in records
        if record is not None
    ]
    assert len({due for due, _ in found}) == len(found), "one run a time"
    return dict(sorted(found))


def _dues(bench: Bench) -> list[datetime]:
    return list(_nights(bench))


def _wait_nights(bench: Bench, number: int) -> None:
    wait_until(
        lambda: len(_nights(bench)) >= number,
        description=f"{number} nights have come\n{bench.installation.logs()[-4000:]}", timeout=40,
    )  # fmt: skip
