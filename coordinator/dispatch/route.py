"""Route: where one output goes, written for those who read it there, and what settling its step does of that at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from handoffs.contracts import strictjson
from handoffs.contracts.contract import ContractRef
from handoffs.contracts.envelope import message_id
from handoffs.contracts.errors import TooLarge
from handoffs.coordinator.continuation.arrival import sends_after
from handoffs.coordinator.continuation.moves import Arrival, End, Go, Move, Undoing, Value
from handoffs.coordinator.continuation.path import hearing
from handoffs.coordinator.continuation.signature import EVENT, TIMER, Send
from handoffs.coordinator.messaging.envelopes import Written
from handoffs.coordinator.messaging.room import REMEDY, UNLIMITED, JoinRoom, Room
from handoffs.coordinator.messaging.trace_context import current
from handoffs.coordinator.store.record import Record
from handoffs.coordinator.store.settlement import Advance, Settled


@dataclass(frozen=True, slots=True)
class Route:
    """Where one output goes: its course, and how it is written for each next step, and for each join (by the branch)."""

    moves: tuple[Move, ...]
    sent: dict[str, Written]
    heard: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Of each event that it emits, the agents that are known to hear it."""
    most: JoinRoom = UNLIMITED
    """How much the joins may put together at which it arrives; nothing is said where that is sent to nobody."""

    def beside(self, octets: int) -> Route:
        """The same, where so many octets more are in each envelope: joins have less room."""
        if not octets or not self.most.octets:
            return self
        most, body = (left and max(left - octets, 1) for left in self.most)
        return replace(self, most=JoinRoom(most, body))

    def advance(self) -> Advance:
        """What settling the step does of it at once: arrive at the joins, note what is sent, end the run."""
        [move] = self.moves if len(self.moves) == 1 else [None]
        if isinstance(move, Arrival):
            return arriving(move, kept_of(self.sent[move.place]), self.most)
        if isinstance(move, Undoing):
            return Advance(ends=True, left=move.left)
        if isinstance(move, End):
            return Advance(ends=True, part=None if move.value.own else record_of(move.value))
        goes = [move for move in self.moves if isinstance(move, Go) and move.send.agent != TIMER]
        sends = (sent for go in goes for sent in named(go.send, self.sent[go.send.step].schema, self.heard))
        return Advance(sends=tuple(sends), ends=False)

    def sent_otherwise(self) -> dict[str, str]:
        """By step, the version that a message was written in, where it is not the one that its producer made."""
        return {
            step: str(ContractRef.from_uri(written.schema))
            for step, written in self.sent.items()
            if written.original
        }

    def emissions(self, run: str) -> list[dict[str, Any]]:
        """The events that are emitted, for the history."""
        return [emission(run, step, self.sent[step].schema, agents) for step, agents in self.heard.items()]


def emission(run: str, step: str, schema: str, agents: Iterable[str]) -> dict[str, Any]:
    """An event for the history: ``contract`` (``name/version``), message ``id``, and the agents that are known to hear it."""
    ref = ContractRef.from_uri(schema)
    return {"contract": str(ref), "id": message_id(run, step), "heard": list(agents)}


def arriving(arrival: Arrival, part: Record, most: JoinRoom) -> Advance:
    """How a run goes on with ``part`` at the joins of an arrival, which may put together so much."""
    sends = tuple(
        sent
        for send in sends_after(arrival) or ()
        for sent in named(send, send.signature["kwargs"]["accepts"], {})
    )
    ends, span = not arrival.then.chain, current().span
    return Advance(arrival.joins, sends, part, ends=ends, most=most.octets, body=most.body, span=span)


def named(send: Send, schema: str, heard: Mapping[str, tuple[str, ...]]) -> list[tuple[str, str, str]]:
    """What is sent, as (step, agent, ``contract/version``); an event to each that hears it."""
    ref = str(ContractRef.from_uri(schema))
    if send.agent != EVENT:
        return [(send.step, send.agent, ref)]
    return [(hearing(agent, send.step), agent, ref) for agent in heard.get(send.step, ())]


def kept_of(written: Written) -> Record:
    """Written data, as the store keeps it."""
    return Record(written.schema, written.data)


def record_of(value: Value) -> Record:
    """What passes on, as the store keeps it."""
    return Record(value.schema or value.parts, strictjson.dumps(value.data))


def room_at(arrival: Arrival, room: Room) -> JoinRoom:
    """How much the joins of an arrival may put together: any number where the run ends with that, for it is sent to nobody."""
    return room.for_join([arrival.then.chain, arrival.then.chord]) if arrival.then.chain else UNLIMITED


def too_large_for_join(settled: Settled, most: JoinRoom) -> TooLarge:
    """The error for an arrival that was refused: with it, a join would be too large."""
    return TooLarge(
        f"with it, what its join puts together has {settled.octets} bytes or more, and a message has room for"
        f" {most.octets}"
        + (f", which take at most {most.body} in it, quotes and backslashes two" if most.body else ""),
        "it was not recorded",
        REMEDY,
    )


def schema_of(go: Go) -> str:
    """The version that a value goes in; what a join put together is declared as what is accepted."""
    accepts: str = go.send.signature["kwargs"]["accepts"]
    return accepts if go.value.joined else go.value.schema
