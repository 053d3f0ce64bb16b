"""Routing: takes an output along its course, through joins, choices and lists, until there is something to send.

What is done here is done again when a message comes again, and has the same result. That holds as long as the run goes on.
So what has to be sent before it may end, its events, is given out first: see :data:`Batches`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from handoffs.contracts import strictjson
from handoffs.coordinator.continuation import advance
from handoffs.coordinator.continuation.arrival import budgets_of_wait, sends_after
from handoffs.coordinator.continuation.moves import Arrival, Await, End, Go, Hold, Move, Value
from handoffs.coordinator.continuation.path import SIGNAL, undo_of
from handoffs.coordinator.continuation.signature import EVENT, TIMER
from handoffs.coordinator.dispatch.negotiation import Negotiator
from handoffs.coordinator.dispatch.outgoing import Batch, Batches, Outgoing, hand_over
from handoffs.coordinator.dispatch.route import (
    Route,
    arriving,
    emission,
    kept_of,
    named,
    record_of,
    schema_of,
)
from handoffs.coordinator.dispatch.writing import Writer
from handoffs.coordinator.history import Entry, EntryKind, now
from handoffs.coordinator.messaging.envelopes import Written
from handoffs.coordinator.store.asking import Asking, RoundTrip
from handoffs.coordinator.store.performing import answered
from handoffs.coordinator.store.record import Record, StepRef
from handoffs.coordinator.store.settlement import Advance, Settled
from handoffs.coordinator.store.store import Store

_Sending: TypeAlias = Generator[RoundTrip | Batch, Any, list[Outgoing]]
"""Gives out events, and returns what may be sent after them, together."""


class Router:
    """Finds what follows an output. Safe for threads."""

    def __init__(self, store: Store, negotiator: Negotiator) -> None:
        self._store = store
        self.writer = Writer(negotiator)

    def outgoing(self, place: StepRef, route: Route, settled: Settled, *, arrived: bool = True) -> Batches:
        """Everything that is to be sent now, after the step was settled as ``settled`` says: with
        :meth:`Route.advance`, unless ``arrived`` is false."""
        if settled.verdict not in {"late", "cancelled", "undo"}:
            yield from _all(self._outgoing(place, route, settled, arrived))

    def undone(self, place: StepRef, undo: list[dict[str, Any]]) -> Batches:
        """What is to be sent so that steps are undone, the last one first."""
        of_undo = replace(
            place, step=undo_of(undo[-1]["step"])
        )  # nothing else is sent while a run is compensating
        yield from _all(self._moved(of_undo, advance.undoing(place.flow, undo)))

    def undo_at_once(self, place: StepRef, undo: str, record: Record) -> Batches:
        """What is to be sent so that a step is undone which was settled while its run is being compensated; ``undo`` is what
        undoes it, as JSON text, and ``record`` its outcome."""
        one = {**json.loads(undo), "schema": record.schema, "data": json.loads(record.data)}
        yield from self.undone(place, [one])

    def signalled(self, place: StepRef, follows: dict[str, Any], record: Record) -> Batches:
        """What is to be sent when the signal comes that a step waits for: ``follows`` is what the store has of it."""
        yield from _all(self._signalled(place, follows, record))

    def took(
        self, place: StepRef, moves: list[Move], fallback: str, entry: dict[str, Any] | None = None
    ) -> Batches:
        """What is to be sent when a fallback takes its course; ``entry`` is told if it is in time."""
        yield from _all(self._moved(place, moves, fallback=fallback, entry=entry))

    def collected(self, batches: Batches) -> list[Outgoing]:
        """All that is to be sent, at once: what finding it asks of Redis is performed here.

        Raises :class:`~handoffs.coordinator.errors.ServerError`.
        """
        found: list[Outgoing] = []

        def take(outgoing: tuple[Outgoing, ...]) -> tuple[RoundTrip, ...]:
            found.extend(outgoing)
            return ()

        answered(self._store.redis, hand_over(batches, take))
        return found

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
            elif not alone:
                yield from self._end(place, move)
        return found

    def _going(
        self, place: StepRef, move: Go, written: Written, own: bool = True, fallback: str = ""
    ) -> Asking[Outgoing]:
        yield from self._note_delay(place, move)
        return Outgoing(move.send, written, _parts(move.value), move.wait, own and move.value.own, fallback)

    def _signalled(self, place: StepRef, follows: dict[str, Any], record: Record) -> _Sending:
        value = Value(record.schema, json.loads(record.data), item=True)
        return (
            yield from self._moved(place, advance.stood_in(follows["path"], SIGNAL, follows["chord"], value))
        )

    def _await(self, place: StepRef, move: Await) -> _Sending:
        since = round(time.time() * 1000)
        follows = {
            "path": move.path, "signal": move.name, "schema": move.schema, "chord": move.chord, "since": since,
        }  # fmt: skip
        record = yield from self._store.controls.wait(
            place, move.path, move.name, follows, budgets_of_wait(move)
        )
        return (yield from self._signalled(place, follows, record)) if record else []

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
        moves = advance.after(arrival.then, _joined(settled.joined))
        noted = known and sends_after(arrival) is not None
        return found + (yield from self._moved(place, moves, noted=noted, fallback=settled.mark))

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
            else:
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
        if go.wait and go.send.agent != TIMER:
            yield from self._store.steps.delayed(StepRef(place.run, place.flow, go.send.step), go.wait)

    def _arrive(
        self, place: StepRef, arrival: Arrival, record: Record, entry: dict[str, Any] | None = None
    ) -> Asking[Settled]:
        return self._store.handoffs.follow(
            place, record=record, onward=arriving(arrival, record), entry=entry
        )

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


def _joined(record: Record) -> Value:
    """What joins put together; what came first out of a budget is as it was made."""
    data = json.loads(record.data)
    if "=" in record.schema or not record.schema:
        return Value("", data, record.schema, joined=True)
    return Value(record.schema, data, item=True)


def _parts(value: Value) -> str | None:
    return value.parts or None
