"""Foresight: what a replay of dead letters would meet, before anything is done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from handoffs.coordinator.continuation.signature import TIMER
from handoffs.coordinator.handoff.failure import FailureKind
from handoffs.coordinator.letters.letter import Letter
from handoffs.coordinator.services import Services


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a replay of a letter would meet: ``refused`` is why it would be refused, empty where nothing speaks against it; ``meets``
    what speaks against its coming through, as far as that can be known before."""

    letter: Letter
    refused: str
    meets: tuple[str, ...]


class Foresight:
    """Looks ahead, and changes nothing. Raises :class:`~handoffs.coordinator.errors.ServerError` where Redis or the journal cannot be
    used."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def of(self, letters: Iterable[Letter]) -> Iterator[Foreseen]:
        """What each would meet, one after the other."""
        read: dict[str, tuple[frozenset[str], ...]] = {}
        for letter in letters:
            refused = letter.refusal()
            yield Foreseen(letter, refused, () if refused else tuple(self._meets(letter, read)))

    def _meets(self, letter: Letter, read: dict[str, tuple[frozenset[str], ...]]) -> Iterator[str]:
        record = self._services.runs.get(letter.run) if letter.run else None
        if record is not None and letter.step in record.settled and letter.kind != FailureKind.NOT_PASSED_ON:
            yield "its step has an outcome by now: nothing would be done again"
        if letter.kind == FailureKind.CONFLICT:
            yield "its key had an outcome for other content: as long as that is known it parks again"
        if letter.agent in {"", TIMER} or not letter.contract:
            return
        if letter.agent not in read:
            found = self._services.announcements.consumers(letter.agent)
            read[letter.agent] = tuple(frozenset(_versions(one)) for one in found)
        workers = read[letter.agent]
        if not workers:
            yield f"no worker of {letter.agent} is known: it would wait in its queue"
        elif not all(letter.contract in versions for versions in workers):
            some = "none" if not any(letter.contract in versions for versions in workers) else "not every one"
            yield f"{some} of the workers of {letter.agent} reads {letter.contract}"


def _versions(manifest: dict[str, Any]) -> Iterator[str]:
    accepts = manifest.get("accepts")
    for name, versions in accepts.items() if isinstance(accepts, dict) else ():
        yield from (f"{name}/{version}" for version in versions)
