"""Beginning: publishes the first messages of runs that were accepted before, by whoever, as they were kept then."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from handoffs.contracts import strictjson
from handoffs.contracts.contract import Contract
from handoffs.contracts.envelope import run_id
from handoffs.coordinator.dispatch.negotiation import Negotiator
from handoffs.coordinator.dispatch.routing import Passing, emission
from handoffs.coordinator.flow.agent import Context
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.history import Entry, now
from handoffs.coordinator.messaging.envelopes import emissions
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.messaging.publisher import publish_after
from handoffs.coordinator.runs.start import Starter, remaining, restored
from handoffs.coordinator.store.record import Place
from handoffs.coordinator.store.scheduled import Later

if TYPE_CHECKING:
    from handoffs.coordinator.runtime.engine import Engine


class Beginner:
    """Begins what was accepted. Publishing twice changes nothing: the messages' ids are derived.

    Raises :class:`~handoffs.coordinator.errors.ServerError` where a server fails; what was not published then is published by the
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
        for one in begun:
            self._tell(one.run, one.flow, one.first)
        if begun:
            self._publish(sent)
            self._engine.runs.published(*(one.run for one in begun))
        return len(begun)

    def publish(self, run: str, first: str) -> None:
        """Publish what was kept of one run."""
        record = self._engine.runs.state(run)
        self._publish(self._made(run, record.flow if record else "", first))
        if record is not None and record.due is not None:  # perhaps nobody lived to tell it
            self._tell(run, record.flow, first)
        self._engine.runs.published(run)

    def _tell(self, run: str, flow: str, first: str) -> None:
        """A run that was accepted for later emits its first events when it begins."""
        entry = told(run, flow, [message for message, _ in restored(first)], self._engine.negotiator)
        if entry is not None:
            self._engine.store.note(run, entry.fields())

    def _made(self, run: str, flow: str, first: str) -> list[tuple[Message, timedelta]]:
        return restored(first) + remaining(first, Place(run, flow, ""), self._passing)

    def _publish(self, sent: Iterable[tuple[Message, timedelta]]) -> None:
        ordered = sorted(sent, key=lambda one: one[1])  # what is sooner is sent sooner
        self._engine.publisher.declare({message.agent for message, _ in ordered if not message.event})
        publish_after(self._engine.publisher, ordered)


def told(run: str, flow: str, first: Iterable[Message], negotiator: Negotiator) -> Entry | None:
    """What the history says of the events among the first messages of a run, once it begins; None where there are none."""
    emitted = []
    for sent in first:
        if sent.event:
            [[text], *_] = json.loads(sent.body)
            step, schema = str(sent.headers["handoff_step"]), str(json.loads(text)["dataschema"])
            emitted.append(emission(run, step, schema, negotiator.subscribers(sent.event)) | {"step": step})
    return Entry("emitted", run, flow, now(), emitted=emitted) if emitted else None


@dataclass(frozen=True, slots=True)
class OnEvent:
    """What the opening of a flow does with an event: it starts a run."""

    engine: Engine
    flow: Flow

    def __call__(self, payload: Contract, context: Context) -> None:
        engine, flow = self.engine, self.flow
        engine.publisher.declare(flow.agents())  # all queues, so that no later step is without one
        run = run_id(flow.name, context.idempotency_key)
        first = Starter(Passing(engine.store, engine.negotiator)).first(flow, payload, run, context.deadline)
        data = [payload.ref().uri, payload.to_data()]
        entry = Entry(
            "started",
            run,
            flow.name,
            now(),
            wrote=str(payload.ref()),
            story=context.run_id,
            event=context.event,
            emitted=emissions(run, first.onward),
            input=payload.redacted(),
        )
        found = engine.runs.start(
            Place(run, flow.name, ""),
            key=context.idempotency_key,
            content=hashlib.sha256(strictjson.canonical(data).encode()).hexdigest(),
            first=first.stored(),
            entry=entry.fields(),
            sends=first.named(),
        )
        if found in {"created", "unpublished"}:
            Beginner(engine).publish(run, first.stored())
        said = Entry(
            "began", context.run_id, context.flow, now(), step=context.step, event=context.event, began=run
        )
        engine.store.note(context.run_id, said.fields())
