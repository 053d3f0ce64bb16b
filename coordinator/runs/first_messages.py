"""The first messages of a run: made, kept as text until they are published, and read back from that."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from handoffs.contracts import strictjson
from handoffs.contracts.contract import Contract
from handoffs.coordinator.continuation import advance
from handoffs.coordinator.continuation.canvas import composed, composed_from
from handoffs.coordinator.continuation.moves import Go, Hold, Value
from handoffs.coordinator.continuation.path import is_onward
from handoffs.coordinator.continuation.signature import TIMER, Sig
from handoffs.coordinator.dispatch.ahead import Ahead
from handoffs.coordinator.dispatch.outgoing import Outgoing
from handoffs.coordinator.dispatch.route import Route
from handoffs.coordinator.dispatch.routing import Router
from handoffs.coordinator.dispatch.sender import Sent, checked, written
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.messaging.envelopes import Original, Sending, Written
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.messaging.room import Room
from handoffs.coordinator.messaging.trace_context import TraceContext, current
from handoffs.coordinator.store.asking import Asking
from handoffs.coordinator.store.record import Record, StepRef
from handoffs.coordinator.store.settlement import Settled, SettleVerdict

_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Origin:
    """What a run begins with: its composition, its input as it was given, and its key."""

    signature: Sig
    record: Record
    key: str | None
    expiry: datetime | None
    trace: TraceContext = field(default_factory=current)
    """What was current where it was accepted."""


@dataclass(frozen=True, slots=True)
class First:
    """How a run begins: the messages that can be made at once, each with its wait, and the route of its input."""

    sent: tuple[Sent, ...]
    route: Route
    origin: Origin

    @property
    def messages(self) -> tuple[Message, ...]:
        """The messages without their waits."""
        return tuple(message for message, _ in self.sent)

    def named(self) -> tuple[tuple[str, str, str], ...]:
        """The messages as (step, agent, ``contract/version``)."""
        return self.route.advance().sends

    def stored(self) -> str:
        """The messages with their waits, and where they are not all what the others are made of, as JSON text for
        :func:`restored` and :func:`remaining`."""
        messages = [{**message.stored(), "wait_ms": wait / _MILLISECOND} for message, wait in self.sent]
        if self.whole:
            return json.dumps(messages)
        origin = self.origin
        rest = {
            "course": origin.signature,
            "input": origin.record.text(),
            "key": origin.key,
            "expiry": origin.expiry.isoformat() if origin.expiry else None,
            "trace": origin.trace.headers(),
            "written": {branch: _as_json(one) for branch, one in self.route.sent.items()},
        }
        return json.dumps({"messages": messages, "rest": rest})

    def check(self, run_id: str, room: Room) -> None:
        """Raise :class:`~handoffs.contracts.errors.TooLarge` where one of the messages, or what they lead to at once, is more than
        can be read where it goes."""
        messages = {str(message.headers["handoff_step"]): message for message in self.messages}
        sending = replace(_sending(run_id, self.origin), made=messages)
        checked(self.route, sending, room)
        others = [move for move in self.route.moves if not isinstance(move, (Go, Hold))]
        for _ in Ahead(None, room, sending).look(StepRef(run_id, "", ""), others):
            raise AssertionError("there is nothing to ask of a run that has not begun")

    @property
    def whole(self) -> bool:
        """Whether the messages are all there is to it: no list whose items wait, no join that is reached at once."""
        return all(isinstance(move, Go) for move in self.route.moves)


class Starter:
    """Makes the messages with which runs of flows begin."""

    def __init__(self, router: Router) -> None:
        self._router = router

    def first(
        self,
        flow: Flow,
        payload: Contract,
        run_id: str,
        expiry: datetime | None = None,
        data: dict[str, Any] | None = None,
        path: str = "",
    ) -> First:
        """The messages that start ``run_id`` with ``payload``, each in the version that its consumers accept; with ``path``
        those of the step there.

        After ``expiry`` its steps are not begun any more. ``data`` is what the payload is written as, where that is known. Raises
        :class:`~handoffs.contracts.errors.InvalidInput` where the payload cannot be written for its consumers, or a list in it is too
        long.
        """
        if data is None:
            data = payload.to_data()
        record = Record(payload.ref().uri, strictjson.dumps(data))
        origin = Origin(composed_from(flow, path) if path else composed(flow), record, payload.key(), expiry)
        moves = advance.begun(origin.signature, Value(record.schema, data))
        route = self._router.writer.route(moves, record, payload)
        outgoing = [Outgoing.of(go, route.sent[go.send.step]) for go in route.moves if isinstance(go, Go)]
        return First(tuple(written(outgoing, _sending(run_id, origin))), route, origin)

    def rest(self, first: First, place: StepRef) -> Asking[list[Sent]]:
        """What else begins a run once it is accepted, where its messages are not all there is to it."""
        return self._others(first.route, place, _sending(place.run, first.origin))

    def restored(self, text: str, place: StepRef) -> Asking[list[Sent]]:
        """All messages that begin the run that :meth:`First.stored` wrote. Nobody needs the flow's code for that."""
        return restored(text) + (yield from self._remaining(text, place))

    def _remaining(self, text: str, place: StepRef) -> Asking[list[Sent]]:
        stored = json.loads(text)
        if not isinstance(stored, dict):
            return []
        rest = stored["rest"]
        record = Record.parse(rest["input"])
        value = Value(record.schema, json.loads(record.data))
        versions = {
            branch: Written(
                one["schema"], one["data"], Original(**one["original"]) if one["original"] else None
            )
            for branch, one in rest["written"].items()
        }
        route = Route(tuple(advance.begun(rest["course"], value)), versions)
        expiry = datetime.fromisoformat(rest["expiry"]) if rest["expiry"] else None
        trace = TraceContext.of(rest.get("trace", {}))
        sending = Sending(place.run, deadline=expiry, key=rest["key"], trace=trace)
        return (yield from self._others(route, place, sending))

    def _others(self, route: Route, place: StepRef, sending: Sending) -> Asking[list[Sent]]:
        """What is to be sent beside the messages that could be made at once."""
        others = replace(route, moves=tuple(move for move in route.moves if not isinstance(move, Go)))
        # as settled: a run that is not published is taken up
        batches = self._router.outgoing(place, others, Settled(SettleVerdict.SETTLED), arrived=False)
        return written((yield from self._router.collected(batches)), sending)


def restored(text: str) -> list[Sent]:
    """The messages that :meth:`First.stored` could make at once, with their waits, what is sooner first."""
    stored = json.loads(text)
    messages = stored["messages"] if isinstance(stored, dict) else stored
    both = [(Message.restored(one), one.get("wait_ms", 0) * _MILLISECOND) for one in messages]
    return sorted(both, key=lambda sent: sent[1])


def delays(sent: Iterable[Sent]) -> Iterator[tuple[StepRef, timedelta]]:
    """The steps among them that come after a delay, each with that: what is to be noted before they are sent. Timers are none."""
    for message, wait in sent:
        path = str(message.headers["handoff_step"])
        if wait and (message.agent != TIMER or is_onward(path)):
            place = StepRef(str(message.headers["handoff_run"]), str(message.headers["handoff_flow"]), path)
            yield place, wait


def _sending(run_id: str, origin: Origin) -> Sending:
    return Sending(run_id, deadline=origin.expiry, key=origin.key, trace=origin.trace)


def _as_json(written: Written) -> dict[str, Any]:
    original = asdict(written.original) if written.original else None
    return {"schema": written.schema, "data": written.data, "original": original}
