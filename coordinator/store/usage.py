"""Usage: what runs and flows have used up, and what a run may use up.

Each attempt says how much it has used up by now, in all. The same attempt, delivered once more, counts where it comes further than before,
and adds nothing up to there. Sums by flow are kept by day and by shard, so that one script counts for run and flow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from handoffs.config.settings import Settings
from handoffs.coordinator.flow.usage import Amounts
from handoffs.coordinator.store import clock
from handoffs.coordinator.store.asking import Asking, Call, Command, RoundTrip
from handoffs.coordinator.store.keys import Keys

MOST_DAYS = 366
"""How many days what flows use up is remembered for."""
_DAY = 86_400_000  # ms
_SUM, _LIMIT = "sum:", "limit:"
_LIMITED = ("tokens", "cost")


@dataclass(frozen=True, slots=True)
class Spent:
    """What a run has used up, and what it may, by name; what is not limited is not in ``limits``."""

    sums: Amounts = field(default_factory=dict)
    limits: Amounts = field(default_factory=dict)

    @property
    def over(self) -> tuple[str, ...]:
        """The names of that of which it has used up more than it may."""
        return tuple(name for name, limit in self.limits.items() if self.sums.get(name, 0) > limit)


class UsageOfRuns:
    """What the runs and flows of an installation use up. Each method gives what it asks of Redis (``asking.py``)."""

    def __init__(self, keys: Keys, settings: Settings) -> None:
        self._keys = keys
        self._ttl = clock.ms(settings.run_ttl)

    def use(self, run_id: str, flow: str, attempts: Mapping[str, Amounts]) -> Asking[Spent]:
        """Count what ``attempts`` have used up by now, by what names each; gives what the run has used up with that."""
        shard = self._keys.shard(run_id)
        keys = {"usage": self._keys.usage(run_id), "flow": self._keys.usage_of(flow, shard)}
        calls = (
            Call(
                "use",
                keys,
                {
                    "attempt": name,
                    "amounts": amounts_text(amounts),
                    "ttl": self._ttl,
                    "days": MOST_DAYS,
                    "flow_ttl": clock.ms(timedelta(days=MOST_DAYS + 1)),
                },
            )
            for name, amounts in attempts.items()
        )
        *_, found = yield RoundTrip.of(*calls, looking(self._keys, run_id))
        return spent(found)

    def of(self, run_id: str) -> Asking[Spent]:
        """All that a run has used up, and what it may."""
        [found] = yield RoundTrip.of(Command("HGETALL", self._keys.usage(run_id)))
        values = _pairs(found)
        return Spent(_numbers(values, _SUM), _numbers(values, _LIMIT))

    def limit(self, run_id: str, limits: Amounts) -> Asking[None]:
        """Limit what a run may use up from now on; what is not in ``limits`` stays as it is."""
        key = self._keys.usage(run_id)
        limited = (Command("HSET", key, f"{_LIMIT}{name}", number) for name, number in limits.items())
        yield RoundTrip.of(*limited, Command("PEXPIRE", key, self._ttl))

    def of_flow(self, flow: str, days: int) -> Asking[Amounts]:
        """What the runs of a flow have used up on the last days, today by UTC included."""
        keys = [self._keys.usage_of(flow, shard) for shard in range(self._keys.shards)]
        time, *found = yield RoundTrip.of(clock.asked(keys[0]), *(Command("HGETALL", key) for key in keys))
        today = int(time) // _DAY
        sums: Counter[str] = Counter()
        for name, number in (one for fields in found for one in _numbers(_pairs(fields), "").items()):
            day, _, what = name.partition(" ")
            if day.isdecimal() and today - days < int(day) <= today:
                sums[what] += number
        return dict(sums)


def amounts_text(amounts: Amounts) -> str:
    """Amounts as scripts take them: a line for each."""
    return "\n".join(f"{name} {number}" for name, number in amounts.items())


def looking(keys: Keys, run_id: str) -> Command:
    """What looks at what a run has used up of what may be limited, and at its limits; :func:`spent` reads its reply."""
    fields = (f"{kind}{name}" for kind in (_SUM, _LIMIT) for name in _LIMITED)
    return Command("HMGET", keys.usage(run_id), *fields)


def spent(found: Any) -> Spent:
    """What the reply to :func:`looking` says; what was changed by hand is as if it were not there."""
    half = len(_LIMITED)
    return Spent(
        _numbers(dict(zip(_LIMITED, found[:half], strict=True)), ""),
        _numbers(dict(zip(_LIMITED, found[half:], strict=True)), ""),
    )


def _pairs(found: Any) -> Mapping[str, Any]:
    return found if isinstance(found, dict) else dict(zip(found[::2], found[1::2], strict=False))


def _numbers(values: Mapping[str, Any], kind: str) -> dict[str, int]:
    return {
        name.removeprefix(kind): int(value)
        for name, value in values.items()
        if name.startswith(kind) and str(value).isdecimal()
    }
