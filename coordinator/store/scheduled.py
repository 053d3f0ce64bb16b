"""Later: the runs that were accepted to begin at a time that is to come. Redis' clock says what time it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from redis import Redis

from handoffs.config.settings import Settings
from handoffs.contracts import strictjson
from handoffs.coordinator.history import Entry, EntryKind, now
from handoffs.coordinator.store import clock, scripts
from handoffs.coordinator.store.asking import Call
from handoffs.coordinator.store.fields import Field
from handoffs.coordinator.store.keys import Keys


class Begun(NamedTuple):
    """A run that has begun now, and its first messages as they were stored."""

    run: str
    flow: str
    first: str


class ScheduledRuns:
    """What is due of one installation. Any number of processes may ask: each run is given to one of them.

    Raises :class:`~handoffs.coordinator.errors.ServerError` where Redis cannot be used.
    """

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._redis = redis
        self._keys = Keys(settings.prefix, settings.shards)
        self._ttl = clock.ms(settings.run_ttl)

    def begin(self, *, limit: int = 20) -> list[Begun]:
        """Begin runs whose time has come, at most ``limit`` of each shard. They run from now on, and count as accepted and
        not published until :meth:`~handoffs.coordinator.store.runs.Runs.published`."""
        due = self._due(limit)
        replies = (
            scripts.run(self._redis, *(self._call(run, flow) for run, flow in due.items())) if due else []
        )
        return [
            Begun(run, str(reply[0]), str(reply[1])) for run, reply in zip(due, replies, strict=True) if reply
        ]

    def _due(self, limit: int) -> Mapping[str, str]:
        """The runs whose time has come, with their flows."""
        with scripts.redis_errors():
            seconds, micros = self._redis.time()
            pipeline: Any = self._redis.pipeline(transaction=False)
            for shard in range(self._keys.shards):
                latest = int(seconds) * 1000 + int(micros) // 1000
                pipeline.zrangebyscore(self._keys.scheduled(shard), 0, latest, start=0, num=limit)
            runs = [run for found in pipeline.execute() for run in found]
            if not runs:
                return {}
            for run in runs:
                pipeline.hget(self._keys.run(run), Field.FLOW)
            return dict(zip(runs, map(str, pipeline.execute()), strict=True))

    def _call(self, run: str, flow: str) -> Call:
        keys = self._keys.around(run, "scheduled", "later", "starting", "outstanding", "history")
        entry = strictjson.dumps(Entry(EntryKind.BEGUN, run, flow, now()).fields())
        return Call("begin", keys, {"run_id": run, "entry": entry, "ttl": self._ttl})
