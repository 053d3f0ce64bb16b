"""Servers die between the moment a run is accepted for later and the moment it is due: it begins all the same, once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from handoffs.coordinator.client.run import Run
from tests.integration import shop
from tests.integration.bench import Bench, new_order, open_bench
from tests.servers import Control, Servers
from tests.waiting import wait_until
from tests.workers import depth

_WAIT = timedelta(seconds=6)


@pytest.fixture(scope="module")
def bench(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The shop with a worker, a coordinator process and a client."""
    with open_bench(servers, tmp_path_factory.mktemp("later")) as opened:
        yield opened


def _accepted(bench: Bench) -> list[Run]:
    runs = [
        bench.client.start(flow, {"order": new_order()}, at=_WAIT) for flow in (shop.chain, shop.header) * 5
    ]
    assert set(bench.client.statuses(runs)) == {"scheduled"}
    return runs


def _queued(bench: Bench) -> int:
    """How many messages wait for agents; asked anew, for connections of before the crash are dead."""
    with bench.client.engine.app.connection_for_read() as connection:
        return sum(depth(connection, bench.installation.queue_name(name))[0] for name in shop.AGENTS)


def _check(bench: Bench, runs: list[Run]) -> None:
    for run in runs:
        bench.completed(run, timeout=60)
    wait_until(lambda: not _queued(bench), description="nothing is under way")
    for run in runs:
        kinds = [entry["kind"] for entry in run.history()]
        assert kinds.count("begun") == 1
        assert set(bench.effects(run).values()) == {1}


@pytest.mark.parametrize("name", ["redis", "rabbitmq"])
def test_a_server_is_killed_before(bench: Bench, control: Control, name: str) -> None:
    """A server that is killed after the run was accepted, and is back before it is due, costs nothing: the time is on disk."""
    runs = _accepted(bench)
    control.kill(name)  # type: ignore[arg-type]
    control.start(name)  # type: ignore[arg-type]
    _check(bench, runs)


def test_the_broker_is_away_when_it_is_due(bench: Bench, control: Control) -> None:
    """Where the broker is away at the time, the runs begin when it is back."""
    runs = _accepted(bench)
    control.kill("rabbitmq")
    due = runs[-1].due()
    assert due is not None
    wait_until(lambda: datetime.now(UTC) > due + timedelta(seconds=2), description="the time has passed")
    control.start("rabbitmq")
    _check(bench, runs)
