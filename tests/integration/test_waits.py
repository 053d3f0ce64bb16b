"""Waits on a real Redis: the end of a run is told, and where that is not allowed it is found all the same."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from handoffs.config.settings import Settings
from handoffs.coordinator.client import waiting
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.store.server import connect
from tests.integration import shop
from tests.integration.bench import Bench, new_order
from tests.servers import Servers
from tests.waiting import wait_until

SLOW = 30.0  # seconds


def test_the_end_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """By whichever process settles the last step or parks one: nobody looks for it."""
    monkeypatch.setattr(waiting, "_SHORTEST_TOLD", SLOW)
    monkeypatch.setattr(waiting, "_LONGEST_TOLD", SLOW)
    began = time.monotonic()
    assert [bench.start(shop.chain).wait(SLOW) for _ in range(5)] == ["completed"] * 5
    assert bench.start(shop.chain, one="fail").wait(SLOW) == "parked"
    assert time.monotonic() - began < SLOW / 2


@pytest.fixture
def confined(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coordinator]:
    """A client whose user may do everything in Redis, but with channels nothing."""
    admin, user, word = connect(servers.redis_url), f"u{secrets.token_hex(4)}", secrets.token_hex(8)
    admin.acl_setuser(
        user, enabled=True, passwords=[f"+{word}"], keys=["*"], categories=["+@all"], reset_channels=True
    )
    place = urlsplit(servers.redis_url)
    url = place._replace(netloc=f"{user}:{word}@{place.netloc.rpartition('@')[2]}").geturl()
    settings = Settings(
        broker_url=servers.broker_url,
        redis_url=url,
        journal_url=f"sqlite:///{tmp_path_factory.mktemp('confined') / 'journal'}",
        namespace=f"w{secrets.token_hex(4)}",
    )
    Journal.of(settings, upgrades=True).close()
    with Coordinator(settings) as client:
        yield client
    admin.acl_deluser(user)
    admin.close()


def test_without_a_right_to_channels_runs_end_and_are_waited_for(confined: Coordinator) -> None:
    """The scripts that end runs go on without telling anybody."""
    run = confined.start(shop.chain, {"order": new_order()})
    with ThreadPoolExecutor(1) as pool:
        wait = pool.submit(run.wait, SLOW)
        wait_until(lambda: confined._endings._warned, description="it is known that nothing tells")
        assert run.cancel() == "cancelled"
        assert wait.result(SLOW) == "cancelled"
