"""Progress: how far the steps of a run are that are at work, as their agents say, and which of them are stalled.

It is for people who look at what happens now, and no part of the history: only the newest is there, and not for long.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from handoffs.config.settings import Settings
from handoffs.contracts import strictjson
from handoffs.coordinator.store import clock
from handoffs.coordinator.store.asking import Asking, Call, Command, RoundTrip
from handoffs.coordinator.store.keys import Keys
from handoffs.coordinator.store.record import StepRef


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a step at work: what its agent said last, and, where it is stalled, for how many seconds it had said
    nothing (``silent``). ``at`` is when that was written, in seconds since 1970 by Redis' clock."""

    text: str
    share: float | None = None
    silent: float | None = None
    at: float = 0.0

    @property
    def stalled_since(self) -> float | None:
        """Since when it is stalled, in seconds since 1970; None: it is not."""
        return None if self.silent is None else self.at - self.silent


class ProgressOfRuns:
    """What is seen of the steps of an installation's runs. Each method gives what it asks of Redis (``asking.py``)."""

    def __init__(self, keys: Keys, settings: Settings) -> None:
        self._keys = keys
        self._ttl = clock.ms(settings.outcome_ttl)

    def tell(self, seen: Iterable[tuple[StepRef, Seen]]) -> Asking[None]:
        """Write what was seen of steps, in the place of what was seen of them before: one round trip for all."""
        yield RoundTrip(
            tuple(
                Call(
                    "progress",
                    {"progress": self._keys.progress(place.run)},
                    {
                        "step": place.step,
                        "said": strictjson.dumps([one.text, one.share, one.silent]),
                        "ttl": self._ttl,
                    },
                )
                for place, one in seen
            )
        )

    def of(self, run_id: str) -> Asking[dict[str, Seen]]:
        """What was seen of the steps of a run, by their paths. What was changed by hand is left out."""
        [found] = yield RoundTrip.of(Command("HGETALL", self._keys.progress(run_id)))
        pairs = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=False)
        read = ((step, _read(text)) for step, text in pairs)
        return {str(step): one for step, one in read if one is not None}


def _read(text: str) -> Seen | None:
    try:
        match json.loads(text):
            case {
                "at": int(at),
                "said": [str(said), None | int() | float() as share, None | int() | float() as silent],
            }:
                return Seen(said, share, silent, at / 1000)
    except ValueError:
        pass
    return None
