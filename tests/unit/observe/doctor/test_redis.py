"""What the doctor says of Redis, by what it says of itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from handoffs.coordinator.observe.doctor.redis import CHANNELS, RedisFacts, redis_checks
from tests.unit.observe.doctor.found import by_name

INFO = {
    "redis_version": "7.2.4", "role": "master", "connected_slaves": 1, "maxmemory_policy": "noeviction", "maxmemory": 100 * 2**20,
    "used_memory": 10 * 2**20, "aof_enabled": 1, "aof_last_write_status": "ok", "evicted_keys": 0,
}  # fmt: skip
GOOD = RedisFacts(INFO, {"appendfsync": "always"}, took=0.001, ahead=0.01, sampled=20)


def _with(**info: Any) -> RedisFacts:
    return replace(GOOD, info={**INFO, **info})


def test_a_redis_that_is_in_order_has_nothing_to_be_done() -> None:
    """Each line is ok."""
    assert {check.state for check in by_name(redis_checks(GOOD)).values()} == {"ok"}


@pytest.mark.parametrize(
    ("facts", "name", "state", "told", "remedy"),
    [
        (_with(redis_version="6.2.0"), "version", "failed", "Redis 6.2.0 is too old", "7.0 or newer"),
        (replace(GOOD, took=0.2), "latency", "warning", "200.0 ms", "SLOWLOG"),
        (replace(GOOD, ahead=-30.0), "clock", "warning", "30 s behind this host", "NTP"),
        (_with(role="slave"), "role", "failed", "takes no writes", "COORDINATOR_REDIS_URL"),
        (_with(maxmemory_policy="allkeys-lru"), "maxmemory-policy", "failed", "allkeys-lru", "noeviction"),
        (_with(maxmemory_policy=""), "maxmemory-policy", "unknown", "does not say", "noeviction"),
        (_with(evicted_keys=3), "maxmemory-policy", "warning", "3 keys were evicted", "--status unknown"),
        (_with(used_memory=85 * 2**20), "memory", "warning", "85 MiB used of 100 MiB", "more memory"),
        (_with(used_memory=99 * 2**20), "memory", "failed", "99 MiB used of 100 MiB", "more memory"),
        (_with(aof_enabled=0), "appendonly", "warning", "lost when it restarts", "appendonly yes"),
        (_with(aof_last_write_status="err"), "disk", "failed", "aof_last_write_status", "disk"),
        (replace(GOOD, config=None), "appendfsync", "unknown", "not allowed", "CONFIG GET appendfsync"),
        (replace(GOOD, config={"appendfsync": "everysec"}), "appendfsync", "warning", "last second", "appendfsync always"),
        (replace(GOOD, config={"appendfsync": "no"}), "appendfsync", "warning", "power cut", "appendfsync always"),
        (replace(GOOD, refused=["hashes", "scripts"]), "permissions", "failed", "hashes, scripts", "ACL SETUSER"),
        (replace(GOOD, refused=[CHANNELS]), CHANNELS, "warning", "asks again", "&NAMESPACE"),
        (replace(GOOD, endless="run:{1}:r"), "expiry", "warning", "run:{1}:r never expires", "by hand"),
    ],
)  # fmt: skip
def test_what_is_not_in_order_is_named_with_its_remedy(
    facts: RedisFacts, name: str, state: str, told: str, remedy: str
) -> None:
    """And everything else stays as it is."""
    found, good = by_name(redis_checks(facts)), by_name(redis_checks(GOOD))
    assert found[name].state == state
    assert told in found[name].told
    assert remedy in found[name].remedy
    assert {other: check.state for other, check in found.items() if other != name} == {
        other: check.state for other, check in good.items() if other != name
    }


def test_without_a_limit_memory_is_that_of_its_host() -> None:
    """And where neither is known, nothing is said of how much is left."""
    found = by_name(redis_checks(_with(maxmemory=0, total_system_memory=2**30, used_memory=2**30)))
    assert found["memory"].state == "failed"
    assert by_name(redis_checks(_with(maxmemory=0)))["memory"].told == "10 MiB used, no limit is set"


def test_what_an_imitation_leaves_out_does_not_break_it() -> None:
    """A server that says next to nothing of itself is described all the same."""
    assert by_name(redis_checks(RedisFacts({})))["version"].state == "warning"
