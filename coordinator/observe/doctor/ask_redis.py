"""Asks Redis what the doctor wants to know, in a few round trips."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from redis import Redis
from redis.exceptions import NoPermissionError, ResponseError

from handoffs.config.settings import Settings
from handoffs.coordinator.observe.doctor.redis import CHANNELS, RedisFacts
from handoffs.coordinator.store import clock, scripts
from handoffs.coordinator.store.keys import Keys

_SAMPLED = 100
_GONE_AFTER = 5_000
"""Milliseconds after which the keys of a test are gone, whatever becomes of it."""


def redis_facts(redis: Redis, settings: Settings) -> RedisFacts:
    """What Redis says. Raises :class:`~handoffs.coordinator.errors.ServerError` where it cannot be used."""
    keys, clustered = Keys(settings.prefix, settings.shards), "+cluster" in (settings.redis_url or "")
    with scripts.redis_errors():
        refused = list(_tried(redis, settings.prefix))
        began = time.monotonic()
        redis.ping()
        took = time.monotonic() - began
        ahead = (
            (scripts.time(redis, keys.announced()) - clock.now()) / 1000 if "scripts" not in refused else 0.0
        )
        info = _of_one(redis.info())
        sampled, endless = (0, "") if clustered else _sample(redis, settings.prefix)
        return RedisFacts(info, _config(redis), took, ahead, tuple(refused), sampled, endless, clustered)


def _tried(redis: Redis, prefix: str) -> Iterator[str]:
    """What this user may not use, of what is used all the time. What is written is gone in a moment."""
    key = f"{prefix}doctor:{{{uuid.uuid4().hex}}}"
    tries: dict[str, list[tuple[str | int, ...]]] = {
        "strings": [("SET", key, "1", "PX", _GONE_AFTER), ("GET", key)],
        "hashes": [("HSET", key, "field", "1"), ("PEXPIRE", key, _GONE_AFTER), ("HGETALL", key)],
        "sorted sets": [("ZADD", key, 1, "one"), ("PEXPIRE", key, _GONE_AFTER), ("ZCARD", key)],
        "streams": [("XADD", key, "*", "field", "1"), ("PEXPIRE", key, _GONE_AFTER), ("XLEN", key)],
        "scripts": [("EVAL", "return redis.call('EXISTS', KEYS[1])", 1, key)],
        CHANNELS: [("PUBLISH", key, "1")],
    }
    for name, commands in tries.items():
        try:
            for command in (*commands, ("DEL", key)):
                redis.execute_command(*command)  # type: ignore[no-untyped-call]
        except NoPermissionError:
            yield name


def _config(redis: Redis) -> Mapping[str, str] | None:
    """What is set of what may be lost; None where this user may not ask."""
    with contextlib.suppress(ResponseError, NotImplementedError):
        found: Any = _of_one(redis.config_get("appendfsync"))
        return {str(name): str(value) for name, value in found.items()}
    return None


def _sample(redis: Redis, prefix: str) -> tuple[int, str]:
    """How many of our keys were looked at, and one that never expires. Without a prefix every key is one of ours."""
    pattern = "".join(f"\\{sign}" if sign in "*?[]^-\\" else sign for sign in prefix) + "*"
    try:
        _, found = redis.scan(0, match=pattern, count=5 * _SAMPLED)
    except NoPermissionError:
        return 0, ""
    names = [str(name) for name in found[:_SAMPLED] if prefix or _is_ours(str(name))]
    pipeline: Any = redis.pipeline(transaction=False)
    for name in names:
        pipeline.pttl(name)
    left = pipeline.execute(raise_on_error=False) if names else []
    endless = [name for name, span in zip(names, left, strict=True) if span == -1]
    return len(names), endless[0] if endless else ""


_OURS = ("run:", "ended:", "outcome:", "history:", "mark:", "starting:", "scheduled:", "later:", "outstanding:", "gathered:", "consumers:", "schedule:")  # fmt: skip


def _is_ours(name: str) -> bool:
    return name.startswith(_OURS)


def _of_one(found: Any) -> Mapping[str, Any]:
    """What one server says; of a cluster, which is asked node by node, the first that answered."""
    nested = [value for value in found.values() if isinstance(value, dict) and "redis_version" in value]
    return nested[0] if nested else found
