"""Subresults: what calls within a step have given, by idempotency key, until the step has its outcome.

They are of one input and of one generation of the work: after an edit, or once the work was undone, calls are made again. Whoever
records one first has recorded it, also a holder whose lease is over by then: the call was made for the same work.
"""

from __future__ import annotations

from dataclasses import dataclass

from handoffs.config.settings import Settings
from handoffs.coordinator.store import clock
from handoffs.coordinator.store.asking import Asking, Command, RoundTrip
from handoffs.coordinator.store.keys import Keys


@dataclass(frozen=True, slots=True)
class Work:
    """What calls are made for: an agent's work under a key, on an input (by its digest), so many times undone before."""

    agent: str
    key: str
    content: str
    generation: int = 0

    def field(self, name: str) -> str:
        """Where a subresult of this work is kept."""
        return f"{self.content[:32]}/{self.generation}/{name}"


class Subresults:
    """The subresults of one installation. Each method gives what it asks of Redis (``asking.py``)."""

    def __init__(self, keys: Keys, settings: Settings) -> None:
        self._keys = keys
        self._ttl = clock.ms(max(settings.run_ttl, settings.outcome_ttl))

    def find(self, work: Work, name: str) -> Asking[str | None]:
        """What was recorded under a name, JSON text; None where nothing was."""
        [text] = yield RoundTrip.of(
            Command("HGET", self._keys.subresults(work.agent, work.key), work.field(name))
        )
        return None if text is None else str(text)

    def record(self, work: Work, name: str, text: str) -> Asking[str]:
        """Record what a call gave, unless something was recorded before; gives what is."""
        key, field = self._keys.subresults(work.agent, work.key), work.field(name)
        _, kept, _ = yield RoundTrip.of(
            Command("HSETNX", key, field, text),
            Command("HGET", key, field),
            Command("PEXPIRE", key, self._ttl),
        )
        return text if kept is None else str(kept)

    def forgetting(self, work: Work) -> Command:
        """What forgets all of them: the key has its outcome."""
        return Command("DEL", self._keys.subresults(work.agent, work.key))
