"""Foresight: what a replay of dead letters would meet, before anything is done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from handoffs.contracts.envelope import Envelope
from handoffs.contracts.errors import DataMissing, InvalidInput
from handoffs.coordinator.continuation.signature import TIMER
from handoffs.coordinator.errors import SealBroken
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.handoff.failure import FailureKind
from handoffs.coordinator.letters.edit import contents_of, key_of
from handoffs.coordinator.letters.letter import Letter
from handoffs.coordinator.letters.replay import read_letter
from handoffs.coordinator.services import Services

_OURS = "coordinator."
_MOST_STEPS = 6


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a replay of a letter would meet: ``refused`` is why it would be refused, empty where nothing speaks against it; ``meets``
    what speaks against its coming through, as far as that can be known before. ``follows`` are the agents whose turn it is after its
    step, the first few, with a word for what is no agent (``choice``, ``join``); empty where nothing follows, or that cannot be read."""

    letter: Letter
    refused: str
    meets: tuple[str, ...]
    follows: tuple[str, ...] = ()


class Foresight:
    """Looks ahead, and changes nothing. Raises :class:`~handoffs.coordinator.errors.ServerError` where Redis or the journal cannot be
    used. ``agents`` gives those whose code is there: of their letters it is known what their keys stand for."""

    def __init__(self, services: Services, agents: Callable[[], Mapping[str, Agent]]) -> None:
        self._services = services
        self._agents = agents

    def of(self, letters: Iterable[Letter]) -> Iterator[Foreseen]:
        """What each would meet, one after the other."""
        read: dict[str, tuple[frozenset[str], ...]] = {}
        for letter in letters:
            try:
                refused = letter.refusal()
            except SealBroken as error:
                yield Foreseen(letter, str(error), ())
                continue
            if refused:
                yield Foreseen(letter, refused, ())
                continue
            yield self._ahead(letter, read)

    def _ahead(self, letter: Letter, read: dict[str, tuple[frozenset[str], ...]]) -> Foreseen:
        meets = [*self._meets(letter, read)]
        try:
            envelope, kwargs, rest = read_letter(
                letter.row, self._services.settings.message_limits, self._services.payloads.fetch
            )
        except DataMissing as error:
            return Foreseen(letter, "", (*meets, f"it would park again: {error.cause}"))
        except InvalidInput:
            return Foreseen(letter, "", tuple(meets))
        meets += self._of_its_key(letter, envelope, kwargs)
        return Foreseen(letter, "", tuple(meets), _follows(rest))

    def _meets(self, letter: Letter, read: dict[str, tuple[frozenset[str], ...]]) -> Iterator[str]:
        record = self._services.runs.get(letter.run) if letter.run else None
        if record is not None and letter.step in record.settled and letter.kind != FailureKind.NOT_PASSED_ON:
            yield "its step has an outcome by now: nothing would be done again"
        if letter.kind == FailureKind.CONFLICT:
            yield "its key had an outcome for other content: as long as that is known it parks again"
        if letter.agent in {"", TIMER}:
            return
        if letter.agent not in read:
            found = self._services.announcements.consumers(letter.agent)
            read[letter.agent] = tuple(frozenset(_versions(one)) for one in found)
        workers = read[letter.agent]
        if not workers:
            yield f"no worker of {letter.agent} is known: it would wait in its queue"
        elif letter.contract and not all(letter.contract in versions for versions in workers):
            some = "none" if not any(letter.contract in versions for versions in workers) else "not every one"
            yield f"{some} of the workers of {letter.agent} reads {letter.contract}"

    def _of_its_key(self, letter: Letter, envelope: Envelope, kwargs: dict[str, Any]) -> Iterator[str]:
        """What is known of the idempotency key of a letter's input, where its agent's code is there."""
        agent = self._agents().get(letter.agent)
        if agent is None or "event" in kwargs or letter.kind == FailureKind.CONFLICT:
            return
        key = key_of(self._services, agent, envelope, kwargs)
        known = self._services.store.lease_of(agent.name, key) if key else None
        if known is None:
            return
        if known.held:
            yield "a worker is at work under its key now"
        elif known.state == "done" and known.content not in contents_of(self._services, agent, envelope):
            yield "its key has an outcome for other content: it would park as a conflict"


def _follows(rest: Mapping[str, Any]) -> tuple[str, ...]:
    names = [
        str(one.get("task", "")).removeprefix(_OURS)
        for one in reversed(rest.get("chain") or [])
        if isinstance(one, dict)
    ]
    names += ["join"] if rest.get("chord") else []
    return tuple(names[:_MOST_STEPS]) + (("and more",) if len(names) > _MOST_STEPS else ())


def _versions(manifest: dict[str, Any]) -> Iterator[str]:
    accepts = manifest.get("accepts")
    for name, versions in accepts.items() if isinstance(accepts, dict) else ():
        yield from (f"{name}/{version}" for version in versions)
