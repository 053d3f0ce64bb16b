"""Emitting: how a story begins with an event that somebody outside emits."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from handoffs.contracts import strictjson
from handoffs.contracts.contract import Contract
from handoffs.coordinator.continuation import advance as course
from handoffs.coordinator.continuation.advance import Go
from handoffs.coordinator.continuation.path import story_of
from handoffs.coordinator.dispatch.routing import Onward, Passing
from handoffs.coordinator.history import Entry, now
from handoffs.coordinator.messaging.envelopes import compose, emissions
from handoffs.coordinator.messaging.message import Message, message
from handoffs.coordinator.store.record import Record


@dataclass(frozen=True, slots=True)
class Emission:
    """An event on its way: its message, and to whom it goes."""

    message: Message
    onward: Onward

    def sends(self) -> tuple[tuple[str, str, str], ...]:
        """Those who are known to hear it, as (step, agent, ``contract/version``)."""
        return self.onward.advance().sends

    def stored(self) -> str:
        """The message as JSON text for :func:`~handoffs.coordinator.runs.start.restored`."""
        return json.dumps([self.message.stored()])

    def entry(self, event: Contract, run: str) -> Entry:
        """What the history says of it."""
        return Entry(
            "emitted",
            run,
            story_of(event.ref().name),
            now(),
            wrote=str(event.ref()),
            emitted=emissions(run, self.onward),
            input=event.redacted(),
        )


class Emitter:
    """Makes the message of an event."""

    def __init__(self, passing: Passing) -> None:
        self._passing = passing

    def emission(self, event: Contract, run: str, expiry: datetime | None = None) -> Emission:
        """``event`` as the first of the story ``run``, in the version that all who hear it accept.

        Raises :class:`~handoffs.contracts.errors.InvalidInput` where it cannot be written for them.
        """
        record = Record(event.ref().uri, strictjson.dumps(event.to_data()))
        [go] = course.emitted("", story_of(event.ref().name), [(record.schema, json.loads(record.data))])
        assert isinstance(go, Go)
        onward = self._passing.onward([go], record, event, {go.send.step: event})
        envelope = compose(
            run=run,
            step=go.send.step,
            written=onward.sent[go.send.step],
            key=event.key(),
            source="/coordinator",
            deadline=expiry,
        )
        return Emission(message(go.send, envelope), onward)
