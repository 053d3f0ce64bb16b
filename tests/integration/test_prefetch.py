"""A step that takes long keeps no other from being begun elsewhere: a busy worker holds nothing that an idle one could do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from handoffs.coordinator.client.run import Run
from tests.integration import shop
from tests.integration.bench import Bench, new_order
from tests.servers import Servers
from tests.waiting import wait_until
from tests.workers import open_installation


@pytest.fixture(params=["prefork", "threads"])
def pool(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def bench(servers: Servers, tmp_path: Path, pool: str) -> Iterator[Bench]:
    """The shop with a worker of ``patient`` that does one step at a time, and one of what comes after it."""
    with open_installation(servers, tmp_path) as installation:
        installation.worker("shop.three", pool="threads", wait=False)
        worker = installation.worker("shop.patient", pool=pool, concurrency=1)
        with installation.client() as client:
            yield Bench(installation, worker, client)


def test_a_worker_of_several_agents(servers: Servers, tmp_path: Path, pool: str) -> None:
    """A worker that has a long step of one agent keeps nothing of another agent's from a worker that has nothing to do, though
    both are given it in turns."""
    with open_installation(servers, tmp_path) as installation, installation.client() as client:
        both = ("shop.patient", "shop.three")
        worker = installation.worker(*both, pool=pool, concurrency=1)
        bench, long = Bench(installation, worker, client), new_order()
        held = bench.start(shop.single, long, patient="hold")
        bench.wait_flag(long, "patient.began")
        installation.worker(*both, pool=pool, concurrency=1)
        others = [bench.start(shop.single) for _ in range(4)]
        _others_come_first(bench, others, held, long)


def test_short_steps_do_not_wait_for_a_long_one(bench: Bench, pool: str) -> None:
    """While one worker has a long step, all others are done by another, also by one that came when they waited already."""
    long = new_order()
    held = bench.start(shop.single, long, patient="hold")
    bench.wait_flag(long, "patient.began")
    others = [bench.start(shop.single) for _ in range(6)]
    wait_until(
        lambda: bench.client.engine.outstanding.sent(others[-1].id), description="they wait in the queue"
    )
    bench.installation.worker("shop.patient", pool=pool, concurrency=1)
    _others_come_first(bench, others, held, long)


def _others_come_first(bench: Bench, others: list[Run], held: Run, order: str) -> None:
    """All others complete while the run of ``order`` is held, and that one completes once its agent is let go."""
    wait_until(
        lambda: all(run.status() == "completed" for run in others),
        description=f"the others are done\n{bench.installation.logs()[-3000:]}",
        timeout=20,
    )
    assert held.status() == "running"
    bench.mend(order)
    assert held.wait(timeout=20) == "completed"
