"""Entries: the history that is not in the journal yet, oldest first."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from redis import Redis

from handoffs.config.settings import Settings
from handoffs.contracts.errors import InvalidData
from handoffs.coordinator.errors import Refused, ServerError
from handoffs.coordinator.history import checked
from handoffs.coordinator.store import clock, scripts
from handoffs.coordinator.store.asking import Arguments, Call, Command
from handoffs.coordinator.store.keys import Keys

_ID = re.compile(r"([0-9]{1,20})(?:-([0-9]{1,20}))?")
_NONE = (-1, -1)

T = TypeVar("T")

Kept = list[tuple[str, str]]
"""Entries of one shard, oldest first, as (stream id, JSON)."""


def read(stream_id: str, text: str) -> dict[str, Any]:
    """An entry as it is to be told: it happened when Redis got it, by Redis' clock, whatever its writer's host says.

    Raises :class:`~handoffs.contracts.errors.InvalidData` where it is none.
    """
    try:
        entry = checked(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise InvalidData(f"it is no JSON: {type(error).__name__}") from None
    if not entry.get("kind"):
        raise InvalidData("it does not say what it tells of")
    at = datetime.fromtimestamp(int(stream_id.partition("-")[0]) / 1000, UTC)
    return {**entry, "at": at.isoformat(timespec="milliseconds")} if "at" in entry else entry


class HistoryStream:
    """What one installation has still to write down. Raises :class:`~handoffs.coordinator.errors.ServerError` where Redis cannot be
    used."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._redis = redis
        self._keys = Keys(settings.prefix, settings.shards)
        self._run_ttl = clock.ms(settings.run_ttl)
        self._seen: dict[int, tuple[int, int]] = {}
        self._gone_back: float | None = None

    def oldest(self, shard: int, *, count: int = 500) -> Kept:
        """The oldest entries of a shard."""
        found = self.oldest_of([shard], count=count)[shard]
        if isinstance(found, Refused):
            raise found
        return found

    def oldest_of(self, shards: Iterable[int], *, count: int) -> dict[int, Kept | Refused]:
        """The oldest entries of each of the shards, ``count`` at most, in one round trip; of one that holds something else, that
        it is refused."""
        return self._read("XRANGE", "-", "+", shards, count)

    def newest_of(self, shards: Iterable[int], *, count: int) -> dict[int, Kept | Refused]:
        """The same of the newest entries, the newest first."""
        return self._read("XREVRANGE", "+", "-", shards, count)

    def _read(
        self, command: str, begin: str, end: str, shards: Iterable[int], count: int
    ) -> dict[int, Kept | Refused]:
        asked = tuple(shards)
        commands = [
            [Command(command, self._keys.history(shard), begin, end, "COUNT", count)] for shard in asked
        ]
        answers = zip(asked, scripts.run_together(self._redis, commands), strict=True)
        return {shard: _passing(answer, _kept) for shard, answer in answers}

    def length(self) -> int:
        """How many entries there are, of all shards; one that holds something else has none."""
        calls = [[Command("XLEN", self._keys.history(shard))] for shard in range(self._keys.shards)]
        found = (
            _passing(answer, lambda counted: int(counted[0]))
            for answer in scripts.run_together(self._redis, calls)
        )
        return sum(count for count in found if isinstance(count, int))

    def forget(self, shard: int, stream_ids: Sequence[str]) -> None:
        """Drop entries that are in the journal, oldest first."""
        self.forget_all({shard: stream_ids})

    def forget_all(self, shards: Mapping[int, Sequence[str]]) -> None:
        """The same for several shards, in one round trip. Raises :class:`~handoffs.coordinator.errors.Refused` where one of them holds
        something else, once the others are done."""
        asked = {shard: numbers for shard, numbers in shards.items() if numbers}
        seen = {shard: self._seen.get(shard, _NONE) for shard in asked}
        refused: Refused | None = None
        calls = [[self._forgetting(shard, numbers)] for shard, numbers in asked.items()]
        for (shard, numbers), found in zip(
            asked.items(), scripts.run_together(self._redis, calls), strict=True
        ):
            answer = _passing(found, tuple)
            if isinstance(answer, Refused):
                refused = refused or answer
                continue
            [[known, missing]] = answer
            if missing:
                self._go_back(_number(str(known)))
            self._meet(shard, str(known), seen[shard])
            self._see(shard, _number(numbers[-1]))
        if refused is not None:
            raise refused

    def _forgetting(self, shard: int, numbers: Sequence[str]) -> Call:
        keys = {"history": self._keys.history(shard), "mark": self._keys.mark(shard)}
        arguments: Arguments = {"ids": " ".join(numbers), "ttl": self._run_ttl}
        return Call("forget", keys, arguments)

    def gone_back(self) -> float | None:
        """To when Redis has gone back since this was asked the last time, in seconds since 1970, 0 where it has nothing any more; None
        where it has not. It does not know any more then what it knew of the entries that are in the journal."""
        seen = dict(self._seen)
        with scripts.redis_errors():
            pipeline: Any = self._redis.pipeline(transaction=False)
            for shard in range(self._keys.shards):
                pipeline.hget(self._keys.mark(shard), "id")
            found = pipeline.execute()
        for shard, known in enumerate(found):
            self._meet(shard, str(known or ""), seen.get(shard, _NONE))
        gone_back, self._gone_back = self._gone_back, None
        return gone_back

    def _meet(self, shard: int, known: str, seen: tuple[int, int]) -> None:
        """Remember up to where a shard's entries are in the journal, or see that it is less than it was when Redis was asked, which
        is what had been ``seen`` by then: another thread may have seen more since."""
        number = _number(known)
        if number < seen:
            self._go_back(number)
            self._seen[shard] = number
        self._see(shard, number)

    def _see(self, shard: int, number: tuple[int, int]) -> None:
        self._seen[shard] = max(number, self._seen.get(shard, _NONE))

    def _go_back(self, to: tuple[int, int]) -> None:
        at = max(to[0], 0) / 1000
        self._gone_back = at if self._gone_back is None else min(self._gone_back, at)


def _number(stream_id: str) -> tuple[int, int]:
    """The two numbers of a stream's id; those before all where somebody has put there what is none."""
    found = _ID.fullmatch(stream_id)
    return (int(found[1]), int(found[2] or 0)) if found else _NONE


def _passing(answer: list[Any] | ServerError, read: Callable[[list[Any]], T]) -> T | Refused:
    """What is read of an answer, or what Redis has refused. Raises any other error."""
    if isinstance(answer, Refused):
        return answer
    if isinstance(answer, ServerError):
        raise answer
    return read(answer)


def _kept(answer: list[Any]) -> Kept:
    [found] = answer
    return [(str(number), str((fields or {}).get("entry", ""))) for number, fields in found]
