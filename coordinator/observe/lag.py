"""Lag: how far the journal is behind what happens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from handoffs.coordinator.errors import Refused
from handoffs.coordinator.services import Services

_SHARDS = 16


@dataclass(frozen=True, slots=True)
class Lag:
    """How many entries of the history are on their way to the journal, and how old the oldest of them is, in seconds."""

    entries: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {"entries": self.entries, "seconds": round(self.seconds, 3)}


def lag_of(services: Services) -> Lag:
    """How far the journal is behind now. Raises :class:`~handoffs.coordinator.errors.ServerError` where Redis cannot be used."""
    shards, entries = range(services.settings.shards), services.entries
    oldest = [
        int(kept[0][0].partition("-")[0])
        for first in range(0, len(shards), _SHARDS)
        for kept in entries.oldest_of(shards[first : first + _SHARDS], count=1).values()
        if not isinstance(kept, Refused) and kept  # the coordinator process tells of what it is refused
    ]
    if not oldest:
        return Lag(0, 0.0)
    return Lag(entries.length(), max(services.server.now().timestamp() - min(oldest) / 1000, 0.0))
