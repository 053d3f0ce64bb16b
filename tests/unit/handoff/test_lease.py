"""Leases that are kept while an agent runs."""

from __future__ import annotations

from datetime import timedelta

from fakeredis import FakeServer, FakeStrictRedis

from handoffs.coordinator.handoff.lease import LeaseKeeper
from handoffs.coordinator.store.store import Store
from tests.store_suite import AGENT, FIRST, claim, make_settings


def test_it_is_told_that_the_run_has_ended() -> None:
    """Whoever keeps a lease hears at the next renewal that the run was cancelled, and nothing before."""
    server = FakeServer(server_type="redis", version=(7,))
    store = Store(FakeStrictRedis(server=server, decode_responses=True), make_settings())
    keeper = LeaseKeeper(store, timedelta(hours=1))
    with keeper.keep(AGENT, "k", claim(store).fence, FIRST) as kept:
        keeper.renew()
        assert kept.ended == ""
        store.redis.hset(store.keys.run(FIRST.run), "status", "cancelled")
        keeper.renew()
        assert kept.ended == "cancelled"
    keeper.close()
