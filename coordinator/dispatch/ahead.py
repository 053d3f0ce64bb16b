"""Ahead: what an output leads to without any agent's doing, looked at before anything is settled.

Where a signal comes, or a time is over, there is no message that could be parked. So whoever settles something then asks first
whether the run can go on: through budgets, choices and joins, as far as they are complete with it.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator

from handoffs.contracts import strictjson
from handoffs.contracts.errors import TooLarge
from handoffs.coordinator.continuation import advance
from handoffs.coordinator.continuation.moves import Arrival, Go, Hold, Join, Move, Value
from handoffs.coordinator.dispatch.outgoing import Outgoing
from handoffs.coordinator.dispatch.route import record_of, room_at, schema_of
from handoffs.coordinator.dispatch.sender import check_held, written
from handoffs.coordinator.messaging.envelopes import Sending, Written
from handoffs.coordinator.messaging.room import REMEDY, JoinRoom, Room, octets_of
from handoffs.coordinator.store.asking import Asking
from handoffs.coordinator.store.fields import Kind, first_of
from handoffs.coordinator.store.record import Record, StepRef
from handoffs.coordinator.store.store import Store

_COUNT = "#"


class Ahead:
    """Looks ahead once, for one run. What has arrived at its joins is asked of the store, or of nobody (None) where the run has not
    begun."""

    def __init__(self, store: Store | None, room: Room, sending: Sending) -> None:
        self._store = store
        self._room = room
        self._sending = sending
        self._arrived: dict[str, str | None] = {}

    def look(self, place: StepRef, moves: Iterable[Move]) -> Asking[None]:
        """Raise :class:`TooLarge` where a message, or what a join puts together, has no room, and what
        :func:`~handoffs.coordinator.continuation.advance.after` raises."""
        left = deque(moves)
        while left:
            move = left.popleft()
            if isinstance(move, Go):
                written_as = Written(schema_of(move), strictjson.dumps(move.value.data))
                for message, _ in written([Outgoing.of(move, written_as)], self._sending):
                    self._room.check(message)
            elif isinstance(move, Hold):
                check_held(move, left, self._sending, self._room)
            elif isinstance(move, Arrival):
                left.extend((yield from self._after(place, move)))

    def _after(self, place: StepRef, arrival: Arrival) -> Asking[list[Move]]:
        """Where it goes on after an arrival; nowhere where others are waited for."""
        most, record = room_at(arrival, self._room), record_of(arrival.value)
        if most.octets:
            self._room.check_part(record.data, arrival.joins)
        for join in arrival.joins:
            come = yield from self._come(place, join, record, most)
            if come is None:
                return []
            record = come
        if not arrival.then.chain:
            return []
        return advance.after(arrival.then, value_of(record))

    def _come(self, place: StepRef, join: Join, record: Record, most: JoinRoom) -> Asking[Record | None]:
        """What passes a join when ``record`` arrives there; None where nothing does."""
        own = f"{Kind.ARRIVED.of(join.path)}.{join.branch}"
        if join.one:
            own = first_of(join.path)
            yield from self._ask(place, own)
            if self._arrived[own] is None:
                self._arrived[own] = record.part()
            return record if self._arrived[own] == record.part() else None
        names = [f"{Kind.ARRIVED.of(join.path)}.{branch}" for branch in _branches(join)]
        if join.count:
            count = f"{Kind.ARRIVED.of(join.path)}.{_COUNT}"
            yield from self._ask(place, count, own)
            if self._arrived[own] is None:
                self._arrived[count] = str(int(self._arrived[count] or 0) + 1)
                self._arrived[own] = record.part()
            if int(self._arrived[count] or 0) < join.count:
                return None
        yield from self._ask(place, *names)
        if self._arrived[own] is None:
            self._arrived[own] = record.part()
        parts = [Record.parse(text) for name in names if (text := self._arrived[name]) is not None]
        octets = sum(octets_of(part.data) for part in parts)
        if most.octets and octets > most.octets:
            raise _too_large(join, octets, most)
        if len(parts) < len(names):
            return None
        whole = _together(join, parts)
        octets = octets_of(whole.data)
        if not most.holds(whole.data, octets):
            raise _too_large(join, octets, most)
        return whole

    def _ask(self, place: StepRef, *names: str) -> Asking[None]:
        """Find out what has arrived, where that is not known yet."""
        unknown = [name for name in names if name not in self._arrived]
        found: list[str | None] = [None] * len(unknown)
        if unknown and self._store is not None:
            found = yield from self._store.controls.arrived(place, unknown)
        self._arrived.update(zip(unknown, found, strict=True))


def value_of(record: Record) -> Value:
    """What joins put together; what came first out of a budget is as it was made."""
    data = json.loads(record.data)
    if "=" in record.schema or not record.schema:
        return Value("", data, record.schema, joined=True)
    return Value(record.schema, data, item=True)


def _branches(join: Join) -> Iterator[str]:
    return map(str, range(join.count)) if join.count else iter(join.branches)


def _together(join: Join, parts: Iterable[Record]) -> Record:
    """What a join makes of its parts, in the order of its branches; as the script does (``settle_run/parts.lua``)."""
    branches, parts = list(_branches(join)), list(parts)
    texts = [
        part.data if join.count else f'"{name}":{part.data}'
        for name, part in zip(branches, parts, strict=True)
    ]
    whole = ",".join(texts)
    names = [
        f"{join.into}.{name}{'.' if '=' in word else '='}{word}"
        if join.count
        else f"{name}{'.' if '=' in word else '='}{word}"
        for name, part in zip(branches, parts, strict=True)
        for word in part.schema.split()
    ]
    return Record(" ".join(names), f'{{"{join.into}":[{whole}]}}' if join.count else f"{{{whole}}}")


def _too_large(join: Join, octets: int, most: JoinRoom) -> TooLarge:
    return TooLarge(
        f"with it, the join at {join.path} has {octets} bytes or more, and a message has room for {most.octets}",
        "nothing was taken",
        REMEDY,
    )
