"""Entries: the history that is not in the journal yet, oldest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis import Redis

from handoffs.config.settings import Settings
from handoffs.coordinator.store import scripts
from handoffs.coordinator.store.keys import Keys


class HistoryStream:
    """What one installation has still to write down. Raises :class:`~handoffs.coordinator.errors.ServerError` where Redis cannot be
    used."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._redis = redis
        self._keys = Keys(settings.prefix, settings.shards)

    def oldest(self, shard: int, *, count: int = 500) -> list[tuple[str, str]]:
        """The oldest entries of a shard, as (stream id, JSON)."""
        with scripts.redis_errors():
            entries: Any = self._redis.xrange(self._keys.history(shard), count=count)
            return [(str(stream_id), str(fields["entry"])) for stream_id, fields in entries]

    def forget(self, shard: int, stream_ids: Sequence[str]) -> None:
        """Drop entries that are in the journal."""
        with scripts.redis_errors():
            self._redis.xdel(self._keys.history(shard), *stream_ids)
