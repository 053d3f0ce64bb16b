"""The store's scripts and the payments flow on a Redis Cluster of three nodes."""

from __future__ import annotations

import gc
import secrets
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.store.endings import Endings
from handoffs.coordinator.store.keys import Keys
from handoffs.coordinator.store.record import StepRef
from handoffs.coordinator.store.runs import Runs
from handoffs.coordinator.store.server import connect
from handoffs.coordinator.store.store import Store
from handoffs.tasks.payments.flow import payment
from handoffs.tasks.payments.ledger import Ledger
from tests.servers import Servers
from tests.servers.docker import IMAGES
from tests.servers.ports import free_port
from tests.servers.reaper import Reaper
from tests.smoke.stack import payment_of, run
from tests.store_suite import (
    TestClaim,
    TestCompensating,
    TestEdits,
    TestJoin,
    TestLater,
    TestLettingGo,
    TestLooking,
    TestOutstanding,
    TestPark,
    TestPoison,
    TestServer,
    TestSettle,
    TestSignals,
    TestStart,
    TestTakeOver,
    TestTicked,
    TestTimeToLive,
    make_settings,
)
from tests.waiting import wait_until
from tests.workers import open_installation

__all__ = [
    "TestClaim",
    "TestCompensating",
    "TestEdits",
    "TestJoin",
    "TestLater",
    "TestLettingGo",
    "TestLooking",
    "TestOutstanding",
    "TestPark",
    "TestPoison",
    "TestServer",
    "TestSettle",
    "TestSignals",
    "TestStart",
    "TestTakeOver",
    "TestTicked",
    "TestTimeToLive",
]

_PAYMENTS = 60
_START = (
    "mkdir -p /tmp/$PORT && redis-server --dir /tmp/$PORT --port $PORT --bind 0.0.0.0 --protected-mode no"
    " --cluster-enabled yes --cluster-announce-ip 127.0.0.1 --cluster-node-timeout 2000"
    " --appendonly yes --appendfsync always --save '' --maxmemory-policy noeviction --daemonize yes"
)


@dataclass(frozen=True)
class Nodes:
    """Three nodes in one container, so that they and we know each by the same loopback port."""

    container: str
    ports: tuple[int, ...]

    @property
    def url(self) -> str:
        """One node; the client asks it for the others."""
        return f"redis+cluster://127.0.0.1:{self.ports[0]}"

    def start(self, port: int) -> None:
        """Start a node, with what it had on disk."""
        run(["docker", "exec", "--env", f"PORT={port}", self.container, "sh", "-c", _START])

    def whole(self) -> bool:
        """Whether each node finds the cluster in order."""
        said = [
            run(["docker", "exec", self.container, "redis-cli", "-p", str(port), "cluster", "info"]).stdout
            for port in self.ports
        ]
        return all("cluster_state:ok" in text for text in said)

    def kill(self, port: int) -> None:
        """End a node at once."""
        run(
            ["docker", "exec", self.container, "redis-cli", "-p", str(port), "shutdown", "nosave", "now"],
            check=False,
        )


@pytest.fixture(scope="module")
def nodes(image: str) -> Iterator[Nodes]:
    """A cluster that has all slots."""
    found = Nodes(f"coordinator-smoke-redis-{secrets.token_hex(4)}", tuple(free_port() for _ in range(3)))
    published = [f"--publish=127.0.0.1:{port}:{port}" for port in found.ports]
    reaper = Reaper('docker rm --force --volumes "$@"', found.container)
    try:
        run(
            [
                "docker",
                "run",
                "--detach",
                f"--name={found.container}",
                *published,
                IMAGES["redis"],
                "sleep",
                "infinity",
            ]
        )
        for port in found.ports:
            found.start(port)
        places = [f"127.0.0.1:{port}" for port in found.ports]
        create = [
            "docker",
            "exec",
            found.container,
            "redis-cli",
            "--cluster",
            "create",
            *places,
            "--cluster-yes",
        ]
        wait_until(
            lambda: run(create, check=False).returncode == 0, description="the cluster is made", interval=0.5
        )
        wait_until(found.whole, description="every node sees every slot served", interval=0.2)
        yield found
    finally:
        reaper.reap()


@pytest.fixture(autouse=True)
def _dropped_connections() -> Iterator[None]:
    """When its cluster changes, redis-py drops clients of nodes with their connections open. They are collected here, so
    that they do not count as ours."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def redis_server(nodes: Nodes) -> Iterator[Redis]:
    """A client of the cluster."""
    redis = connect(nodes.url)
    yield redis
    redis.close()


@pytest.fixture
def store(redis_server: Redis, namespace: str) -> Store:
    """A store of its own."""
    return Store(redis_server, make_settings(namespace=namespace))


def test_keys_are_spread(redis_server: Redis, nodes: Nodes) -> None:
    """It is a cluster of three primaries, and each has some of the slots."""
    cluster: Any = redis_server
    primaries = cluster.get_primaries()
    assert {node.port for node in primaries} == set(nodes.ports)


def test_the_end_of_a_run_is_told_whichever_node_has_it(redis_server: Redis, namespace: str) -> None:
    """One connection, to one node, hears of the runs of all of them."""
    settings = make_settings(namespace=namespace)
    runs = Runs(redis_server, settings)
    endings = Endings(redis_server, Keys(settings.prefix, settings.shards))
    wanted, told = {f"run-{number}" for number in range(30)}, set[str]()
    try:
        for run_id in sorted(wanted):
            runs.start(StepRef(run_id, "shop.flow", ""), key=run_id, content="c", first="[]")
            endings.wait(run_id, partial(told.add, run_id)).begin()
        wait_until(lambda: len(endings._heard) == len(wanted), description="all channels are heard")
        wait_until(lambda: told == wanted, description="each is looked at once more")
        told.clear()
        for run_id in wanted:
            runs.cancel(run_id, None)
        wait_until(lambda: told == wanted, description="each end is told")
    finally:
        endings.close()


def test_payments_while_a_node_is_away(
    nodes: Nodes, servers: Servers, postgres_database: str, tmp_path: Path
) -> None:
    """A node is killed under load and started again: every payment that was accepted completes, each is booked once."""
    with open_installation(
        replace(servers, redis_url=nodes.url),
        tmp_path,
        AGENTS="handoffs.tasks.payments",
        PAYMENTS__LEDGER_URL=postgres_database,
        PAYMENTS__GATEWAY_URL=postgres_database,
    ) as installation:
        installation.worker(
            "payments.fraud",
            "payments.authorisation",
            "payments.ledger",
            "payments.notification",
            pool="threads",
        )
        installation.coordinator_process()
        with installation.client() as client:
            runs = [client.start(payment, payment_of(f"cluster-{number}")) for number in range(_PAYMENTS)]
            nodes.kill(nodes.ports[1])
            wait_until(lambda: _refuses(client), description="the cluster refuses, for it lacks slots")
            nodes.start(nodes.ports[1])

            def accepted() -> bool:
                with suppress(ServerError):
                    runs.append(client.start(payment, payment_of(f"cluster-{len(runs)}")))
                return len(runs) == 2 * _PAYMENTS

            wait_until(accepted, description="payments are accepted again", timeout=60)
            wait_until(
                lambda: set(client.statuses(runs)) == {"completed"},
                description=f"all are completed\n{installation.logs()[-6000:]}",
                timeout=120,
            )
        wait_until(nodes.whole, description="the cluster is whole again", interval=0.2)
        ledger = Ledger(postgres_database)
        try:
            audit = ledger.audit()
        finally:
            ledger.close()
        assert (audit.doubled, audit.balanced) == (0, True)
        assert audit.transfers >= 2 * _PAYMENTS  # and those that were accepted before the error came


def _refuses(client: Coordinator) -> bool:
    try:
        client.start(payment, payment_of("refused"))
    except ServerError:
        return True
    return False
