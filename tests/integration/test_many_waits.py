"""A worker of threads has as many async steps at work as its concurrency allows, in a few threads; what they share ends with it."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from tests.integration import waiters
from tests.integration.waiters import Ticket
from tests.servers import Servers
from tests.waiting import wait_until
from tests.workers import open_installation

_AT_ONCE = 400
_THREADS = 20
"""Those of the worker itself, of its connections, of the reactor, of the loop, and a few of the pool."""


def test_async_steps_take_no_threads(servers: Servers, tmp_path: Path) -> None:
    """Hundreds wait at once in a handful of threads, and hold up no plain step of the same worker; all complete."""
    with (
        open_installation(
            servers, tmp_path, AGENTS="tests.integration.waiters", CONTRACTS_ENFORCED="false"
        ) as installation,
        installation.client() as client,
    ):
        worker = installation.worker(*waiters.AGENTS, pool="threads", concurrency=_AT_ONCE + 10)
        runs = [client.start(waiters.waiting, Ticket(number=number)) for number in range(_AT_ONCE)]
        wait_until(
            lambda: len([*tmp_path.glob("at-work-*")]) == _AT_ONCE, description="all are at work", timeout=60
        )
        assert client.start(waiters.brief, Ticket(number=-1)).result(20) == Ticket(number=-1)
        assert psutil.Process(worker.pid).num_threads() <= _THREADS
        (tmp_path / "go").touch()
        assert {run.wait(30) for run in runs} == {"completed"}


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_what_they_share_ends_with_the_worker(servers: Servers, tmp_path: Path, pool: str) -> None:
    """A client is opened once in each process that has asked for it, and closed there when the worker is told to end."""
    with (
        open_installation(
            servers, tmp_path, AGENTS="tests.integration.waiters", CONTRACTS_ENFORCED="false"
        ) as installation,
        installation.client() as client,
    ):
        worker = installation.worker("waiters.asks", pool=pool, concurrency=2)
        runs = [client.start(waiters.asking, Ticket(number=number)) for number in range(20)]
        assert {run.wait(30) for run in runs} == {"completed"}
        worker.stop()
    opened = {path.name.removeprefix("opened-") for path in tmp_path.glob("opened-*")}
    closed = {path.name.removeprefix("closed-") for path in tmp_path.glob("closed-*")}
    assert opened == closed
    assert len(opened) in ({1} if pool == "threads" else {1, 2})
