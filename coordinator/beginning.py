"""Beginning: publishes the first messages of runs that were accepted before, by whoever, as they were kept then."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from itertools import groupby

from coordinator.engine import Engine
from coordinator.message import Message
from coordinator.passing import Passing
from coordinator.starting import remaining, restored
from coordinator.store.later import Later
from coordinator.store.store import Place


class Beginner:
    """Begins what was accepted. Publishing twice changes nothing: the messages' ids are derived.

    Raises :class:`~coordinator.errors.ServerError` where a server fails; what was not published then is published by the
    sweep of a coordinator process.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._later = Later(engine.store.redis, engine.settings)
        self._passing = Passing(engine.store, engine.negotiator)

    def begin(self) -> int:
        """Begin the runs whose time has come; gives how many."""
        begun = self._later.begin()
        sent = [message for one in begun for message in self._made(one.run, one.flow, one.first)]
        if begun:
            self._publish(sent)
            self._engine.store.published(*(one.run for one in begun))
        return len(begun)

    def publish(self, run: str, first: str) -> None:
        """Publish what was kept of one run."""
        record = self._engine.store.run(run)
        self._publish(self._made(run, record.flow if record else "", first))
        self._engine.store.published(run)

    def _made(self, run: str, flow: str, first: str) -> list[tuple[Message, timedelta]]:
        return restored(first) + remaining(first, Place(run, flow, ""), self._passing)

    def _publish(self, sent: Iterable[tuple[Message, timedelta]]) -> None:
        ordered = sorted(sent, key=lambda one: one[1])  # what is sooner is sent sooner
        self._engine.publisher.declare({message.agent for message, _ in ordered if not message.event})
        for wait, group in groupby(ordered, key=lambda one: one[1]):
            self._engine.publisher.publish([message for message, _ in group], delay=wait or None, exact=True)
