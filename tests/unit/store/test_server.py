"""The connections of a process to Redis, in a child that is forked."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from handoffs.coordinator.store.server import connect
from tests.forking import in_child


def _soon(work: Callable[[], object]) -> str:
    """Do it in a child that is ended after five seconds."""

    def bounded() -> str:
        signal.alarm(5)
        return str(work())

    return in_child(bounded)


def test_a_child_waits_for_no_lock_of_its_parents_threads() -> None:
    """A child has a pool of connections of its own, although a thread of the parent held that of the parent when it was forked."""
    client = connect("redis://nowhere.invalid:6379/3")
    pool: Any = client.connection_pool

    def use() -> str:
        client.connection_pool.reset()
        return f"{client.connection_pool is pool} {client.connection_pool.connection_kwargs['db']}"

    with _held(pool._lock):
        assert _soon(use) == "False 3"
    assert client.connection_pool is pool


def test_a_child_has_a_cluster_client_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """So it is with a Redis Cluster, also where the parent was just making its client."""
    monkeypatch.setattr("redis.RedisCluster.from_url", lambda *_, **__: object())
    cluster: Any = connect("redis+cluster://nowhere.invalid:6379")
    made = cluster.client
    assert cluster.client is made
    with _held(cluster._lock):
        assert _soon(lambda: cluster.client is made) == "False"
    assert cluster.client is made


class _held:  # noqa: N801 - reads as what it does
    """A lock that another thread holds."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self._taken, self._enough = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._hold)

    def _hold(self) -> None:
        with self._lock:
            self._taken.set()
            self._enough.wait()

    def __enter__(self) -> None:
        self._thread.start()
        self._taken.wait()

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join()
