"""Redis: what the doctor says of it, by what it says of itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from handoffs.contracts.text import printable
from handoffs.coordinator.observe.doctor.check import Check, failed, ok, unknown, warning
from handoffs.coordinator.observe.doctor.clocks import clock_check
from handoffs.coordinator.observe.doctor.versions import version_check

CHANNELS = "channels"
"""What is tried without which all works."""
_SLOW = 0.05
"""Seconds for a round trip from which on it is worth a word: a handoff has two."""
_FULL, _NEARLY_FULL = 0.95, 0.8


@dataclass(frozen=True, slots=True)
class RedisFacts:
    """What Redis says. ``info`` is what INFO gives; ``config`` what CONFIG GET does, None where that is not allowed; ``refused`` are the
    commands that this user may not use, of those that were tried; ``endless`` is a key that never expires, empty where there was none
    among those ``sampled``, of which there are none in a cluster."""

    info: Mapping[str, Any]
    config: Mapping[str, str] | None = None
    took: float = 0.0
    ahead: float = 0.0
    refused: Sequence[str] = field(default=())
    sampled: int = 0
    endless: str = ""
    cluster: bool = False


def redis_checks(facts: RedisFacts) -> Iterator[Check]:
    """All that there is to say."""
    info = facts.info
    yield version_check("redis", f"Redis {info.get('redis_version', '?')}", "COORDINATOR_REDIS_URL")
    yield _latency(facts.took)
    yield clock_check("redis", "clock", facts.ahead, facts.took)
    yield _role(info)
    yield _policy(info)
    yield from _memory(info)
    yield from _durability(facts)
    yield _permissions([one for one in facts.refused if one != CHANNELS])
    if CHANNELS in facts.refused:
        yield warning(
            "redis", CHANNELS, "this user may not use those of its namespace: who waits for a run asks again and again",
            "ACL SETUSER ... &NAMESPACE.*; docs/deploy.md",
        )  # fmt: skip
    yield _expiry(facts)
    yield ok("redis", "mode", "a cluster" if facts.cluster or info.get("cluster_enabled") else "one server")


def _latency(took: float) -> Check:
    told = f"a round trip took {took * 1000:.1f} ms"
    if took > _SLOW:
        return warning(
            "redis",
            "latency",
            told,
            "move it nearer: a handoff waits for two round trips; look at SLOWLOG GET",
        )
    return ok("redis", "latency", told)


def _role(info: Mapping[str, Any]) -> Check:
    role = str(info.get("role", "master"))
    if role != "master":
        return failed(
            "redis",
            "role",
            f"it is a {printable(role, 40)}, which takes no writes",
            "name the master in COORDINATOR_REDIS_URL",
        )
    replicas = int(info.get("connected_slaves", 0) or 0)
    return ok("redis", "role", f"master with {replicas} replicas")


def _policy(info: Mapping[str, Any]) -> Check:
    policy = str(info.get("maxmemory_policy", ""))
    evicted = int(info.get("evicted_keys", 0) or 0)
    if policy and policy != "noeviction":
        return failed(
            "redis",
            "maxmemory-policy",
            f"{printable(policy, 40)}: it may evict what it holds, and a lost outcome is a second effect",
            "CONFIG SET maxmemory-policy noeviction, and in redis.conf",
        )
    if evicted:
        return warning(
            "redis", "maxmemory-policy", f"{evicted} keys were evicted since it began",
            "compare with the journal what is there: coordinator runs list --status unknown",
        )  # fmt: skip
    if not policy:
        return unknown("redis", "maxmemory-policy", "it does not say", "see that it is noeviction")
    return ok("redis", "maxmemory-policy", policy)


def _memory(info: Mapping[str, Any]) -> Iterator[Check]:
    used, most = int(info.get("used_memory", 0) or 0), int(info.get("maxmemory", 0) or 0)
    system = int(info.get("total_system_memory", 0) or 0)
    limit, of = (most, "maxmemory") if most else (system, "the memory of its host")
    if not limit:
        yield ok("redis", "memory", f"{_size(used)} used, no limit is set")
        return
    told, remedy = (
        f"{_size(used)} used of {_size(limit)}, {of}",
        "give it more memory: full, it refuses to write, and everything waits",
    )
    if used >= _FULL * limit:
        yield failed("redis", "memory", told, remedy)
    elif used >= _NEARLY_FULL * limit:
        yield warning("redis", "memory", told, remedy)
    else:
        yield ok("redis", "memory", told)


def _durability(facts: RedisFacts) -> Iterator[Check]:
    info = facts.info
    if not info.get("aof_enabled", 1):
        yield warning(
            "redis", "appendonly", "no: what it holds is lost when it restarts",
            "CONFIG SET appendonly yes, and in redis.conf",
        )  # fmt: skip
    else:
        yield ok("redis", "appendonly", "yes")
    broken = [
        name for name in ("aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status")
        if str(info.get(name, "ok")) != "ok"
    ]  # fmt: skip
    if broken:
        yield failed(
            "redis", "disk", f"{', '.join(broken)}: not ok", "look at its log, and at the room on its disk"
        )
    sync = (facts.config or {}).get("appendfsync")
    if sync is None:
        yield unknown(
            "redis",
            "appendfsync",
            "CONFIG GET is not allowed",
            "see that it is always: redis-cli CONFIG GET appendfsync",
        )
    elif sync == "always":
        yield ok("redis", "appendfsync", sync)
    else:
        lost = "the last second" if sync == "everysec" else "whatever the host has not written"
        yield warning(
            "redis", "appendfsync", f"{printable(sync, 40)}: a power cut loses {lost}",
            "CONFIG SET appendfsync always, and in redis.conf",
        )  # fmt: skip


def _permissions(refused: Sequence[str]) -> Check:
    if refused:
        return failed(
            "redis",
            "permissions",
            f"this user may not use {', '.join(printable(one, 40) for one in refused)}",
            "give it the keys of its namespace and the commands of @read, @write, @scripting, @connection: ACL SETUSER; docs/deploy.md",
        )
    return ok("redis", "permissions", "scripts, hashes, sets and streams can be written and read")


def _expiry(facts: RedisFacts) -> Check:
    if facts.endless:
        return warning(
            "redis", "expiry", f"the key {printable(facts.endless, 120)} never expires",
            "every key of ours does: somebody has written it by hand, or PERSISTed it",
        )  # fmt: skip
    if not facts.sampled:
        return ok("redis", "expiry", "no key was looked at")
    return ok("redis", "expiry", f"each of {facts.sampled} keys that were looked at expires")


def _size(octets: int) -> str:
    return f"{octets / 2**30:.3g} GiB" if octets >= 2**30 else f"{octets / 2**20:.3g} MiB"
