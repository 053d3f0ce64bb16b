"""Keys: every name in Redis. Keys that one script touches share a hash tag, so that they share a cluster's slot."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Keys:
    """The names of one installation: ``prefix`` begins each, runs are spread over ``shards``."""

    prefix: str
    shards: int

    def shard(self, run: str) -> int:
        return zlib.crc32(run.encode()) % self.shards

    def run(self, run: str) -> str:
        return f"{self.prefix}run:{{{self.shard(run)}}}:{run}"

    def history(self, shard: int) -> str:
        return f"{self.prefix}history:{{{shard}}}"

    def starting(self, shard: int) -> str:
        return f"{self.prefix}starting:{{{shard}}}"

    def scheduled(self, shard: int) -> str:
        return f"{self.prefix}scheduled:{{{shard}}}"

    def later(self, shard: int) -> str:
        return f"{self.prefix}later:{{{shard}}}"

    def outstanding(self, shard: int) -> str:
        return f"{self.prefix}outstanding:{{{shard}}}"

    def kept(self, key: str) -> str:
        return f"{self.prefix}kept:{{{key}}}"

    def consumers(self, agent: str) -> str:
        return f"{self.prefix}consumers:{{{agent}}}"

    def build(self, agent: str, build: str) -> str:
        return f"{self.prefix}build:{{{agent}}}:{build}"

    def deployed(self, agent: str) -> str:
        return f"{self.prefix}deployed:{{{agent}}}"

    def announced(self) -> str:
        return f"{self.prefix}announced"

    def gathered(self, agent: str, key: str) -> str:
        return self.set(self.set_name(agent, key))

    def set(self, name: str) -> str:
        return f"{self.prefix}gathered:{{{name}}}"

    def set_name(self, agent: str, key: str) -> str:
        return f"{agent}/{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:40]}"

    def schedule(self, name: str) -> str:
        return f"{self.prefix}schedule:{{{name}}}"

    def outcome(self, agent: str, key: str) -> str:
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:40]
        return f"{self.prefix}outcome:{{{agent}/{digest}}}"
