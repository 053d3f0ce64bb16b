"""Outstanding: the steps that were sent and are not settled, by whom they wait for and in which version."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from redis import Redis

from handoffs.config.settings import Settings
from handoffs.coordinator.store import clock, scripts
from handoffs.coordinator.store.asking import Call
from handoffs.coordinator.store.fields import Kind
from handoffs.coordinator.store.keys import Keys
from handoffs.coordinator.store.read import milliseconds


class Outstanding:
    """What is outstanding in one installation. Raises :class:`~handoffs.coordinator.errors.ServerError` where Redis cannot be used."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._redis = redis
        self._keys = Keys(settings.prefix, settings.shards)
        self._run_ttl = clock.ms(settings.run_ttl)

    def counts(self) -> dict[tuple[str, str], int]:
        """How many steps were sent and are not settled, by agent and ``contract/version``: they are queued, delayed,
        running or dead-lettered, or will be sent when their run begins. What is noted there in no such way is counted under two empty
        names."""
        calls = (
            Call(
                "outstanding",
                {"outstanding": self._keys.outstanding(shard), "later": self._keys.later(shard)},
                {"ttl": self._run_ttl, "runs": self._keys.runs(shard)},
            )
            for shard in range(self._keys.shards)
        )
        counts: Counter[tuple[str, str]] = Counter()
        for reply in scripts.run(self._redis, *calls):
            for what, count in zip(reply[::2], reply[1::2], strict=True):
                agent, _, ref = what.partition(" ")
                counts[agent, ref] += int(count)
        return dict(counts)

    def sent(self, run_id: str) -> dict[str, tuple[float, str, str]]:
        """The steps of a run that were sent and are not settled: when, in seconds since 1970, the agent, ``contract/version``."""
        found = {}
        with scripts.redis_errors():
            for step, text in self._of(run_id):
                if not step.startswith(Kind.ARRIVED):  # which is a part that waits for others
                    at, agent, refs = (*text.split(" ", 2), "", "")[:3]
                    found[step] = (milliseconds(at) / 1000, agent, refs.partition(",")[0])
        return found

    def agents_of(self, run_id: str) -> dict[str, str] | None:
        """The steps of a run that were sent and are not settled, with the agent of each; None where Redis knows no such
        run."""
        with scripts.redis_errors():
            if not self._redis.exists(self._keys.run(run_id)):
                return None
            found = {step: text.split(" ") for step, text in self._of(run_id)}
        return {step: words[1] if len(words) > 1 else "" for step, words in found.items()}

    def _of(self, run_id: str) -> Iterator[tuple[str, str]]:
        """The steps of a run, with what is noted of each."""
        key, prefix = self._keys.outstanding(self._keys.shard(run_id)), f"{run_id}|"
        for name, text in self._redis.hscan_iter(key, match=_literally(prefix) + "*", count=5_000):
            yield str(name).removeprefix(prefix), str(text)


def _literally(text: str) -> str:
    """A text as a pattern of Redis that fits nothing else."""
    return "".join(f"\\{sign}" if sign in "*?[]^-\\" else sign for sign in text)
