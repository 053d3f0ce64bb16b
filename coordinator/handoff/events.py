"""Events: what an agent does with an event before it begins: whether it wants it, and whether it waits for more of them."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from handoffs.contracts import strictjson
from handoffs.contracts.contract import Contract, ContractRef
from handoffs.contracts.envelope import Envelope, message_id
from handoffs.contracts.errors import InvalidData
from handoffs.contracts.event import Event, Nothing
from handoffs.contracts.strictjson import digest
from handoffs.contracts.text import printable
from handoffs.contracts.versions import Versions
from handoffs.coordinator.continuation.path import is_story, set_of
from handoffs.coordinator.dispatch.requests import Asking, Publish
from handoffs.coordinator.dispatch.sender import publish
from handoffs.coordinator.errors import Incomplete
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.subscription import MOST_PARTS, Gather, Subscription
from handoffs.coordinator.history import Entry, EntryKind, now
from handoffs.coordinator.messaging.delivery import Delivery
from handoffs.coordinator.messaging.message import Message, summary
from handoffs.coordinator.store.event_sets import AskEventSets, Gathered
from handoffs.coordinator.store.record import Record, StepRef
from handoffs.coordinator.store.settlement import Advance, Settled
from handoffs.coordinator.store.store import Store

_log = logging.getLogger("coordinator.agents")


@dataclass(frozen=True, slots=True)
class Whole:
    """A set of events as the agent gets it, its key, and what names its contents: a set with other events is other work."""

    payload: Contract
    key: str
    content: str


class Events:
    """The events of one agent. Safe for threads. Methods that ask are generators (dispatch/requests.py)."""

    def __init__(self, agent: Agent, store: Store, versions: Versions, sets: AskEventSets) -> None:
        self._agent = agent
        self._store = store
        self._versions = versions
        self._sets = sets

    def name_of(self, delivery: Delivery) -> str:
        """The name of the event's contract; empty where the message is a step of a flow.

        Raises :class:`InvalidData` where the message does not say which event it is.
        """
        name = delivery.kwargs.get("event", "")
        if not isinstance(name, str) or ("gathered" in delivery.kwargs and not name):
            raise InvalidData("the message does not say which event it is")
        return name

    def unsubscribed(self, delivery: Delivery) -> bool:
        """Whether it is an event to which this build does not subscribe: not any more, or not yet. A set is work by now."""
        name = delivery.kwargs.get("event")
        return (
            isinstance(name, str)
            and bool(name)
            and "gathered" not in delivery.kwargs
            and not self._subscriptions(name)
        )

    def discard(self, delivery: Delivery) -> Asking[str]:
        """Pass over an event to which no build of the agent subscribes any more: its queue is still bound to it. Gives a line
        on that."""
        _log.warning(
            "agent=%s hears %s and does not subscribe to it any more",
            self._agent.name,
            printable(delivery.kwargs["event"], 120),
        )
        return (yield from self._passed_over(StepRef(delivery.run, delivery.flow, delivery.step)))

    def reads(self, name: str) -> type[Contract]:
        """What an event is read as: what the agent accepts, or a part of it."""
        gather = self._gather
        return (
            self._subscriptions(name)[0].contract
            if gather and self._subscriptions(name)
            else self._agent.accepts
        )

    def any(self, envelope: Envelope) -> Contract:
        """An event of whatever contract, checked against the version that it declares.

        Raises :class:`~handoffs.contracts.errors.InvalidInput` where that version is not known here.
        """
        ref = envelope.contract
        data = self._versions.checked(ref, envelope.data)
        known = self._versions.get(ref)
        event = Event(contract=ref.name, version=ref.version, data=data)
        return event.marked(known.sensitive if known is not None else None)

    def unwanted(self, name: str, payload: Contract, place: StepRef) -> Asking[str]:
        """Why the agent does not want an event, in a line; empty where it does. Then it counts as heard."""
        heard = self._subscriptions(name)
        data = payload.data if isinstance(payload, Event) else payload.to_data()
        if any(subscription.wants(data) for subscription in heard):
            return ""
        return (yield from self._passed_over(place))

    def _passed_over(self, place: StepRef) -> Asking[str]:
        yield from self._store.steps.pass_over(place)
        return f"passed over run={place.run} step={place.step}"

    def takes_part(
        self, delivery: Delivery, part: Contract, envelope: Envelope, place: StepRef
    ) -> Asking[str]:
        """Add an event to its set, and send the set to the agent once it is complete, or when its time is over. Gives a line
        on what came of it; empty where the agent gathers nothing, or this is the set. One that comes after the set was
        worked on is not in it, and its history says so.

        Raises :class:`InvalidData` where the event was there with another content, or the set is full.
        """
        gather = self._gather
        if gather is None or "gathered" in delivery.kwargs:
            return ""
        key = _key(gather, part)
        number = envelope.idempotency_key
        record = Record(envelope.data_schema, strictjson.dumps(envelope.data))
        added = yield from self._sets.add(
            self._agent.name,
            key,
            number,
            record,
            place,
            content=envelope.original_digest
            or self._versions.content(envelope.contract, envelope.data, part),
            older="" if envelope.original_digest else digest(envelope.data),
            within=gather.within,
            most=MOST_PARTS,
        )
        if added.verdict == "conflict":
            raise InvalidData("an event of the same key and another content is in the set already")
        if added.verdict == "full":
            raise InvalidData(f"the set has {added.count} events already")
        step = set_of(self._agent.name, f"{key}\n{added.born}" if added.born else key)
        entry = self._gathered(delivery, part, envelope, place, "" if added.verdict == "late" else step)
        if added.finished:  # the set is waited for no more, in this story as in the others
            late = "it came late: the set was worked on before, without it" if added.verdict == "late" else ""
            yield from self._nothing(place, replace(entry, error=late), ())
            return f"{added.verdict} run={place.run} step={place.step}"
        complete = gather.expected(part, added.count) or (
            callable(gather.until) and (yield from self._complete(gather, key, part))
        )
        sends = ((step, self._agent.name, str(envelope.contract)),)
        yield from self._nothing(place, entry, sends)
        name = self._sets.name(self._agent.name, key)
        if added.first:
            message = _whole(delivery, step, name, "timeout")
            yield from publish([(message, gather.within)])
        if complete:
            yield Publish((_whole(delivery, step, name, "complete"),))
        return f"gathered {added.count} run={place.run} step={place.step}"

    def whole(self, delivery: Delivery, part: Contract, place: StepRef) -> Asking[Whole | None]:
        """The set that a message stands for; from now on it takes no more events. None where its time is over and it was complete
        before.

        Raises :class:`Incomplete` where it is not complete and the agent does not take parts of it.
        """
        gather = self._gather
        if gather is None:
            raise InvalidData("the message stands for a set of events, and the agent gathers none")
        key = _key(gather, part)
        late, found = (
            delivery.kwargs["gathered"] == "timeout",
            (yield from self._sets.get(self._agent.name, key)),
        )
        if late and (found.finished or (yield from self._store.steps.settled(place))):
            return None
        parts = self._read(found, type(part))
        if not parts or not (gather.complete(parts) or (late and gather.partial)):
            raise Incomplete(
                f"{len(parts)} events of the set have come, and it is not complete",
                "the agent was not called",
                "replay it when the rest has come, or skip it with an outcome",
            )
        taken = yield from self._sets.take(self._agent.name, key)
        parts = self._read(taken, type(part))
        return Whole(self._agent.accepts.model_validate({gather.into: parts}), key, taken.content)

    def handed_on(
        self, delivery: Delivery, part: Contract, envelope: Envelope, place: StepRef
    ) -> Asking[str]:
        """Send a set on in another story that it is of, where its own was cancelled: it belongs to none of them. Gives a line on that;
        empty where its own goes on, or none does."""
        gather = self._gather
        if gather is None or not is_story(place.flow) or not (yield from self._store.controls.closed(place)):
            return ""
        found = yield from self._sets.get(self._agent.name, _key(gather, part))
        for run, flow in () if found.finished else found.stories:
            other = StepRef(run, flow, place.step)
            if run != place.run and not (is_story(flow) and (yield from self._store.controls.closed(other))):
                yield Publish((_carried_by(delivery, envelope, other),))
                return f"handed on to run={run} run={place.run} step={place.step}"
        return ""

    def finish(self, delivery: Delivery, key: str, place: StepRef) -> Asking[None]:
        """The set has its outcome, in the story of ``place``. In the other stories that it is of, the step that stands for it
        has none of its own: there it is dealt with as well, also where it was parked as incomplete."""
        gather = self._gather
        if "gathered" not in delivery.kwargs or gather is None:
            return
        agent = self._agent.name
        yield from self._sets.finish(agent, key, gather.within)  # first: whatever comes from now on is late
        found = yield from self._sets.get(agent, key)
        for run, flow in found.stories:
            if run and run != place.run:
                other = StepRef(run, flow, place.step)
                entry = Entry(EntryKind.DEDUPLICATED, run, flow, now(), step=place.step, agent=agent)
                yield from self._nothing(other, entry, ())

    def _complete(self, gather: Gather, key: str, part: Contract) -> Asking[bool]:
        found = yield from self._sets.get(self._agent.name, key)
        return gather.complete(self._read(found, type(part)))

    def _read(self, found: Gathered, contract: type[Contract]) -> Sequence[Contract]:
        return [
            self._versions.read(contract, ContractRef.from_uri(record.schema), json.loads(record.data))
            for record in found.parts
        ]

    def _gathered(
        self, delivery: Delivery, part: Contract, envelope: Envelope, place: StepRef, into: str
    ) -> Entry:
        """What the history says of an event that is in a set; of one that is late where ``into`` is empty."""
        return Entry(
            EntryKind.GATHERED,
            place.run,
            place.flow,
            now(),
            step=place.step,
            agent=self._agent.name,
            attempt=delivery.attempt,
            message=delivery.id,
            event=envelope.id,
            read=str(envelope.contract),
            into=into,
            input=part.redacted(),
            worker=delivery.worker,
        )

    def _nothing(
        self, place: StepRef, entry: Entry, sends: tuple[tuple[str, str, str], ...]
    ) -> Asking[Settled]:
        """Settle a step with nothing."""
        record = Record(Nothing.ref().uri, "{}")
        onward = Advance(sends=sends, ends=False)
        return self._store.handoffs.settle_known(
            place, fence=0, record=record, entry=entry.fields(), onward=onward
        )

    def _subscriptions(self, name: str) -> list[Subscription]:
        return [subscription for subscription in self._agent.subscriptions if subscription.hears(name)]

    @property
    def _gather(self) -> Gather | None:
        return next((one.gather for one in self._agent.subscriptions if one.gather), None)


def _key(gather: Gather, part: Contract) -> str:
    data: dict[str, Any] = part.to_comparable()
    values = [data[name] for name in gather.by]
    return strictjson.told(values[0]) if len(values) == 1 else strictjson.canonical(values)


def _whole(delivery: Delivery, step: str, name: str, why: str) -> Message:
    """The message with which a set comes to its agent: by an event of it."""
    number = message_id(delivery.run, step)
    kwargs = {**delivery.kwargs, "step": step, "gathered": why, "set": name}
    shown = str(delivery.headers.get("argsrepr") or "").replace(f"step={delivery.step} ", f"step={step} ")
    headers = {
        **delivery.again(attempt=1).headers,
        "id": number,
        "argsrepr": shown,
        "handoff_step": step,
        "handoff_gathered": why,
        "handoff_replays": 0,
    }
    continuation = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    return Message(
        number, delivery.agent, headers, strictjson.dumps([[delivery.envelope], kwargs, continuation])
    )


def _carried_by(delivery: Delivery, envelope: Envelope, story: StepRef) -> Message:
    """The message with which a set comes to its agent, as one of another story."""
    number = message_id(story.run, story.step)
    headers = {
        **delivery.again(attempt=1).headers,
        "id": number,
        "root_id": story.run,
        "argsrepr": summary(story.run, story.flow, story.step, envelope.contract),
        "handoff_run": story.run,
        "handoff_flow": story.flow,
        "handoff_replays": 0,
    }
    text = envelope.model_copy(update={"correlation_id": story.run}).encode()
    continuation = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    body = strictjson.dumps([[text], {**delivery.kwargs, "flow": story.flow}, continuation])
    return Message(number, delivery.agent, headers, body)
