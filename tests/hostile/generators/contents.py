"""Contents: what somebody has put into Redis by hand, in the place of runs, of what is to begin, and of the history."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any
from uuid import UUID

from handoffs.contracts.errors import CoordinationError
from handoffs.coordinator.store.fields import Field, Kind
from tests.hostile.case import Case, Fate, token

_VALUES = (
    "", "nonsense", "{", "null", "[]", "{}", "-1", "9" * 400, "1e400", '{"kind": [1], "attempt": "x"}', "\x00", "\x1b[2J", "\u202e", "running",
    '[{"id": 1}]', '{"messages": [{}], "rest": {}}', '{"signal": 1, "since": 1e400}', b"\xff\xfe",
)  # fmt: skip
_PATHS = ("", "1", "9" * 400, "1.undo", "1.timer", "a@b", "1!2", "\x1b[2J", "²")


@dataclass(frozen=True, slots=True)
class Entry:
    """Appends to the history of a shard what is no entry."""

    shard: int
    fields: tuple[tuple[str, str], ...]

    def __call__(self, site: Any) -> None:
        keys = site.client.engine.store.keys
        site.redis.xadd(keys.history(self.shard % keys.shards), dict(self.fields))


@dataclass(frozen=True, slots=True)
class Garbled:
    """Puts something in the place of a run that is to be published, or begun, and looks at it."""

    run: str
    fields: tuple[tuple[str, str | bytes], ...]
    another: bool
    waits: bool

    def __call__(self, site: Any) -> None:
        store = site.client.engine.store
        keys, shard = store.keys, store.keys.shard(self.run)
        if self.another:
            site.redis.set(keys.run(self.run), "nonsense", px=600_000)
        else:
            site.redis.hset(keys.run(self.run), mapping=dict(self.fields))
            site.redis.pexpire(keys.run(self.run), 600_000)
        site.redis.zadd(keys.scheduled(shard) if self.waits else keys.starting(shard), {self.run: 1})
        run = site.client.run(self.run)
        for ask in (run.status, run.current, run.history, run.pause):
            try:
                ask()
            except CoordinationError:  # which says what is wrong
                continue


def generate(random: Random) -> Case:
    """An entry of the history that is none, which becomes a letter; or a run that is none, which is in nobody's way."""
    mark = token(random)
    if random.random() < 0.5:
        text = random.choice(
            (
                "nonsense",
                '{"kind": 7, "run": "%s"}',
                '["%s"]',
                '{"kind": "", "x": "%s"}',
                '{"kind": "settled", "emitted": "%s"}',
            )
        )
        text = text.replace("%s", mark) if "%s" in text else f"{text} {mark} \x1b[2J"
        return Case("contents/entry", mark, Entry(random.randrange(64), (("entry", text),)))
    run = str(UUID(int=random.getrandbits(128), version=4))
    names = [*Field, *(kind.of(path) for kind in Kind for path in _PATHS)]
    fields = tuple(
        (str(random.choice(names)), random.choice(_VALUES)) for _ in range(random.randrange(1, 30))
    )
    what = Garbled(run, fields, another=random.random() < 0.2, waits=random.random() < 0.5)
    return Case("contents/run", mark, what, Fate.NOTHING)
