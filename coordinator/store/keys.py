"""Keys: every name in Redis. Keys that one script touches share a hash tag, so that they share a cluster's slot."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from typing import Literal, get_args

Shared = Literal["history", "mark", "starting", "scheduled", "later", "outstanding"]
"""What the runs of a shard share."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The names of one installation: ``prefix`` begins each, runs are spread over ``shards``."""

    prefix: str
    shards: int

    # A run, and what the runs of its shard share

    def shard(self, run_id: str) -> int:
        """The number of the shard that a run is in."""
        return zlib.crc32(run_id.encode("utf-8", "surrogatepass")) % self.shards

    def run(self, run_id: str) -> str:
        """The hash of a run; its fields are in ``fields.py``."""
        return f"{self.runs(self.shard(run_id))}{run_id}"

    def runs(self, shard: int) -> str:
        """What the hashes of the runs of a shard are called, before the run's id."""
        return f"{self.prefix}run:{{{shard}}}:"

    def ended(self, run_id: str) -> str:
        """What is left of a run that has ended, longer than its hash: its status, and ``undone`` where it was compensated."""
        return f"{self.prefix}ended:{{{self.shard(run_id)}}}:{run_id}"

    def progress(self, run_id: str) -> str:
        """The hash of how far the steps of a run are that are at work: by step, what is seen of it (JSON)."""
        return f"{self.prefix}progress:{{{self.shard(run_id)}}}:{run_id}"

    def usage(self, run_id: str) -> str:
        """The hash of what a run has used up (``sum:``), what each of its attempts had (``of:``), and what it may use up
        (``limit:``), by the names of what is counted."""
        return f"{self.prefix}usage:{{{self.shard(run_id)}}}:{run_id}"

    def usage_of(self, flow: str, shard: int) -> str:
        """The hash of what the runs of a flow have used up, those of one shard: by day (since 1970) and what is counted."""
        return f"{self.prefix}used:{{{shard}}}:{flow}"

    def around(self, run_id: str, *shared: Shared | Literal["ended"]) -> dict[str, str]:
        """The hash of a run, what is left of it when that is forgotten (``ended``), and what it shares with others, by the names
        that scripts have for them."""
        shard, run = self.shard(run_id), {"run": self.run(run_id)}
        for name in shared:
            run[name] = self.ended(run_id) if name == "ended" else self._shared(name, shard)
        return run

    def shared_by(self, shard: int) -> tuple[str, ...]:
        """All that the runs of a shard share."""
        return tuple(self._shared(name, shard) for name in get_args(Shared))

    def history(self, shard: int) -> str:
        """The stream of history entries that are not in the journal yet."""
        return self._shared("history", shard)

    def mark(self, shard: int) -> str:
        """The hash of up to which entry the history of a shard is in the journal."""
        return self._shared("mark", shard)

    def starting(self, shard: int) -> str:
        """The runs whose first messages are not published yet, in a sorted set by when they began (ms)."""
        return self._shared("starting", shard)

    def scheduled(self, shard: int) -> str:
        """The runs that begin later, in a sorted set by when they do (ms)."""
        return self._shared("scheduled", shard)

    def later(self, shard: int) -> str:
        """The hash of what those runs will send: by run, a line ``step agent contract/version`` for each message."""
        return self._shared("later", shard)

    def outstanding(self, shard: int) -> str:
        """The hash of what was sent and is not settled: by ``run|step``, since when (ms), the agent and ``contract/version``; of
        a message of a join, of its parts too, separated by commas."""
        return self._shared("outstanding", shard)

    # Idempotency keys, and what is kept under one

    def outcome(self, agent: str, key: str) -> str:
        """The hash of an idempotency key: its lease, and its outcome."""
        return self.outcome_of(agent, digest_of(key))

    def outcome_of(self, agent: str, digest: str) -> str:
        """The same, by the digest of the key."""
        return f"{self.prefix}outcome:{{{agent}/{digest}}}"

    def subresults(self, agent: str, key: str) -> str:
        """The hash of what calls within a step have given that works under an idempotency key."""
        return f"{self.prefix}subresults:{{{agent}/{digest_of(key)}}}"

    def kept(self, key: str) -> str:
        """The last good outcome that a ``cached()`` may fall back to."""
        return f"{self.prefix}kept:{{{key}}}"

    # Sets of events

    def gathered(self, agent: str, key: str) -> str:
        """The hash of a set of events that an agent gathers under ``key``."""
        return self.set(self.set_name(agent, key))

    def set(self, name: str) -> str:
        """The same, by its :meth:`set_name`."""
        return f"{self.prefix}gathered:{{{name}}}"

    def set_name(self, agent: str, key: str) -> str:
        """What stands for a set where its key must not be shown."""
        return f"{agent}/{digest_of(key)}"

    # Schedules, and who is alive

    def schedule(self, name: str) -> str:
        """The hash of how far a schedule has come."""
        return f"{self.prefix}schedule:{{{name}}}"

    def consumers(self, agent: str) -> str:
        """The hash of an agent's workers: by instance, what it announces (JSON)."""
        return f"{self.prefix}consumers:{{{agent}}}"

    def build(self, agent: str, build: str) -> str:
        """The whole manifest of a build that was seen (JSON)."""
        return f"{self.prefix}build:{{{agent}}}:{build}"

    def deployed(self, agent: str) -> str:
        """The manifests of an agent's builds that are recorded as deployed (JSON)."""
        return f"{self.prefix}deployed:{{{agent}}}"

    def announced(self) -> str:
        """The agents, in a sorted set by until when one of their workers is alive (ms)."""
        return f"{self.prefix}announced"

    def _shared(self, name: Shared, shard: int) -> str:
        return f"{self.prefix}{name}:{{{shard}}}"


def digest_of(key: str) -> str:
    """Names an idempotency key where it must not be shown: 40 digits."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:40]
