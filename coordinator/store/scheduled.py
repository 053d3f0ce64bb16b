"""Later: the runs that were accepted to begin at a time that is to come. Redis' clock says what time it is."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from redis import Redis

from handoffs.config.settings import Settings
from handoffs.contracts import strictjson
from handoffs.contracts.text import printable
from handoffs.coordinator.errors import Refused
from handoffs.coordinator.history import Entry, EntryKind, now
from handoffs.coordinator.store import clock, scripts
from handoffs.coordinator.store.asking import Call
from handoffs.coordinator.store.fields import Field
from handoffs.coordinator.store.keys import Keys

_log = logging.getLogger(__name__)


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
        not published until :meth:`~handoffs.coordinator.store.runs.Runs.published`. What cannot be begun, because somebody has
        changed it by hand, waits no more, and has no first messages."""
        due = self._due(limit)
        try:
            replies = self._begun(due)
        except Refused:
            replies = [reply for run, flow in due.items() for reply in self._alone(run, flow)]
        return [
            Begun(run, str(reply[0] or ""), str(reply[1] or ""))
            for run, reply in zip(due, replies, strict=True)
            if reply
        ]

    def next_due(self) -> datetime | None:
        """When the first of those that wait is to begin; None where none waits."""
        with scripts.redis_errors():
            pipeline: Any = self._redis.pipeline(transaction=False)
            for shard in range(self._keys.shards):
                pipeline.zrange(self._keys.scheduled(shard), 0, 0, withscores=True)
            first = [score for found in pipeline.execute() for _, score in found]
        return datetime.fromtimestamp(min(first) / 1000, UTC) if first else None

    def _begun(self, due: Mapping[str, str]) -> list[Any]:
        calls = [self._call(run, flow) for run, flow in due.items()]
        return scripts.run(self._redis, *calls) if calls else []

    def _alone(self, run: str, flow: str) -> list[Any]:
        """Begin one run by itself; where Redis refuses, it is taken from those that wait."""
        try:
            return self._begun({run: flow})
        except Refused as error:
            _log.warning("run=%s cannot be begun: %s", printable(run, 200), error)
            with scripts.redis_errors():
                self._redis.zrem(self._keys.scheduled(self._keys.shard(run)), run)
                self._redis.hdel(self._keys.later(self._keys.shard(run)), run)
            return [[flow, ""]]

    def _due(self, limit: int) -> Mapping[str, str]:
        """The runs whose time has come, with their flows."""
        with scripts.redis_errors():
            latest = scripts.time(self._redis, self._keys.scheduled(0))
            pipeline: Any = self._redis.pipeline(transaction=False)
            for shard in range(self._keys.shards):
                pipeline.zrangebyscore(self._keys.scheduled(shard), 0, latest, start=0, num=limit)
            runs = []
            for shard, found in enumerate(pipeline.execute(raise_on_error=False)):
                runs += self._of_shard(shard, found)
            if not runs:
                return {}
            for run in runs:
                pipeline.hget(self._keys.run(run), Field.FLOW)
            flows = pipeline.execute(raise_on_error=False)
            return {run: flow if isinstance(flow, str) else "" for run, flow in zip(runs, flows, strict=True)}

    def _of_shard(self, shard: int, found: Any) -> list[str]:
        """Of what a shard has as due, the runs that belong there: nobody would look for another one."""
        if isinstance(found, Exception):
            error = scripts.redis_error(found)
            if not isinstance(error, Refused):
                raise error from found
            _log.warning("the runs of a shard that begin later cannot be read: %s", error)
            return []
        strays = [run for run in found if self._keys.shard(run) != shard]
        if strays:
            self._redis.zrem(self._keys.scheduled(shard), *strays)
        return [run for run in found if run not in strays]

    def _call(self, run: str, flow: str) -> Call:
        keys = self._keys.around(run, "scheduled", "later", "starting", "outstanding", "history")
        entry = strictjson.dumps(Entry(EntryKind.BEGUN, run, flow, now()).fields())
        return Call("begin", keys, {"run_id": run, "entry": entry, "ttl": self._ttl})
