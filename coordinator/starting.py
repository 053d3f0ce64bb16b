"""Starting: how a run begins."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from contracts import strictjson
from contracts.contract import Contract
from coordinator import course
from coordinator.canvas import composed
from coordinator.course import Go, Value
from coordinator.flow import Flow
from coordinator.handoff import compose
from coordinator.message import Message, message
from coordinator.passing import Onward, Outgoing, Passing
from coordinator.store.store import Place, Record, Settled

_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class First:
    """How a run begins: the messages that can be made at once, by how long they wait, and where its input goes."""

    messages: tuple[Message, ...]
    waits: tuple[timedelta, ...]
    onward: Onward

    def named(self) -> tuple[tuple[str, str, str], ...]:
        """The messages as (step, agent, ``contract/version``)."""
        return self.onward.advance().sends

    def stored(self) -> str:
        """The messages with their waits, as JSON text for :func:`restored`."""
        both = zip(self.messages, self.waits, strict=True)
        return json.dumps([{**sent.stored(), "wait_ms": wait / _MILLISECOND} for sent, wait in both])

    @property
    def whole(self) -> bool:
        """Whether the messages are all there is to it: no list whose items wait, no join that is reached at once."""
        return all(isinstance(move, Go) for move in self.onward.moves)


def restored(text: str) -> list[tuple[Message, timedelta]]:
    """The messages that :meth:`First.stored` wrote, with their waits, what is sooner first."""
    stored = json.loads(text)
    both = [(Message.restored(one), one.get("wait_ms", 0) * _MILLISECOND) for one in stored]
    return sorted(both, key=lambda sent: sent[1])


class Starter:
    """Begins runs of flows."""

    def __init__(self, passing: Passing) -> None:
        self._passing = passing

    def first(self, flow: Flow, payload: Contract, run: str, expiry: datetime | None = None) -> First:
        """The messages that start ``run`` with ``payload``, each in the version that its consumers accept.

        After ``expiry`` its steps are not begun any more. Raises :class:`~contracts.errors.InvalidInput` where the
        payload cannot be written for its consumers, or a list in it is too long.
        """
        data = payload.to_data()
        record = Record(payload.ref().uri, strictjson.dumps(data))
        onward = self._passing.onward(
            course.begun(composed(flow), Value(record.schema, data)), record, payload
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
        messages = tuple(_message(out, payload, run, expiry) for out in outgoing)
        return First(messages, tuple(go.wait for go in goes), onward)

    def rest(
        self, first: First, place: Place, payload: Contract, expiry: datetime | None = None
    ) -> list[tuple[Message, timedelta]]:
        """What else begins a run once it is accepted, where its messages are not all there is to it."""
        others = replace(
            first.onward, moves=tuple(move for move in first.onward.moves if not isinstance(move, Go))
        )
        outgoing = self._passing.outgoing(place, others, Settled("settled"), arrived=False)
        return [(_message(out, payload, place.run, expiry), out.wait) for out in outgoing]


def _message(out: Outgoing, payload: Contract, run: str, expiry: datetime | None) -> Message:
    return message(
        out.send,
        compose(
            run=run,
            step=out.send.step,
            written=out.written,
            key=payload.key() if out.own else None,
            source="/coordinator",
            deadline=expiry,
            join_schemas=out.parts,
        ),
    )
