"""Starting: how a run begins."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from handoffs.contracts import strictjson
from handoffs.contracts.contract import Contract
from handoffs.coordinator.continuation import advance as course
from handoffs.coordinator.continuation.advance import Go, Value
from handoffs.coordinator.continuation.canvas import Sig, composed
from handoffs.coordinator.dispatch.negotiation import Original, Written
from handoffs.coordinator.dispatch.routing import Onward, Outgoing, Passing
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.messaging.envelopes import compose
from handoffs.coordinator.messaging.message import Message, message
from handoffs.coordinator.store.record import Place, Record
from handoffs.coordinator.store.settlement import Settled

_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Origin:
    """What a run begins with: its composition, its input as it was given, and its key."""

    signature: Sig
    record: Record
    key: str | None
    expiry: datetime | None


@dataclass(frozen=True, slots=True)
class First:
    """How a run begins: the messages that can be made at once, by how long they wait, and where its input goes."""

    messages: tuple[Message, ...]
    waits: tuple[timedelta, ...]
    onward: Onward
    origin: Origin

    def named(self) -> tuple[tuple[str, str, str], ...]:
        """The messages as (step, agent, ``contract/version``)."""
        return self.onward.advance().sends

    def stored(self) -> str:
        """The messages with their waits, and where they are not all what the others are made of, as JSON text for
        :func:`restored` and :func:`remaining`."""
        both = zip(self.messages, self.waits, strict=True)
        messages = [{**sent.stored(), "wait_ms": wait / _MILLISECOND} for sent, wait in both]
        if self.whole:
            return json.dumps(messages)
        origin, written = self.origin, self.onward.sent
        rest = {
            "course": origin.signature,
            "input": origin.record.text(),
            "key": origin.key,
            "expiry": origin.expiry.isoformat() if origin.expiry else None,
            "written": {place: asdict(one) for place, one in written.items()},
        }
        return json.dumps({"messages": messages, "rest": rest})

    @property
    def whole(self) -> bool:
        """Whether the messages are all there is to it: no list whose items wait, no join that is reached at once."""
        return all(isinstance(move, Go) for move in self.onward.moves)


def restored(text: str) -> list[tuple[Message, timedelta]]:
    """The messages that :meth:`First.stored` wrote, with their waits, what is sooner first."""
    stored = json.loads(text)
    messages = stored["messages"] if isinstance(stored, dict) else stored
    both = [(Message.restored(one), one.get("wait_ms", 0) * _MILLISECOND) for one in messages]
    return sorted(both, key=lambda sent: sent[1])


def remaining(text: str, place: Place, passing: Passing) -> list[tuple[Message, timedelta]]:
    """What else begins the run that :meth:`First.stored` wrote, where its messages are not all there is to it. Nobody needs
    the flow's code for that."""
    stored = json.loads(text)
    if not isinstance(stored, dict):
        return []
    rest = stored["rest"]
    record = Record.parse(rest["input"])
    value = Value(record.schema, json.loads(record.data))
    sent = {
        name: Written(one["schema"], one["data"], Original(**one["original"]) if one["original"] else None)
        for name, one in rest["written"].items()
    }
    onward = Onward(tuple(course.begun(rest["course"], value)), sent)
    expiry = datetime.fromisoformat(rest["expiry"]) if rest["expiry"] else None
    return _rest(onward, place, passing, rest["key"], expiry)


def _rest(
    onward: Onward, place: Place, passing: Passing, key: str | None, expiry: datetime | None
) -> list[tuple[Message, timedelta]]:
    others = replace(onward, moves=tuple(move for move in onward.moves if not isinstance(move, Go)))
    batches = passing.outgoing(
        place, others, Settled("settled"), arrived=False
    )  # a run that is not published is taken up
    return [(_message(out, key, place.run, expiry), out.wait) for outgoing in batches for out in outgoing]


class Starter:
    """Begins runs of flows."""

    def __init__(self, passing: Passing) -> None:
        self._passing = passing

    def first(self, flow: Flow, payload: Contract, run: str, expiry: datetime | None = None) -> First:
        """The messages that start ``run`` with ``payload``, each in the version that its consumers accept.

        After ``expiry`` its steps are not begun any more. Raises :class:`~handoffs.contracts.errors.InvalidInput` where the
        payload cannot be written for its consumers, or a list in it is too long.
        """
        data = payload.to_data()
        record = Record(payload.ref().uri, strictjson.dumps(data))
        origin = Origin(composed(flow), record, payload.key(), expiry)
        onward = self._passing.onward(
            course.begun(origin.signature, Value(record.schema, data)), record, payload
        )
        goes = [move for move in onward.moves if isinstance(move, Go)]
        outgoing = [
            Outgoing(
                go.send,
                onward.sent[go.send.step],
                go.value.parts or None,
                go.wait,
                not (go.value.item or go.value.joined),
            )
            for go in goes
        ]
        messages = tuple(_message(out, origin.key, run, expiry) for out in outgoing)
        return First(messages, tuple(go.wait for go in goes), onward, origin)

    def rest(self, first: First, place: Place) -> list[tuple[Message, timedelta]]:
        """What else begins a run once it is accepted, where its messages are not all there is to it."""
        return _rest(first.onward, place, self._passing, first.origin.key, first.origin.expiry)


def _message(out: Outgoing, key: str | None, run: str, expiry: datetime | None) -> Message:
    return message(
        out.send,
        compose(
            run=run,
            step=out.send.step,
            written=out.written,
            key=key if out.own else None,
            source="/coordinator",
            deadline=expiry,
            join_schemas=out.parts,
        ),
    )
