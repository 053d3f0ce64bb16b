"""Recovery: what is put back into Redis that the journal knows, and from what a run is taken up again."""

from __future__ import annotations

from typing import Any

from redis import Redis

from handoffs.config.settings import Settings
from handoffs.coordinator.store import clock, scripts
from handoffs.coordinator.store.asking import Arguments, Call
from handoffs.coordinator.store.fields import Field, Kind
from handoffs.coordinator.store.keys import Keys
from handoffs.coordinator.store.record import Record, StepRef
from handoffs.coordinator.store.server import incarnation


class Recovery:
    """What was lost of one installation. Raises :class:`~handoffs.coordinator.errors.ServerError` where Redis cannot be used."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._redis = redis
        self._keys = Keys(settings.prefix, settings.shards)
        self._embedded = settings.embedded
        self._run_ttl = clock.ms(settings.run_ttl)

    def incarnation(self) -> str:
        """Names the life of the server, or of those of a cluster: another one after a restart, or where a replica has taken over. Empty where it has no name:
        the one of this process lives as long as that."""
        if self._embedded:
            return ""
        with scripts.redis_errors():
            return incarnation(self._redis)

    def restore(self, ref: StepRef, record: Record | None, reason: str) -> str:
        """Put an outcome back that a run does not know; None where the journal has it not whole: then nobody does the step again
        but a person who says so, for that ``reason``. An outcome that the run has let go is given back to it. Gives ``restored``, ``lost``, ``known``, or the status of a run that does not
        go on. Doing it again changes nothing."""
        arguments: Arguments = {
            "step": ref.step,
            "flow": ref.flow,
            "run_id": ref.run,
            "record": record.text() if record else "",
            "digest": record.digest() if record else "",
            "reason": reason,
            "ttl": self._run_ttl,
        }
        call = Call("restore", self._keys.around(ref.run, "ended", "outstanding"), arguments)
        return str(scripts.run(self._redis, call)[0])

    def origin(self, run: str) -> str:
        """The first messages of a run that goes on, as they were kept; empty where they are not known."""
        with scripts.redis_errors():
            found: Any = self._redis.hmget(self._keys.run(run), [Kind.ORIGIN.of("first"), Field.FIRST])
        return str(found[0] or found[1] or "")
