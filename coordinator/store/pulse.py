"""Pulse: what is in Redis at a moment, in counts, for who looks at it again and again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from redis import Redis

from handoffs.config.settings import Settings
from handoffs.coordinator.errors import Refused, ServerError
from handoffs.coordinator.store import clock, scripts
from handoffs.coordinator.store.asking import Call, Command
from handoffs.coordinator.store.keys import Keys

_PER_SHARD = 3


class Shards(NamedTuple):
    """What the shards hold ``at`` a moment, by Redis' clock, in UTC.

    scheduled
        How many runs begin later.
    entries, oldest
        How many entries of the history are not in the journal yet, and since when the oldest of them waits.
    """

    at: datetime
    scheduled: int
    entries: int
    oldest: datetime | None


class Backlog(NamedTuple):
    """How many steps were sent to an agent and are not settled, and since when the oldest of them waits that is not parked."""

    steps: int
    oldest: datetime | None


class Pulse:
    """Counts what one installation has in Redis. Raises :class:`~handoffs.coordinator.errors.ServerError` where it cannot be used."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._redis = redis
        self._keys = Keys(settings.prefix, settings.shards)
        self._run_ttl = clock.ms(settings.run_ttl)

    def shards(self) -> Shards:
        """What the shards hold, in one round trip; what is there in the place of something else counts for nothing."""
        asked: list[list[Call | Command]] = [[clock.asked(self._keys.announced())]]
        for shard in range(self._keys.shards):
            asked += [
                [Command("ZCARD", self._keys.scheduled(shard))],
                [Command("XLEN", self._keys.history(shard))],
                [Command("XRANGE", self._keys.history(shard), "-", "+", "COUNT", 1)],
            ]
        found = scripts.run_together(self._redis, asked)
        [time], *rest = map(_sound, found)
        counts = [sum(int(one[0]) for one in rest[at::_PER_SHARD] if one) for at in range(_PER_SHARD - 1)]
        first = [one[0][0][0] for one in rest[_PER_SHARD - 1 :: _PER_SHARD] if one and one[0]]
        since = [int(str(number).partition("-")[0]) for number in first]
        scheduled, entries = counts
        return Shards(_moment(int(time)), scheduled, entries, _moment(min(since)) if since else None)

    def backlog(self) -> Mapping[str, Backlog]:
        """What was sent and is not settled, by agent, in one round trip. What it costs Redis grows with how much that is."""
        calls = (
            Call(
                "backlog",
                {"outstanding": self._keys.outstanding(shard)},
                {"ttl": self._run_ttl, "runs": self._keys.runs(shard)},
            )
            for shard in range(self._keys.shards)
        )
        found: dict[str, Backlog] = {}
        for reply in scripts.run(self._redis, *calls):
            for agent, steps, oldest in zip(reply[::3], reply[1::3], reply[2::3], strict=True):
                known = found.get(agent, Backlog(0, None))
                since = [one for one in (known.oldest, _moment(int(oldest)) if int(oldest) else None) if one]
                found[agent] = Backlog(known.steps + int(steps), min(since, default=None))
        return found


def _sound(answer: Any) -> list[Any]:
    """What was answered; nothing where the key has something else. Raises any other error."""
    if isinstance(answer, Refused):
        return []
    if isinstance(answer, ServerError):
        raise answer
    return list(answer)


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds)
