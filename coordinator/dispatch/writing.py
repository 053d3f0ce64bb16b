"""Writing: an output for each who reads it next, in the newest version that all of them accept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from handoffs.contracts import strictjson
from handoffs.contracts.contract import Contract
from handoffs.coordinator.continuation.arrival import sends_after
from handoffs.coordinator.continuation.moves import Arrival, Go, Move, Value
from handoffs.coordinator.continuation.signature import EVENT
from handoffs.coordinator.dispatch.negotiation import Negotiator
from handoffs.coordinator.dispatch.route import Route, room_at, schema_of
from handoffs.coordinator.messaging.envelopes import Written
from handoffs.coordinator.messaging.room import UNLIMITED, Room
from handoffs.coordinator.store.record import Record


class Writer:
    """Writes outputs for the consumers that there are. Safe for threads."""

    def __init__(self, negotiator: Negotiator, room: Room) -> None:
        self.negotiator = negotiator
        self.room = room

    def route(
        self,
        moves: Iterable[Move],
        record: Record,
        output: Contract | None,
        events: Mapping[str, Contract | None] | None = None,
    ) -> Route:
        """Write ``record`` for whoever is next on its course; ``output`` is what it says, where this build can read it.

        ``events`` are what the events are, by the step that is sent, which are something else than the output. Raises what
        :meth:`Negotiator.written` raises.
        """
        moves, sent, heard, most = tuple(moves), {}, self.heard(moves), UNLIMITED
        events = events or {}
        for move in moves:
            if isinstance(move, Go) and move.send.step in events:
                event = Record(move.value.schema, strictjson.dumps(move.value.data))
                sent[move.send.step] = self._written(move, event, events[move.send.step], heard)
            elif isinstance(move, Go):
                sent[move.send.step] = self._written(move, record, output, heard)
            elif isinstance(move, Arrival):
                agents = [send.agent for send in sends_after(move) or ()]
                sent[move.place] = _plain(move.value) or self.negotiator.written(record, output, agents)
                most = room_at(move, self.room)
        return Route(moves, sent, heard, most)

    def readers(
        self, moves: Iterable[Move], output: Contract | None, events: Mapping[str, Contract | None]
    ) -> tuple[list[str], dict[str, bool]]:
        """What :meth:`route` has to know of consumers: those of which agents, and who hears which events (by the name of the
        contract, and whether that can be written in several versions)."""
        agents: list[str] = []
        heard: dict[str, bool] = {}
        chooses = self.negotiator.chooses(output)
        for move in moves:
            if isinstance(move, Go) and move.send.agent == EVENT:
                name = move.send.signature["kwargs"]["event"]
                heard[name] = heard.get(name, False) or self.negotiator.chooses(
                    events.get(move.send.step, output)
                )
            elif isinstance(move, Go) and chooses and move.value.own:
                agents.append(move.send.agent)
            elif isinstance(move, Arrival) and chooses and move.value.own:
                agents += [send.agent for send in sends_after(move) or ()]
        return agents, heard

    def heard(self, moves: Iterable[Move]) -> dict[str, tuple[str, ...]]:
        """Who hears the events among these, as far as it is known."""
        events = [move.send for move in moves if isinstance(move, Go) and move.send.agent == EVENT]
        return {send.step: self.negotiator.subscribers(send.signature["kwargs"]["event"]) for send in events}

    def _written(
        self, go: Go, record: Record, output: Contract | None, heard: Mapping[str, tuple[str, ...]]
    ) -> Written:
        readers = heard.get(go.send.step, (go.send.agent,))
        return _plain(go.value, schema_of(go)) or self.negotiator.written(record, output, readers)


def _plain(value: Value, schema: str = "") -> Written | None:
    """An item, or what a join put together, as it is; None for an output, which is written for its readers."""
    if value.own:
        return None
    return Written(schema or value.schema or value.parts, strictjson.dumps(value.data))
