"""Timers: what happens when a budget is spent. The coordinator process does it, so it holds while a worker is away."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from typing import Any

from handoffs.contracts.envelope import Envelope
from handoffs.contracts.errors import InvalidData
from handoffs.contracts.strictjson import Limits
from handoffs.coordinator.continuation import advance
from handoffs.coordinator.continuation.arrival import budgets_of
from handoffs.coordinator.continuation.moves import Arrival, Cursor, Value
from handoffs.coordinator.continuation.path import timed
from handoffs.coordinator.continuation.signature import Sig
from handoffs.coordinator.dispatch.driver import Driver
from handoffs.coordinator.dispatch.outgoing import Batches
from handoffs.coordinator.dispatch.routing import Router
from handoffs.coordinator.dispatch.sender import send
from handoffs.coordinator.flow import ways
from handoffs.coordinator.history import Entry, EntryKind, now
from handoffs.coordinator.messaging.envelopes import Sending
from handoffs.coordinator.messaging.wire import read_body
from handoffs.coordinator.store.record import Record, StepRef
from handoffs.coordinator.store.store import Store

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Fired:
    """A timer that has fired: the budget's place and chord, what the step was given, and the fallback."""

    place: StepRef
    path: str
    chord: Sig
    value: Value
    fallback: dict[str, Any]
    envelope: Envelope


class Timers:
    """Takes the place of steps whose budget is spent. Safe for threads."""

    def __init__(self, store: Store, router: Router, driver: Driver, limits: Limits) -> None:
        self._store = store
        self._router = router
        self._driver = driver
        self._limits = limits

    def fire(self, body: bytes | str, content_type: str) -> str:
        """Handle the message of a timer; gives a line on what came of it. Doing it again changes nothing.

        Raises :class:`~handoffs.contracts.errors.InvalidInput` for what is no timer's message, and
        :class:`~handoffs.coordinator.errors.ServerError`.
        """
        fired = self._read(body, content_type)
        _, *around = budgets_of(Cursor(f"{fired.path}.{ways.FALLBACK}", [], fired.chord))
        stands = self._store.stood_in(fired.place, fired.path)
        if (stands and stands[1] in {"", "agent"}) or self._store.closed(fired.place, *around):
            return f"in time run={fired.place.run} step={fired.path}"
        batches, said = self._again(fired, *stands) if stands else self._taken(fired, fired.fallback)
        self._driver.perform(send(batches, Sending(fired.place.run, cause=fired.envelope)))
        return f"fallback ({said}) run={fired.place.run} step={fired.path}"

    def _again(self, fired: _Fired, record: Record, mark: str) -> tuple[Batches, str]:
        """The fallback took the step's place before, and perhaps nobody lived to send what follows."""
        fallback = fired.fallback
        if mark.startswith("cache"):
            return self._arrived(fired, Value(record.schema, json.loads(record.data), item=True), mark)
        while "key" in fallback:
            fallback = fallback["otherwise"]
        return self._taken(fired, fallback)

    def _taken(self, fired: _Fired, fallback: dict[str, Any]) -> tuple[Batches, str]:
        if "key" in fallback:
            kept = self._store.kept(fallback["key"])
            if kept is None or kept[1] > fallback["max_age_ms"]:
                return self._taken(fired, fallback["otherwise"])
            record, age = kept
            return self._arrived(
                fired,
                Value(record.schema, json.loads(record.data), item=True),
                f"cache age={age / 1000:.1f}s",
            )
        if "body" in fallback:
            moves = advance.taken(fallback["body"], fired.chord, fired.value)
            return self._router.took(fired.place, moves, ""), "agent"
        value = Value(fallback["schema"], fallback["constant"], item=True)
        return self._arrived(fired, value, "constant")

    def _arrived(self, fired: _Fired, value: Value, mark: str) -> tuple[Batches, str]:
        [arrival] = advance.stood_in(fired.path, ways.FALLBACK, fired.chord, value)
        assert isinstance(arrival, Arrival)
        first, *others = arrival.joins
        marked = replace(arrival, joins=(replace(first, mark=mark), *others))
        entry = Entry(
            EntryKind.FALLBACK,
            fired.place.run,
            fired.place.flow,
            now(),
            step=fired.path,
            output=value.data,
            fallback=mark,
        )
        return self._router.took(fired.place, [marked], mark, entry.fields()), mark

    def _read(self, body: bytes | str, content_type: str) -> _Fired:
        text, kwargs, continuation = read_body(body, content_type, self._limits)
        envelope = Envelope.decode(text, self._limits)
        try:
            path = timed(kwargs["step"])
            place = StepRef(envelope.correlation_id, kwargs["flow"], path)
            joined = envelope.join_schemas is not None
            value = Value(
                "" if joined else envelope.data_schema,
                envelope.data,
                envelope.join_schemas or "",
                joined=joined,
                item=not joined,
            )
            chord = continuation["chord"]
            advance.checked(Cursor(f"{path}.{ways.FALLBACK}", [], chord))
            return _Fired(place, path, chord, value, dict(kwargs["fallback"]), envelope)
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
            raise InvalidData("the message of a timer is malformed", "no fallback was taken") from error
