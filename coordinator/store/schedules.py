"""Ticked: how far each schedule has come, for all beats together. Redis' clock says what time it is."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from redis import Redis

from handoffs.config.settings import Settings
from handoffs.contracts.text import printable
from handoffs.coordinator.errors import Refused
from handoffs.coordinator.store import scripts
from handoffs.coordinator.store.asking import Arguments, Call
from handoffs.coordinator.store.keys import Keys
from handoffs.coordinator.store.read import milliseconds

_log = logging.getLogger(__name__)

_MILLISECOND = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEPT = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a schedule has come: it is done with its times up to ``until``, and for ``last`` it started ``run``."""

    until: datetime | None = None
    last: datetime | None = None
    run: str = ""


class ScheduleProgress:
    """The schedules of one installation. Raises :class:`~handoffs.coordinator.errors.ServerError` where Redis cannot be used."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._redis = redis
        self._keys = Keys(settings.prefix, settings.shards)

    def read(self, names: Sequence[str]) -> tuple[datetime, list[Progress]]:
        """What time it is, and how far each of these schedules has come."""
        with scripts.redis_errors():
            pipeline: Any = self._redis.pipeline(transaction=False)
            for name in names:
                pipeline.hgetall(self._keys.schedule(name))
                pipeline.pexpire(self._keys.schedule(name), _ms(_KEPT))
            found = pipeline.execute(raise_on_error=False)[::2] if names else []
        now = scripts.time(self._redis, self._keys.schedule(names[0] if names else ""))
        return _EPOCH + now * _MILLISECOND, [
            self._progress(name, one) for name, one in zip(names, found, strict=True)
        ]

    def _progress(self, name: str, known: Any) -> Progress:
        """How far a schedule has come. It begins anew, with its next time, where that cannot be read."""
        if isinstance(known, Exception):
            error = scripts.redis_error(known)
            if not isinstance(error, Refused):
                raise error from known
            with scripts.redis_errors():
                self._redis.delete(self._keys.schedule(name))
            known = {"until": "?"}
        if known.get("until") and not milliseconds(known["until"]):
            _log.warning("schedule=%s begins anew: how far it had come cannot be read", printable(name, 120))
        return Progress(_time(known.get("until")), _time(known.get("last")), known.get("run", ""))

    def meet(self, name: str, now: datetime) -> None:
        """A schedule is there from now on, if nothing is known of it: it does not run for its earlier times."""
        self._note(name, now, "", first=True)

    def done(self, name: str, until: datetime, run: str = "") -> None:
        """A schedule is done with its times up to one, for which ``run`` was started, if any was."""
        self._note(name, until, run)

    def _note(self, name: str, until: datetime, run_id: str, *, first: bool = False) -> None:
        time, only_first = (until - _EPOCH) // _MILLISECOND, "1" if first else ""
        arguments: Arguments = {"time": time, "run_id": run_id, "first": only_first, "ttl": _ms(_KEPT)}
        scripts.run(self._redis, Call("tick", {"schedule": self._keys.schedule(name)}, arguments))


def _ms(duration: timedelta) -> int:
    return duration // _MILLISECOND


def _time(text: str | None) -> datetime | None:
    since = milliseconds(text)
    return _EPOCH + round(since) * _MILLISECOND if since else None
