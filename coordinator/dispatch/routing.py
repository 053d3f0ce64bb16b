"""Routing: takes an output along its course, through joins, choices and lists, until there is something to send.

What is done here is done again when a message comes again, and has the same result. That holds as long as the run goes on.
So what has to be sent before it may end, its events, is given out first: see :data:`Batches`.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from handoffs.contracts import strictjson
from handoffs.contracts.errors import InvalidInput
from handoffs.contracts.text import printable
from handoffs.coordinator.continuation import advance
from handoffs.coordinator.continuation.arrival import budgets_of_wait, sends_after
from handoffs.coordinator.continuation.moves import Arrival, Await, End, Go, Hold, Move, Undoing, Value
from handoffs.coordinator.continuation.path import SIGNAL, is_onward
from handoffs.coordinator.continuation.signature import EVENT, TIMER
from handoffs.coordinator.dispatch.ahead import Ahead, value_of
from handoffs.coordinator.dispatch.negotiation import Negotiator
from handoffs.coordinator.dispatch.outgoing import Batch, Batches, Outgoing, hand_over
from handoffs.coordinator.dispatch.route import (
    Route,
    arriving,
    emission,
    kept_of,
    named,
    record_of,
    room_at,
    schema_of,
    too_large_for_join,
)
from handoffs.coordinator.dispatch.undoing import to_undo
from handoffs.coordinator.dispatch.writing import Writer
from handoffs.coordinator.history import Entry, EntryKind, now
from handoffs.coordinator.messaging.envelopes import Sending, Written
from handoffs.coordinator.messaging.room import Room
from handoffs.coordinator.messaging.trace_context import current
from handoffs.coordinator.store import clock
from handoffs.coordinator.store.asking import Asking, RoundTrip
from handoffs.coordinator.store.record import Record, StepRef
from handoffs.coordinator.store.settlement import Advance, Settled, SettleVerdict
from handoffs.coordinator.store.store import Store
from handoffs.coordinator.store.undo import UndoNext

_Sending: TypeAlias = Generator[RoundTrip | Batch, Any, list[Outgoing]]
"""Gives out events, and returns what may be sent after them, together."""


class Router:
    """Finds what follows an output. Safe for threads."""

    def __init__(self, store: Store, negotiator: Negotiator, room: Room, *, puts_off: bool = False) -> None:
        """``puts_off`` is for who has no message of its own that could be parked: where it cannot go on after something is settled, a
        message to the coordinator process is to be sent, which tries again, and is parked in the place of the other."""
        self._store = store
        self.room = room
        self.writer = Writer(negotiator, room)
        self._puts_off = puts_off

    def foreseen(self, place: StepRef, moves: Iterable[Move], sending: Sending | None = None) -> Asking[None]:
        """See what ``moves`` lead to, before anything is settled. Raises :class:`TooLarge` where a message, or a join on the way, has no
        room, and what :func:`~handoffs.coordinator.continuation.advance.after` raises."""
        return Ahead(self._store, self.room, sending or Sending(place.run)).look(place, moves)

    def came(self, place: StepRef, route: Route) -> Batches:
        """Everything that is to be sent now that it is time for ``route``, which nobody has settled."""
        yield from _all(self._came(place, route))

    def outgoing(self, place: StepRef, route: Route, settled: Settled, *, arrived: bool = True) -> Batches:
        """Everything that is to be sent now, after the step was settled as ``settled`` says: with
        :meth:`Route.advance`, unless ``arrived`` is false."""
        if settled.verdict not in {"late", "cancelled", "undo"}:
            yield from _all(self._outgoing(place, route, settled, arrived))

    def undone(self, place: StepRef, next_one: UndoNext) -> Batches:
        """What is to be sent so that a step is undone."""
        yield Batch((to_undo(place, next_one),))

    def signalled(self, place: StepRef, follows: dict[str, Any], record: Record) -> Batches:
        """What is to be sent when the signal comes that a step waits for: ``follows`` is what the store has of it."""
        yield from _all(self._signalled(place, follows, record))

    def took(
        self, place: StepRef, moves: list[Move], fallback: str, entry: dict[str, Any] | None = None
    ) -> Batches:
        """What is to be sent when a fallback takes its course; ``entry`` is told if it is in time."""
        yield from _all(self._moved(place, moves, fallback=fallback, entry=entry))

    @staticmethod
    def collected(batches: Batches) -> Asking[list[Outgoing]]:
        """All that is to be sent, at once: asks what finding it asks."""
        found: list[Outgoing] = []

        def take(outgoing: tuple[Outgoing, ...]) -> tuple[RoundTrip, ...]:
            found.extend(outgoing)
            return ()

        yield from hand_over(batches, take)
        return found

    def _came(self, place: StepRef, route: Route) -> _Sending:
        goes = [move for move in route.moves if isinstance(move, Go)]
        sends = replace(route, moves=tuple(goes)).advance().sends
        if sends:
            yield from self._store.handoffs.follow(
                place, record=Record("", "{}"), onward=Advance(sends=sends, ends=False)
            )
        yield from self._tell(place, [go for go in goes if go.send.agent == EVENT], route.heard)
        return (yield from self._outgoing(place, route, Settled(SettleVerdict.SETTLED), arrived=False))

    def _outgoing(self, place: StepRef, route: Route, settled: Settled, arrived: bool) -> _Sending:
        found: list[Outgoing] = []
        alone = arrived and len(route.moves) == 1
        events, others = _parted(route.moves)
        if events:
            batch: list[Outgoing] = []
            for event in events:
                batch.append((yield from self._going(place, event, route.sent[event.send.step])))  # noqa: PERF401
            yield Batch(tuple(batch))
        for move in others:
            if isinstance(move, Arrival):
                part = kept_of(route.sent[move.place])
                done = settled if alone else (yield from self._arrive(place, move, part))
                found += yield from self._arrived(place, move, done, part, known=alone)
            elif isinstance(move, Go):
                found.append((yield from self._going(place, move, route.sent[move.send.step])))
            elif isinstance(move, Hold):
                yield from self._store.controls.hold(place, move.path, move.items)
            elif isinstance(move, Await):
                found += yield from self._await(place, move)
            elif isinstance(move, Undoing):
                found += [to_undo(place, settled.undo)] if settled.undo else []
            elif not alone:
                yield from self._end(place, move)
        return found

    def _going(
        self, place: StepRef, move: Go, written: Written, own: bool = True, fallback: str = ""
    ) -> Asking[Outgoing]:
        yield from self._note_delay(place, move)
        return Outgoing.of(move, written, own=own, fallback=fallback)

    def _signalled(self, place: StepRef, follows: dict[str, Any], record: Record) -> _Sending:
        value = Value(record.schema, json.loads(record.data), item=True)
        return (
            yield from self._moved(place, advance.stood_in(follows["path"], SIGNAL, follows["chord"], value))
        )

    def _await(self, place: StepRef, move: Await) -> _Sending:
        follows = {
            "path": move.path, "signal": move.name, "schema": move.schema, "chord": move.chord,
            "since": clock.now(),
        }  # fmt: skip
        record = yield from self._store.controls.wait(
            place, move.path, move.name, follows, budgets_of_wait(move)
        )
        if record is None:
            return []
        value = Value(record.schema, json.loads(record.data), item=True)
        try:
            yield from self.foreseen(place, advance.stood_in(move.path, SIGNAL, move.chord, value))
            found = yield from self._signalled(place, follows, record)
        except InvalidInput as error:
            # it came before anybody knew what it leads to: refused after all, and the run waits for another
            refused = Entry(
                EntryKind.REFUSED,
                place.run,
                place.flow,
                now(),
                step=printable(move.name, 80),
                error=error.cause,
            ).fields()
            wait = StepRef(place.run, place.flow, move.path)
            if not (yield from self._store.controls.take_back(wait, move.name, record, refused)):
                raise  # a step goes on with it: that waits for a person
            return []
        self._store.handoffs.let_wait_go(place, move.path)
        return found

    def _arrived(
        self,
        place: StepRef,
        arrival: Arrival,
        settled: Settled,
        part: Record,
        *,
        known: bool,
        good: bool = True,
    ) -> _Sending:
        """What follows an arrival: the items whose turn it is, and what the joins put together once they are complete."""
        found: list[Outgoing] = []
        reached = settled.level if settled.waiting else len(arrival.joins)
        passed = (
            settled.level - 1 if settled.waiting else len(arrival.joins) if settled.joined is not None else 0
        )
        for level, key, max_age_ms in arrival.keep if good else ():
            if level <= passed:
                yield from self._store.controls.keep(key, part, max_age_ms)
        for lane in arrival.lanes[:reached]:
            item = (yield from self._store.controls.held(place, lane.path, lane.following)) if lane else None
            if lane and item is not None:
                found += yield from self._moved(place, advance.released(lane, item))
        if settled.waiting or settled.joined is None:
            return found
        if not arrival.then.chain:
            return found  # the run has ended
        value, noted = value_of(settled.joined), known and sends_after(arrival) is not None
        try:
            moves = advance.after(arrival.then, value)
            if self._puts_off:
                yield from self.foreseen(place, moves)
            moved = yield from self._moved(place, moves, noted=noted, fallback=settled.mark)
            links = [span for span in settled.spans if span != current().span]  # which it comes after anyway
            return found + [replace(one, links=(*links, *one.links)) for one in moved]
        except InvalidInput:
            if not self._puts_off:
                raise
            accepts = next((send.accepts for send in sends_after(arrival) or ()), "")
            go = advance.onward(place.flow, arrival.then, value, accepts)
            written = Written(schema_of(go), strictjson.dumps(value.data))
            return [*found, (yield from self._going(place, go, written, own=False, fallback=settled.mark))]

    def _moved(
        self,
        place: StepRef,
        moves: list[Move],
        *,
        noted: bool = False,
        fallback: str = "",
        entry: dict[str, Any] | None = None,
    ) -> _Sending:
        """The same for what an item or a join's data does, which nobody has written for anybody yet."""
        found: list[Outgoing] = []
        goes = [move for move in moves if isinstance(move, Go) and move.send.agent != TIMER]
        if goes and not noted:
            heard = self.writer.heard(moves)
            sends = tuple(sent for go in goes for sent in named(go.send, schema_of(go), heard))
            yield from self._store.handoffs.follow(
                place, record=Record("", "{}"), onward=Advance(sends=sends, ends=False)
            )
            yield from self._tell(place, [go for go in goes if go.send.agent == EVENT], heard)

        def going(move: Go) -> Asking[Outgoing]:
            written = Written(schema_of(move), strictjson.dumps(move.value.data))
            return self._going(place, move, written, own=False, fallback=fallback)

        events, others = _parted(moves)
        if events:
            batch: list[Outgoing] = []
            for event in events:
                batch.append((yield from going(event)))  # noqa: PERF401 - a comprehension cannot yield
            yield Batch(tuple(batch))
        for move in others:
            if isinstance(move, Go):
                found.append((yield from going(move)))
            elif isinstance(move, Hold):
                yield from self._store.controls.hold(place, move.path, move.items)
            elif isinstance(move, Await):
                found += yield from self._await(place, move)
            elif isinstance(move, Arrival):
                part = record_of(move.value)
                settled = yield from self._arrive(place, move, part, entry)
                found += yield from self._arrived(place, move, settled, part, known=True, good=not fallback)
            elif isinstance(move, End):
                yield from self._end(place, move)
        return found

    def _tell(self, place: StepRef, events: list[Go], heard: Mapping[str, tuple[str, ...]]) -> Asking[None]:
        """Events that no step has emitted, for they come out of a join, a wait or a fallback, are told of by the run."""
        if events:
            emitted = [
                emission(place.run, go.send.step, schema_of(go), heard[go.send.step]) | {"step": go.send.step}
                for go in events
            ]
            yield from self._store.steps.note(
                place.run, Entry(EntryKind.EMITTED, place.run, place.flow, now(), emitted=emitted).fields()
            )

    def _note_delay(self, place: StepRef, go: Go) -> Asking[None]:
        if go.wait and (go.send.agent != TIMER or is_onward(go.send.step)):
            yield from self._store.steps.delayed(StepRef(place.run, place.flow, go.send.step), go.wait)

    def _arrive(
        self, place: StepRef, arrival: Arrival, record: Record, entry: dict[str, Any] | None = None
    ) -> Asking[Settled]:
        """Arrive at joins. Raises :class:`TooLarge` where what they put together would be too large for a message."""
        most = room_at(arrival, self.room)
        if most.octets:
            self.room.check_part(record.data, arrival.joins)
        settled = yield from self._store.handoffs.follow(
            place, record=record, onward=arriving(arrival, record, most), entry=entry
        )
        if settled.verdict is SettleVerdict.TOO_LARGE:
            raise too_large_for_join(settled, most)
        return settled

    def _end(self, place: StepRef, end: End) -> Asking[Settled]:
        return self._store.handoffs.follow(place, record=record_of(end.value), onward=Advance(ends=True))


def _all(sending: _Sending) -> Batches:
    rest = yield from sending
    if rest:
        yield Batch(tuple(rest))


def _parted(moves: Iterable[Move]) -> tuple[list[Go], list[Move]]:
    """The events, and all else."""
    events = [move for move in moves if isinstance(move, Go) and move.send.agent == EVENT]
    others = [move for move in moves if not (isinstance(move, Go) and move.send.agent == EVENT)]
    return events, others
